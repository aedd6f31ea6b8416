"""Coreset selection as PyTorch and numpy do it: L1 distances, then greedy facility location.

colm    what CoLM's own code does: torch.cdist with p = 1, S = max D - D, lazy greedy
best    the fastest combination: torch.pdist with p = 1 (half the pairs), the same greedy
pdist   the distances of `best` alone

CoLM's greedy is submodlib's, which the Debian archive does not hold. The lazy greedy below stands in for it: a heap of stale
gains, each refreshed by one numpy pass over a contiguous row. submodlib 72ae33a took 0.273 s at N = 2048 (budget N/2) on a Zen 4
core; the greedy's own time is reported as greedy_s, so that it can be judged apart from the distances.
"""

import heapq
import time

import numpy
import torch

from common import fail, measure, options, report, start


def greedy(similarity, budget):
    """Picks and objective of sum over i of max(0, max over picks j of S[i, j]). Ties go to the lowest index."""
    best = numpy.zeros(len(similarity), numpy.float32)
    gains = numpy.maximum(similarity, 0).sum(axis=1, dtype=numpy.float64)
    heap = [(-gain, index, 0) for index, gain in enumerate(gains)]
    heapq.heapify(heap)
    picks, objective, rest = [], 0.0, numpy.empty_like(best)
    while len(picks) < budget:
        gain, index, seen = heap[0]
        if seen == len(picks):
            heapq.heappop(heap)
            picks.append(index)
            objective -= gain
            numpy.maximum(best, similarity[index], out=best)
        else:
            numpy.subtract(similarity[index], best, out=rest)
            numpy.maximum(rest, 0, out=rest)
            heapq.heapreplace(heap, (-rest.sum(dtype=numpy.float64), index, len(picks)))
    return picks, objective


def square(condensed, n):
    """S [n, n] from the distances of the pairs i < j."""
    largest = condensed.max() if len(condensed) else numpy.float32(0)
    similarity = numpy.empty((n, n), numpy.float32)
    first = 0
    for i in range(n):
        row = largest - condensed[first:first + n - i - 1]
        similarity[i, i] = largest
        similarity[i, i + 1:] = row
        similarity[i + 1:, i] = row
        first += n - i - 1
    return similarity


def colm(x):
    distance = torch.cdist(x, x, p=1)
    return (distance.max() - distance).numpy()


def best(x):
    return square(torch.pdist(x, p=1).numpy(), len(x))


def main():
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--what", choices=["colm", "best", "pdist"], default="colm")
    parser.add_argument("--features", help="an .npy file of float32 [n, d]; without it n and d of normal values")
    parser.add_argument("--n", type=int, default=128)
    parser.add_argument("--d", type=int, default=2560)
    parser.add_argument("--budget", type=int, help="default: half of the rows")
    parser.add_argument("--once", action="store_true", help="select once, without warming up, and print the picks")
    arguments = parser.parse_args()
    start(arguments)
    x = torch.from_numpy(numpy.load(arguments.features)) if arguments.features else torch.randn(arguments.n, arguments.d)
    if x.dtype != torch.float32 or x.dim() != 2:
        fail(f"{arguments.features}: expected a float32 matrix, got {x.dtype} with {x.dim()} dimensions")
    budget = arguments.budget or len(x) // 2
    if arguments.what == "pdist":
        report("pdist", measure(lambda: torch.pdist(x, p=1), arguments))
        return
    similarity = colm if arguments.what == "colm" else best
    last = {}

    def whole():
        begin = time.perf_counter()
        matrix = similarity(x)
        last["distance_s"] = time.perf_counter() - begin
        last["picks"], last["objective"] = greedy(matrix, budget)
        last["greedy_s"] = time.perf_counter() - begin - last["distance_s"]

    if arguments.once:
        whole()
        print(last["picks"])
        return
    samples = measure(whole, arguments)
    report(arguments.what, samples, objective=last["objective"], distance_s=last["distance_s"], greedy_s=last["greedy_s"])


if __name__ == "__main__":
    main()
