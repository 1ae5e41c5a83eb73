#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Asks a subnet administrator, through libibumad as every other program does.

SaClient is for a process that sits on the fabric (on simfabric: with its library preloaded). SaWorker is for one that
does not: it runs this file as a child that does, and hands it one request a line, {"ask": NAME, "arguments": [...]};
each is answered by one line, {"rows": [...]} or {"error": TEXT}. GUIDs are numbers, GIDs 32 hexadecimal digits."""
import ctypes
import json
import os
import struct
import subprocess
import sys

CLASS_SMP, CLASS_SA = 0x01, 0x03
GET, SET, GET_TABLE, DELETE = 0x01, 0x02, 0x12, 0x15
PORT_INFO, LFT = 0x15, 0x19
LFT_BLOCK_LIDS = 64
NODE_RECORD, LINK_RECORD, GUID_INFO_RECORD, PKEY_RECORD, PATH_RECORD, MC_MEMBER_RECORD = 0x11, 0x20, 0x30, 0x33, 0x35, 0x38
STATUS_NO_RECORDS = 0x0300
SA_HEADER = 56
QP1_QKEY = 0x80010000
SM_KEY = 1  # OpenSM's default: a trusted client, who may see P_Keys and members
TIMEOUT_MS, RETRIES = 500, 4
LARGEST = 1 << 20

# Component mask bits (IBA 15.2.5).
PATH_DGID, PATH_SGID, PATH_NUMB, PATH_PKEY = 1 << 2, 1 << 3, 1 << 12, 1 << 13
PKEY_LID = 1 << 0
MC_MGID, MC_PORT_GID, MC_QKEY, MC_TCLASS, MC_PKEY = 1 << 0, 1 << 1, 1 << 2, 1 << 6, 1 << 7
MC_SL, MC_FLOW, MC_JOIN = 1 << 12, 1 << 13, 1 << 16
FULL_MEMBER = 1


class SaError(Exception):
    pass


class UmadPort(ctypes.Structure):  # umad_port_t
    _fields_ = [("ca_name", ctypes.c_char * 20), ("portnum", ctypes.c_int), ("base_lid", ctypes.c_uint),
                ("lmc", ctypes.c_uint), ("sm_lid", ctypes.c_uint), ("sm_sl", ctypes.c_uint), ("state", ctypes.c_uint),
                ("phys_state", ctypes.c_uint), ("rate", ctypes.c_uint), ("capmask", ctypes.c_uint64),
                ("gid_prefix", ctypes.c_uint64), ("port_guid", ctypes.c_uint64), ("pkeys_size", ctypes.c_uint),
                ("pkeys", ctypes.c_void_p), ("link_layer", ctypes.c_char * 20)]


def _libibumad():
    ctypes.CDLL("libibumad.so.3", ctypes.RTLD_GLOBAL)
    umad = ctypes.CDLL(None)  # what is preloaded comes first only in the global scope
    umad.umad_get_mad.restype = ctypes.c_void_p
    umad.umad_get_mad.argtypes = [ctypes.c_void_p]
    umad.umad_set_addr.argtypes = [ctypes.c_void_p] + [ctypes.c_int] * 4
    umad.umad_set_addr.argtypes[4] = ctypes.c_uint
    umad.umad_send.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p] + [ctypes.c_int] * 3
    umad.umad_recv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int), ctypes.c_int]
    umad.umad_status.argtypes = [ctypes.c_void_p]
    return umad


def gid_text(prefix, guid):
    return f"{prefix:016x}{guid:016x}"


class SaClient:
    def __init__(self):
        self.umad = _libibumad()
        self.tid = 0
        if self.umad.umad_init() < 0:
            raise SaError("umad_init failed")
        self.fd = self.umad.umad_open_port(None, 0)
        if self.fd < 0:
            raise SaError(f"no port to open ({self.fd})")
        self.agent = self.umad.umad_register(self.fd, CLASS_SA, 2, 1, None)
        if self.agent < 0:
            raise SaError(f"cannot register ({self.agent})")
        self.buffer = ctypes.create_string_buffer(self.umad.umad_size() + LARGEST)

    def port(self, field):
        """Of struct UmadPort."""
        port = UmadPort()
        if self.umad.umad_get_port(None, 0, ctypes.byref(port)):
            raise SaError("the port cannot be read")
        value = getattr(port, field)
        self.umad.umad_release_port(ctypes.byref(port))
        return value

    def sm_lid(self):
        return self.port("sm_lid")

    def _post(self, agent, mad, to, timeout_ms=TIMEOUT_MS, retries=RETRIES):
        """@to: LID, QPN and Q_Key. What umad_send says."""
        ctypes.memset(self.buffer, 0, self.umad.umad_size())
        ctypes.memmove(self.umad.umad_get_mad(self.buffer), bytes(mad), len(mad))
        lid, qpn, qkey = to
        self.umad.umad_set_addr(self.buffer, lid, qpn, 0, qkey)
        return self.umad.umad_send(self.fd, agent, self.buffer, len(mad), timeout_ms, retries)

    def _send(self, method, attribute, mask, data):
        self.tid += 1
        mad = bytearray(256)
        struct.pack_into(">BBBBHHQHHI", mad, 0, 1, CLASS_SA, 2, method, 0, 0, self.tid, attribute, 0, 0)
        struct.pack_into(">Q", mad, 36, SM_KEY)
        struct.pack_into(">Q", mad, 48, mask)
        mad[SA_HEADER:SA_HEADER + len(data)] = data
        error = self._post(self.agent, mad, (self.sm_lid(), 1, QP1_QKEY))
        if error < 0:
            raise SaError(f"umad_send: {error}")

    def _receive(self):
        while True:
            length = ctypes.c_int(LARGEST)
            got = self.umad.umad_recv(self.fd, self.buffer, ctypes.byref(length), (RETRIES + 2) * TIMEOUT_MS)
            if got < 0:
                raise SaError(f"umad_recv: {got}")
            if self.umad.umad_status(self.buffer):
                raise SaError(f"no answer: status {self.umad.umad_status(self.buffer)}")
            mad = ctypes.string_at(self.umad.umad_get_mad(self.buffer), length.value)
            if struct.unpack_from(">Q", mad, 8)[0] & 0xffffffff == self.tid & 0xffffffff:
                return mad

    def ask(self, method, attribute, mask=0, data=b""):
        """The records of the answer, as bytes; none where the SA knows none."""
        self._send(method, attribute, mask, data)
        mad = self._receive()
        status, = struct.unpack_from(">H", mad, 4)
        if status == STATUS_NO_RECORDS:
            return []
        if status:
            raise SaError(f"SA status 0x{status:04x}")
        size = struct.unpack_from(">H", mad, 44)[0] * 8
        if method != GET_TABLE:
            return [mad[SA_HEADER:]]
        if not size:  # an empty table
            return []
        # An answer that fits one MAD is padded with zeros, and nothing in it says where.
        records = [mad[at:at + size] for at in range(SA_HEADER, len(mad) - size + 1, size)]
        return [record for record in records if any(record)]

    def nodes(self):
        rows = []
        for record in self.ask(GET_TABLE, NODE_RECORD):
            lid, = struct.unpack_from(">H", record, 0)
            _, _, kind, ports, system, node, port = struct.unpack_from(">BBBBQQQ", record, 4)
            rows.append({"lid": lid, "kind": kind, "ports": ports, "system_guid": system, "node_guid": node,
                         "port_guid": port, "description": record[44:108].split(b"\0")[0].decode(errors="replace")})
        return rows

    def links(self):
        rows = []
        for record in self.ask(GET_TABLE, LINK_RECORD):
            from_lid, from_port, to_port, to_lid = struct.unpack_from(">HBBH", record, 0)
            rows.append({"from_lid": from_lid, "from_port": from_port, "to_lid": to_lid, "to_port": to_port})
        return rows

    def pkeys(self, lid):
        """Of the end port with that LID, in the order of the table; zeros left out."""
        found = []
        for record in self.ask(GET_TABLE, PKEY_RECORD, PKEY_LID, struct.pack(">H", lid)):
            found += [key for key in struct.unpack_from(">32H", record, 8) if key & 0x7fff]
        return found

    def paths(self, sgid, dgid, pkey=None):
        mask, data = PATH_DGID | PATH_SGID | PATH_NUMB, bytearray(64)
        data[8:24], data[24:40], data[49] = bytes.fromhex(dgid), bytes.fromhex(sgid), 1
        if pkey is not None:
            mask |= PATH_PKEY
            struct.pack_into(">H", data, 50, pkey)
        rows = []
        for record in self.ask(GET_TABLE, PATH_RECORD, mask, bytes(data)):
            dlid, slid = struct.unpack_from(">HH", record, 40)
            found, sl = struct.unpack_from(">HH", record, 50)
            rows.append({"dlid": dlid, "slid": slid, "dgid": record[8:24].hex(), "sgid": record[24:40].hex(),
                         "pkey": found, "sl": sl & 0xf, "mtu": record[54] & 0x3f, "rate": record[55] & 0x3f})
        return rows

    def many_paths(self, pairs):
        """For each (sgid, dgid) or (sgid, dgid, pkey) what `paths` says."""
        return [self.paths(*pair) for pair in pairs]

    def set_aliases(self, lid, guids):
        """{entry: GUID} of the GUIDInfo table at @lid, of block 0, as a hypervisor's driver has them set."""
        mask, data = 3, bytearray(72)  # LID and block
        struct.pack_into(">HB", data, 0, lid, 0)
        for entry, guid in guids.items():
            mask |= 1 << (4 + int(entry))
            struct.pack_into(">Q", data, 8 + 8 * int(entry), guid)
        self.ask(SET, GUID_INFO_RECORD, mask, bytes(data))
        return {"lid": lid}

    def _member(self, method, mgid, port_gid, mask, qkey=0, pkey=0):
        data = bytearray(52)
        data[0:16], data[16:32] = bytes.fromhex(mgid), bytes.fromhex(port_gid)
        struct.pack_into(">I", data, 32, qkey)
        struct.pack_into(">H", data, 40, pkey)
        data[48] = FULL_MEMBER
        record = self.ask(method, MC_MEMBER_RECORD, mask, bytes(data))[0]
        return {"mlid": struct.unpack_from(">H", record, 36)[0]}

    def join(self, mgid, port_gid, qkey=0x1234, pkey=0xffff):
        """Makes the group where there is none."""
        mask = MC_MGID | MC_PORT_GID | MC_JOIN | MC_QKEY | MC_TCLASS | MC_PKEY | MC_SL | MC_FLOW
        return self._member(SET, mgid, port_gid, mask, qkey, pkey)

    def leave(self, mgid, port_gid):
        return self._member(DELETE, mgid, port_gid, MC_MGID | MC_PORT_GID | MC_JOIN)

    def members(self):
        rows = []
        for record in self.ask(GET_TABLE, MC_MEMBER_RECORD):
            rows.append({"mgid": record[0:16].hex(), "port_gid": record[16:32].hex(),
                         "mlid": struct.unpack_from(">H", record, 36)[0]})
        return rows

    # SMPs by LID, behind the subnet manager's back. For controls.

    def write_lid(self, lid, new_lid):
        info = bytearray(self._smp(PORT_INFO, 0, lid, GET, b""))
        struct.pack_into(">H", info, 16, new_lid)
        info[32] &= 0xf0  # port state: no change
        info[33] = 0x02  # physical state: no change; link down default: polling
        self._smp(PORT_INFO, 0, lid, SET, info)

    def write_lft_entries(self, lid, entries):
        """In the switch with that LID. @entries: [[LID, its port], ...]"""
        for block in sorted({entry // LFT_BLOCK_LIDS for entry, _ in entries}):
            ports = bytearray(self._smp(LFT, block, lid, GET, b""))
            for entry, port in entries:
                if entry // LFT_BLOCK_LIDS == block:
                    ports[entry % LFT_BLOCK_LIDS] = port
            self._smp(LFT, block, lid, SET, ports)

    def _smp(self, attribute, modifier, lid, method, data):
        agent = self.umad.umad_register(self.fd, CLASS_SMP, 1, 0, None)
        self.tid += 1
        mad = bytearray(256)
        struct.pack_into(">BBBBHHQHHI", mad, 0, 1, CLASS_SMP, 1, method, 0, 0, self.tid, attribute, 0, modifier)
        mad[64:64 + len(data)] = data
        if self._post(agent, mad, (lid, 0, 0)) < 0:
            raise SaError(f"cannot send an SMP to LID {lid}")
        answer = self._receive()
        self.umad.umad_unregister(self.fd, agent)
        status, = struct.unpack_from(">H", answer, 4)
        if status:
            raise SaError(f"LID {lid} answers status 0x{status:04x}")
        return answer[64:128]


class SaWorker:
    """`with SaWorker(["simfabric", "run", "--node", "sm", "--"]) as sa: sa.nodes()`; the methods are SaClient's, as far as
    they are `asked`."""

    program = os.path.abspath(__file__)
    asked = ("nodes", "links", "pkeys", "paths", "many_paths", "join", "leave", "members", "set_aliases", "write_lid",
             "write_lft_entries")

    def __init__(self, place, env=None):
        """@env: added to its environment."""
        self.child = subprocess.Popen([*place, sys.executable, self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, env={**os.environ, **(env or {})})

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()

    def request(self, ask, *arguments):
        self.child.stdin.write(json.dumps({"ask": ask, "arguments": arguments}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise SaError(f"the client has ended with status {self.child.wait(10)}")
        answer = json.loads(line)
        if "error" in answer:
            raise SaError(answer["error"])
        return answer["rows"]

    def __getattr__(self, name):
        if name not in self.asked:
            raise AttributeError(name)
        return lambda *arguments: self.request(name, *arguments)


def serve(client):
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"rows": getattr(client, request["ask"])(*request["arguments"])}
        except SaError as error:
            answer = {"error": f"{request['ask']}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(SaClient())
