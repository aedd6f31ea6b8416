"""Reads a TensorBoard event file with nothing of ours: frames, checksums, protobuf by hand. Prints step, tag, value; fails on anything odd."""
import struct
import sys

table = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    table.append(n)


def masked(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = data[at:at + 8], at + 8
        elif wire == 5:
            value, at = data[at:at + 4], at + 4
        elif wire == 2:
            size, at = varint(data, at)
            assert at + size <= len(data), "a field is longer than its message"
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {wire}")
        yield key >> 3, value


content, at, events = open(sys.argv[1], "rb").read(), 0, 0
while at < len(content):
    head = content[at:at + 8]
    size, = struct.unpack("<Q", head)
    assert struct.unpack("<I", content[at + 8:at + 12])[0] == masked(head), f"checksum of the length at {at}"
    data = content[at + 12:at + 12 + size]
    assert struct.unpack("<I", content[at + 12 + size:at + 16 + size])[0] == masked(data), f"checksum of the data at {at}"
    at += 16 + size
    step, version, scalars, time = 0, None, [], 0
    for number, value in fields(data):
        if number == 1:
            time, = struct.unpack("<d", value)
        elif number == 2:
            step = value
        elif number == 3:
            version = value.decode()
        elif number == 5:
            for _, item in fields(value):
                parts = dict(fields(item))
                scalars.append((parts[1].decode(), struct.unpack("<f", parts[2])[0]))
    assert (version == "brain.Event:2") == (events == 0), "the version belongs to the first event"
    assert 1.5e9 < time < 1e10, f"wall time {time}"
    events += 1
    for tag, value in scalars:
        print(step, tag, repr(value), sep="\t")
