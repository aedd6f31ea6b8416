"""One AdamW update of a model's parameters in PyTorch: the faster of the tensor-by-tensor and the foreach implementation."""

import torch

from common import measure, options, report, start
from training_step import Model


def main():
    parser = options(__doc__)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--middle", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=50257)
    arguments = parser.parse_args()
    start(arguments)
    parameters = list(Model(arguments.layers, arguments.width, 1, arguments.middle, arguments.vocabulary, 2).parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter) * 1e-2
    runs = []
    for foreach in (False, True):
        optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.1, foreach=foreach)
        runs.append((measure(optimizer.step, arguments), foreach))
    samples, foreach = min(runs, key=lambda run: sorted(run[0])[len(run[0]) // 2])
    report("adamw", samples, foreach=foreach, parameters=sum(p.numel() for p in parameters))


if __name__ == "__main__":
    main()
