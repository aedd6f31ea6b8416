#!/usr/bin/env -S dotnet run
#:include colm_arms/*.cs
// Which way of choosing B of 2B examples trains best?  dotnet run benchmarks/studies/colm_arms.cs -- --help
// Every run is the real executable; every number in the report is computed from the runs' own documents. See README.md beside this file.
using System.Globalization;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
try
{
    var settings = Settings.Parse(args);
    if (settings is null)
    {
        Console.WriteLine(Settings.Help);
        return 0;
    }
    using var study = new Study(settings);
    return study.Run();
}
catch (StudyException e)
{
    Console.Error.WriteLine($"error: {e.Message}");
    return e.Code;
}
