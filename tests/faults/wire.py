# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The wire contract (tether.proto) for tests in Python: messages as dictionaries, frames over a socket.

The schema is read from the file itself, so that a test speaks what the programs speak. Only what proto3 and our file
use is understood: scalars, enums (by name), messages, repeated (packed where it can be), one oneof.
"""
import os
import re
import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SCALARS = {"uint32": VARINT, "uint64": VARINT, "bool": VARINT, "fixed32": FIXED32, "fixed64": FIXED64,
           "string": BYTES, "bytes": BYTES}


class Schema:
    def __init__(self, text):
        self.messages, self.enums = {}, {}
        text = re.sub(r"//[^\n]*", "", text)
        for name, body in re.findall(r"enum\s+(\w+)\s*\{([^}]*)\}", text):
            self.enums[name] = {k: int(v) for k, v in re.findall(r"(\w+)\s*=\s*(\d+)", body)}
        for name, body in re.findall(r"message\s+(\w+)\s*\{((?:[^{}]|\{[^}]*\})*)\}", text):
            fields = re.findall(r"(repeated\s+)?(\w+)\s+(\w+)\s*=\s*(\d+)\s*;", body)
            self.messages[name] = {field: (int(number), kind, bool(repeated))
                                   for repeated, kind, field, number in fields}

    def wire_type(self, kind):
        return SCALARS.get(kind, VARINT if kind in self.enums else BYTES)


def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def take_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def scalar(schema, kind, value):
    if kind in schema.enums:
        return varint(schema.enums[kind][value] if isinstance(value, str) else value)
    if kind in ("fixed32", "fixed64"):
        return struct.pack("<I" if kind == "fixed32" else "<Q", value)
    return varint(int(value))


def encode(schema, name, message):
    out = bytearray()
    for field, value in message.items():
        number, kind, repeated = schema.messages[name][field]
        wire = schema.wire_type(kind)
        if repeated and wire != BYTES:
            packed = b"".join(scalar(schema, kind, v) for v in value)
            out += varint(number << 3 | BYTES) + varint(len(packed)) + packed
            continue
        for one in value if repeated else [value]:
            out += varint(number << 3 | wire)
            if wire == BYTES:
                raw = encode(schema, kind, one) if kind in schema.messages else one
                raw = raw.encode() if isinstance(raw, str) else raw
                out += varint(len(raw)) + raw
            else:
                out += scalar(schema, kind, one)
    return bytes(out)


def take_scalar(schema, kind, data, at):
    if kind in ("fixed32", "fixed64"):
        size = 4 if kind == "fixed32" else 8
        return int.from_bytes(data[at:at + size], "little"), at + size
    value, at = take_varint(data, at)
    if kind in schema.enums:
        value = next(k for k, v in schema.enums[kind].items() if v == value)
    return (bool(value) if kind == "bool" else value), at


def default(schema, kind, repeated):
    if repeated:
        return []
    if kind in schema.messages:
        return None
    if kind in schema.enums:
        return next(k for k, v in schema.enums[kind].items() if v == 0)
    return {"string": "", "bytes": b"", "bool": False}.get(kind, 0)


def decode(schema, name, data):
    fields = schema.messages[name]
    by_number = {number: (field, kind, repeated) for field, (number, kind, repeated) in fields.items()}
    message = {field: default(schema, kind, repeated) for field, (_, kind, repeated) in fields.items()}
    at = 0
    while at < len(data):
        key, at = take_varint(data, at)
        field, kind, repeated = by_number[key >> 3]
        if key & 7 != BYTES:
            value, at = take_scalar(schema, kind, data, at)
            message[field] = message[field] + [value] if repeated else value
            continue
        length, at = take_varint(data, at)
        raw, at = data[at:at + length], at + length
        if schema.wire_type(kind) != BYTES:
            inside = 0
            while inside < length:
                value, inside = take_scalar(schema, kind, raw, inside)
                message[field].append(value)
            continue
        value = decode(schema, kind, raw) if kind in schema.messages else raw.decode() if kind == "string" else raw
        message[field] = message[field] + [value] if repeated else value
    return message


HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "../../notifier/wire/tether.proto")) as proto:
    SCHEMA = Schema(proto.read())


def rows_of(table):
    """A table's columns as a list of dictionaries."""
    columns = {k: v for k, v in (table or {}).items()}
    count = max((len(v) for v in columns.values()), default=0)
    return [{k: v[i] for k, v in columns.items()} for i in range(count)]


def table_of(name, rows):
    return {column: [row.get(column, 0) for row in rows] for column in SCHEMA.messages[name]}


def send(sock, body, message):
    raw = encode(SCHEMA, "Frame", {body: message})
    sock.sendall(struct.pack(">I", len(raw)) + raw)


def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("end of stream")
        data += more
    return data


def receive(sock):
    """(name of the body, message)"""
    size, = struct.unpack(">I", receive_exactly(sock, 4))
    frame = decode(SCHEMA, "Frame", receive_exactly(sock, size))
    return next((k, v) for k, v in frame.items() if v is not None)
