#!/usr/bin/env python3
"""A second reader of safetensors, written from the format's description alone, to compare the engine's with.

    python3 tools/python/differential_safetensors.py PACK

PACK holds files one after the other, each after its length (4 bytes, little-endian). For each prints one line: the SHA-256 of what was read (for every tensor in the order of
its name's bytes: name, type, shape, data), or "-" and why it was refused. Needs nothing but Python.
"""
import hashlib
import json
import sys

BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64}


class Refused(Exception):
    pass


def need(holds, why):
    if not holds:
        raise Refused(why)


def once(pairs):
    names = [name for name, _ in pairs]
    need(len(set(names)) == len(names), "a key stands twice")
    return dict(pairs)


def whole(value):
    need(type(value) is int and 0 <= value < 2**63, "a number is not whole, below 0 or too large")
    return value


def integer(digits):
    need(digits != "-0", "-0 is no whole number")  # nor is it for the reference implementation
    return int(digits)


def read(data):
    need(len(data) >= 8, "shorter than its length")
    length = int.from_bytes(data[:8], "little")
    need(length <= 100_000_000 and 8 + length <= len(data), "the header does not fit")
    text = data[8 : 8 + length].decode("utf-8")
    header = json.loads(text, object_pairs_hook=once, parse_constant=lambda word: need(False, word), parse_int=integer)
    need(type(header) is dict, "the header is no object")
    json.dumps(header, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair has no UTF-8
    metadata = header.pop("__metadata__", {})
    need(type(metadata) is dict and all(type(v) is str for v in metadata.values()), "metadata are not strings")
    end, found = 0, []
    for name, entry in header.items():
        need(type(entry) is dict and {"dtype", "shape", "data_offsets"} <= entry.keys(), "a tensor lacks a field")
        kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        need(type(kind) is str and kind in BITS, "unknown type")
        need(type(shape) is list and type(offsets) is list and len(offsets) == 2, "shape and offsets are lists")
        first, last, count = whole(offsets[0]), whole(offsets[1]), 1
        for extent in shape:
            count *= whole(extent)
        need(count * BITS[kind] == 8 * (last - first), "shape and offsets differ")
        found.append((first, last, name.encode("utf-8"), kind, shape))
    for first, last, *_ in sorted(found):
        need(first == end, "a hole or an overlap")
        end = last
    need(8 + length + end == len(data), "the data do not end with the file")
    digest = hashlib.sha256()
    for first, last, name, kind, shape in sorted(found, key=lambda tensor: tensor[2]):
        digest.update(name + b"\0" + kind.encode() + b"\0" + ",".join(map(str, shape)).encode() + b"\0")
        digest.update(data[8 + length + first : 8 + length + last])
    return digest.hexdigest()


def main():
    with open(sys.argv[1], "rb") as pack:
        while size := pack.read(4):
            data = pack.read(int.from_bytes(size, "little"))
            try:
                print(read(data))
            except (Refused, ValueError, RecursionError) as reason:
                print("-", str(reason).replace("\n", " ")[:100].encode("ascii", "replace").decode())


if __name__ == "__main__":
    main()
