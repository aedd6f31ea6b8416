#!/usr/bin/env python3
"""Predicted against measured peak memory of `nengine select`, ten configurations.

  python3 tools/python/selection_memory.py src/NativeEngine.Cli/bin/Release/net10.0/nengine

Measured is the kernel's maximum resident set of the process, less that of a selection from four rows (the runtime itself).
Needs only Python; writes and removes about 1 GB in the temporary folder.
"""
import json, os, random, struct, subprocess, sys, tempfile

CONFIGURATIONS = [  # rows, columns, options
    (2048, 2560, []),
    (4096, 2560, []),
    (8192, 512, []),
    (8192, 2560, ["--top", "640"]),
    (8192, 1024, ["--adam"]),
    (8192, 2560, ["--algorithm", "sparse"]),
    (32768, 256, ["--algorithm", "sparse"]),
    (65536, 256, ["--max-memory", "2GiB"]),
    (16384, 1024, ["--algorithm", "partitioned", "--parts", "4"]),
    (16384, 512, ["--algorithm", "stochastic", "--neighbours", "200"]),
]


def features(path, rows, columns):
    """Random float32 in [1, 2), which need no conversion."""
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (rows, columns)
    header = header.ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for _ in range(rows):
            bits = random.getrandbits(32 * columns) & int.from_bytes(b"\xff\xff\x7f\x00" * columns, "little")
            file.write((bits | int.from_bytes(b"\x00\x00\x80\x3f" * columns, "little")).to_bytes(4 * columns, "little"))


def run(arguments):
    """(stdout, maximum resident bytes) of a process."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit("failed: " + " ".join(arguments))
        out.seek(0)
        return out.read(), usage.ru_maxrss * 1024


def main():
    engine = sys.argv[1]
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f.npy")
        features(path, 4, 8)
        _, baseline = run([engine, "select", "--features", path, "--budget", "2", "--json"])
        mib = 1 << 20
        print("runtime itself: %.0f MiB\n" % (baseline / mib))
        print("| rows | columns | options | meter predicted | meter measured | process predicted | process measured | ratio |")
        print("|---|---|---|---|---|---|---|---|")
        for rows, columns, options in CONFIGURATIONS:
            features(path, rows, columns)
            arguments = [engine, "select", "--features", path, "--budget", "50%", "--json"] + options
            dry, _ = run(arguments + ["--dry-run"])
            predicted = json.loads(dry)
            out, resident = run(arguments)
            meter = json.loads(out)["peak_bytes"]
            process = resident - baseline
            print("| %d | %d | %s | %.1f | %.1f | %.1f | %.1f | %.2f |" % (
                rows, columns, " ".join(options) or "auto", predicted["peak_bytes"] / mib, meter / mib, predicted["process_bytes"] / mib,
                process / mib, predicted["process_bytes"] / process), flush=True)


main()
