"""Adam-normalisation of features [n, d] against a history [d], then the h columns with the largest absolute mean, gathered."""

import time

import torch

from common import measure, options, report, start


def main():
    parser = options(__doc__)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--d", type=int, default=327680)
    parser.add_argument("--top", type=int, default=2560)
    arguments = parser.parse_args()
    start(arguments)
    features = torch.randn(arguments.n, arguments.d)
    m, v = torch.randn(arguments.d), torch.rand(arguments.d) * 2
    beta1, beta2, epsilon, step = 0.9, 0.999, 1e-8, 7
    parts = {"normalize": [], "top": []}

    def normalize():
        first = beta1 * m + (1 - beta1) * features
        second = beta2 * v + (1 - beta2) * features.square()
        return (first / (1 - beta1 ** (step + 1))) / ((second / (1 - beta2 ** (step + 1))).sqrt() + epsilon)

    def whole():
        begin = time.perf_counter()
        u = normalize()
        middle = time.perf_counter()
        columns = u.mean(dim=0).abs().topk(arguments.top).indices
        chosen = u[:, columns]
        parts["normalize"].append(middle - begin)
        parts["top"].append(time.perf_counter() - middle)
        return chosen

    samples = measure(whole, arguments)
    report("normalize_topk", samples, normalize_s=sorted(parts["normalize"])[len(parts["normalize"]) // 2],
           top_s=sorted(parts["top"])[len(parts["top"]) // 2])


if __name__ == "__main__":
    main()
