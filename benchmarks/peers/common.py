"""What the peers share: options, the measuring loop, and one JSON document a line on stdout.

The first line tells the environment (versions, threads, the BLAS in use), every other line one measurement:
{"work": "...", "median_s": 0.1, "samples": [...], ...}.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

import numpy
import torch


def options(description, **defaults):
    """A parser with the options of every peer; its own are added by the caller."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of the peer (default: all)")
    parser.add_argument("--seconds", type=float, default=defaults.get("seconds", 0.5), help="least time spent on one work")
    parser.add_argument("--samples", type=int, default=defaults.get("samples", 3), help="fewest samples of one work")
    return parser


def start(arguments):
    """Sets the threads and prints the environment."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    numpy.ones((2, 2), numpy.float32) @ numpy.ones((2, 2), numpy.float32)
    print(json.dumps({"environment": {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "threads": torch.get_num_threads(),
        "blas": blas(),
        "capability": capability(),
        "mkldnn": torch.backends.mkldnn.is_available(),
    }}), flush=True)


def capability():
    """The vector instructions PyTorch's own loops use."""
    lines = [line.split(":", 1)[1].strip() for line in torch.__config__.show().splitlines() if "CPU capability usage" in line]
    return lines[0] if lines else "unknown"


def blas():
    """The file names of the BLAS libraries that this process has loaded; the reference BLAS is called libblas.so.3 only."""
    names = set()
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            for line in maps:
                name = os.path.basename(line.split(" ")[-1].strip())
                if "blas" in name or "mkl_" in name or "blis" in name:
                    names.add(name)
    except OSError:
        names.add("unknown")
    return sorted(names)


def measure(work, arguments, before=lambda: None):
    """Seconds of each run after one that warms up: at least --samples of them and at least --seconds in all; "before" runs outside of the time.

    What takes more than ten times as long has run itself warm when it ends: its first run counts, alone.
    """
    def timed():
        before()
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    first = timed()
    if first > 10 * max(arguments.seconds, 1):
        return [first]
    samples = []
    while len(samples) < arguments.samples or sum(samples) < arguments.seconds:
        samples.append(timed())
    return samples


def report(work, samples, **facts):
    print(json.dumps({"work": work, "median_s": statistics.median(samples), "samples": samples, **facts}), flush=True)


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(2)
