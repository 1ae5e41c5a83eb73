#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Hears tether-smd's notices at one port, as an agent does, or forges them (notifier/wire/notice.h).

`with NoticeWorker(fabric.place("hyp1")) as client:` runs this file as a child on that node and hands it one request a line, as
SaWorker does (faults/sa_client.py)."""
import ctypes
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from faults.sa_client import CLASS_SA, QP1_QKEY, SA_HEADER, SET, SaClient, SaError, SaWorker, serve  # noqa: E402

REPORT, REPORT_RESPONSE, NOTICE, INFORM_INFO = 0x06, 0x86, 0x02, 0x03
VENDOR, DEVICE, INFORMATIONAL, VERSION = 0x025448, 0x7465, 4, 1
MAD_BYTES = 256
DETAILS = ">HQQQQ"


def vendor(number):
    return number.to_bytes(3, "big")


def notice_bytes(lid, signal, sequence, migration=0, epoch=0):
    details = struct.pack(DETAILS, VERSION, signal, sequence, migration, epoch)
    return struct.pack(">B3sHHH54s16s", INFORMATIONAL, vendor(VENDOR), DEVICE, lid, 0, details, bytes(16))


def notice_read(data):
    kind, who, device, lid, _, details = struct.unpack_from(">B3sHHH54s", data)
    version, signal, sequence, migration, epoch = struct.unpack_from(DETAILS, details)
    return {"type": kind, "vendor": int.from_bytes(who, "big"), "device": device, "lid": lid, "version": version,
            "signal": signal, "sequence": sequence, "migration": migration, "epoch": epoch, "gid": data[64:80].hex()}


class NoticeClient(SaClient):
    """One program of a port takes Reports: where an agent is at work this one can only ask and forge."""

    def __init__(self):
        super().__init__()
        self.listener = None
        self.heard = []

    def listen(self):
        if self.listener is not None:
            return
        mask = (ctypes.c_long * (16 // ctypes.sizeof(ctypes.c_long)))(1 << REPORT)
        self.listener = self.umad.umad_register(self.fd, CLASS_SA, 2, 0, mask)
        if self.listener < 0:
            raise SaError(f"cannot take Reports ({self.listener})")

    def lid(self):
        return self.port("base_lid")

    def subscribe(self, begin=True, lid=None):
        if begin:
            self.listen()
        lid = lid or self.lid()
        inform = struct.pack(">16xHHHBBHH3sBB3s", lid, lid, 0, 0, begin, 0xffff, DEVICE, vendor(1), 0, 0, vendor(VENDOR))
        self.ask(SET, INFORM_INFO, 0, inform)
        return True

    def unsubscribe(self, lid=None):
        return self.subscribe(False, lid)

    def _take(self, timeout_ms):
        """One MAD that has come; None. A Report is acknowledged and kept."""
        length = ctypes.c_int(MAD_BYTES)
        if self.umad.umad_recv(self.fd, self.buffer, ctypes.byref(length), timeout_ms) < 0:
            return None
        mad = ctypes.string_at(self.umad.umad_get_mad(self.buffer), length.value)
        if mad[3] == REPORT and not self.umad.umad_status(self.buffer):
            self.heard.append(notice_read(mad[SA_HEADER:]))
            ctypes.memset(self.umad.umad_get_mad(self.buffer) + 3, REPORT_RESPONSE, 1)
            self.umad.umad_send(self.fd, self.listener, self.buffer, MAD_BYTES, 0, 0)
        return mad

    def _receive(self):
        while True:
            mad = self._take(5000)
            if not mad:
                raise SaError("no answer")
            if mad[3] == REPORT:
                continue
            if self.umad.umad_status(self.buffer):
                raise SaError(f"no answer: status {self.umad.umad_status(self.buffer)}")
            return mad

    def reports(self, count, seconds=10):
        """What has been heard, once that is @count in all; or what there is when the time is over."""
        self.listen()
        end = time.monotonic() + seconds
        while len(self.heard) < count and time.monotonic() < end:
            self._take(50)
        while self._take(1):
            pass
        return self.heard

    def forge(self, dlid, signal, sequences, lid=None):
        """Reports to @dlid as only the SM should send them."""
        for sequence in sequences:
            self.tid += 1
            mad = struct.pack(">BBBBHHQHHI", 1, CLASS_SA, 2, REPORT, 0, 0, self.tid, NOTICE, 0, 0) + bytes(32)
            mad = (mad + notice_bytes(lid or dlid, signal, sequence)).ljust(MAD_BYTES, b"\0")
            if self._post(self.agent, mad, (dlid, 1, QP1_QKEY), 0, 0) < 0:
                raise SaError("cannot send")
        return len(sequences)


class NoticeWorker(SaWorker):
    program = os.path.abspath(__file__)
    asked = ("lid", "subscribe", "unsubscribe", "reports", "forge")


if __name__ == "__main__":
    serve(NoticeClient())
