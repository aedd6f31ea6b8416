"""The average of safetensors models, memory-mapped, summed in float32 in pieces, written to a new file: the faster of PyTorch and numpy."""

import json
import os

import numpy
import torch

from common import measure, options, report, start


def tensors(path):
    """Name -> (shape, memory map of the float32 elements)."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    whole = numpy.memmap(path, numpy.uint8, "r")
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            found[name] = whole[8 + length + begin:8 + length + end].view(numpy.float32)
    return found


def main():
    parser = options(__doc__)
    parser.add_argument("--folder", required=True, help="holds the models in folders 0, 1, ...")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--on-disk", action="store_true", help="force the result to the disk")
    parser.add_argument("--piece", type=int, default=1 << 18, help="elements summed at a time: they stay in the cache")
    arguments = parser.parse_args()
    start(arguments)
    output = os.path.join(arguments.folder, "peer.bin")
    weight = 1.0 / arguments.models

    def opened():
        return [tensors(os.path.join(arguments.folder, str(m), "model.safetensors")) for m in range(arguments.models)]

    def with_torch():
        models = opened()
        with open(output, "wb") as file:
            for name in models[0]:
                parts = [torch.from_numpy(model[name]) for model in models]
                for first in range(0, parts[0].numel(), arguments.piece):
                    total = parts[0][first:first + arguments.piece] * weight
                    for part in parts[1:]:
                        total.add_(part[first:first + arguments.piece], alpha=weight)
                    file.write(memoryview(total.numpy()))
            finish(file)

    def with_numpy():
        models = opened()
        with open(output, "wb") as file:
            for name in models[0]:
                parts = [model[name] for model in models]
                for first in range(0, parts[0].size, arguments.piece):
                    total = parts[0][first:first + arguments.piece].copy()
                    for part in parts[1:]:
                        total += part[first:first + arguments.piece]
                    total *= numpy.float32(weight)
                    file.write(memoryview(total))
            finish(file)

    def finish(file):
        if arguments.on_disk:
            file.flush()
            os.fsync(file.fileno())

    def prepare():
        """Takes away the result of the run before, and reads the models, so that the system's cache has them."""
        remove()
        for m in range(arguments.models):
            with open(os.path.join(arguments.folder, str(m), "model.safetensors"), "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass

    def remove():
        if os.path.exists(output):
            os.remove(output)

    runs = [(measure(work, arguments, before=prepare), name) for work, name in ((with_torch, "torch"), (with_numpy, "numpy"))]
    remove()
    samples, name = min(runs, key=lambda run: sorted(run[0])[len(run[0]) // 2])
    report("merging", samples, faster=name)


if __name__ == "__main__":
    main()
