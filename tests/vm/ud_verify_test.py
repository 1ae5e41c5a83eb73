#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""ud-verify between two guests over rdma_rxe, while the guest of one end moves to and fro: its device is another each time, with
other GIDs and another MAC. Each datagram comes once, unchanged, where it was sent and from whom it was sent, and the header in
front of it names both as they know each other. What is lost is no more than can have been under way when the device went: a queue
pair of rxe drops in ERR what it has queued, and the kernel what waits for a neighbour that it does not know yet."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from vm.system import GuestPair, VmSystem  # noqa: E402

MIGRATIONS = 10 if FULL else 2
GIDS = {"link-local": 0, "of an IPv4 address": 1}
PORT = 18601
WRONG = ("duplicated", "corrupted", "misdelivered", "misattributed", "strange_headers", "strange_pkeys", "errors")
QPS, TOKENS = 2, 2
UNDER_WAY = QPS * QPS * TOKENS


class UdVerify(GuestPair):
    """Runs until end_well()."""

    def __init__(self, lab, server_vm, client_vm, gid):
        argv = ["ud-verify", "-x", str(gid), "-q", str(QPS), "-t", str(TOKENS)]
        super().__init__(lab, server_vm, client_vm, argv, PORT, server_arguments=argv[1:])
        for guest, end in ((self.server_guest, self.server), (self.client_guest, self.client)):
            guest.wait_said(end, "ud-verify: works")

    def end_well(self):
        assert self.is_running(), f"ud-verify has ended{self.words()}"
        self.stop()
        for verdict in self.verdicts():
            words = f"{verdict}{self.words()}"
            assert verdict.get("ok") and verdict["unchanged"] and not any(verdict[name] for name in WRONG), words
            assert verdict["lost"] <= MIGRATIONS * UNDER_WAY, words


def datagrams_live(lab, gid):
    verify = UdVerify(lab, "vm2", "vm1", gid)
    for _ in range(MIGRATIONS):
        lab.migrate("vm1", "h2" if lab.places["vm1"] == "h1" else "h1")
        assert verify.is_running(), f"ud-verify has ended{verify.words()}{lab.words()}"
    verify.end_well()


def main():
    tap = Tap()
    with VmSystem() as lab:
        lab.start(("vm1", "h1"), ("vm2", "h3"))
        for kind, gid in GIDS.items():
            tap.run(f"datagrams_are_right_through_{MIGRATIONS}_live_migrations_by_a_gid_{kind.replace(' ', '_')}",
                    datagrams_live, lab, gid)
    tap.exit()


main()
