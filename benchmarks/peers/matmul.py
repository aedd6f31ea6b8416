"""float32 matrix products C [m, n] = A [m, k] B through PyTorch (its BLAS), B as [k, n] or transposed as [n, k]."""

import torch

from common import measure, options, report, start


def main():
    parser = options(__doc__)
    parser.add_argument("--shape", action="append", metavar="MxNxK[t]", help="may be given several times; t: B is [n, k], as in a linear layer")
    arguments = parser.parse_args()
    start(arguments)
    for shape in arguments.shape or ["256x256x256", "1024x1024x1024", "1024x384x384t", "1024x1024x384t", "256x3072x768t"]:
        m, n, k = (int(part) for part in shape.rstrip("t").split("x"))
        a = torch.randn(m, k)
        b = torch.randn(n, k).t() if shape.endswith("t") else torch.randn(k, n)
        c = torch.empty(m, n)
        samples = measure(lambda: torch.mm(a, b, out=c), arguments)
        report(shape, samples, gflops=2e-9 * m * n * k / sorted(samples)[len(samples) // 2])


if __name__ == "__main__":
    main()
