#!/usr/bin/env pwsh
# A stub: build.ps1 build|test|check is dotnet run tools/build.cs -- build|test|check.
& dotnet run (Join-Path $PSScriptRoot 'tools/build.cs') -- @args
exit $LASTEXITCODE
