#!/usr/bin/env python3
"""Reads a safetensors file with numpy alone and prints its tensors: a reader that shares no line with the engine's writer.

    python3 tools/python/read_safetensors.py model.safetensors            name, type, shape, smallest, largest
    python3 tools/python/read_safetensors.py model.safetensors --values   one JSON object, name to {"dtype", "shape", "bits"}

"bits" are the elements widened to float32, as unsigned 32-bit integers in row-major order, so that two readers can be compared exactly.
Checks what the format asks for: offsets without gaps or overlap from 0 to the end of the file, and lengths that match the shapes.
Needs numpy; F32, F16, BF16 and F64 are read.
"""
import json
import sys

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read(path):
    """Name to (type, float32 array)."""
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start].decode("utf-8"))
    header.pop("__metadata__", None)
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        assert first == end, f"{name} begins at {first}, the tensor before it ends at {end}"
        raw = np.frombuffer(data[start + first : start + last], TYPES[entry["dtype"]]).reshape(entry["shape"])
        values = (raw.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else raw.astype("<f4")
        tensors[name], end = (entry["dtype"], values), last
    assert start + end == len(data), f"the tensors end at byte {start + end}, the file at {len(data)}"
    return tensors


def main():
    tensors = read(sys.argv[1])
    if "--values" in sys.argv:
        json.dump({n: dict(dtype=t, shape=v.shape, bits=v.view("<u4").ravel().tolist()) for n, (t, v) in tensors.items()}, sys.stdout)
        return
    for name, (kind, values) in tensors.items():
        print(f"{name}  {kind}  {list(values.shape)}  {values.min() if values.size else '-'}  {values.max() if values.size else '-'}")


if __name__ == "__main__":
    main()
