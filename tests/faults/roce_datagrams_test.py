#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""ud-verify between two VMs whose devices are on Ethernet, while either moves in turn: with a device go its GIDs, and queue
pairs of different hosts have the same numbers. Each datagram comes once, unchanged, where it was sent, from whom it was sent,
and with a header that names both as they know each other. None is lost."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import Turns  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import UdVerify  # noqa: E402

MIGRATIONS = 20 if FULL else 4
GIDS = {"link-local": "0", "of an IPv4 address": "1"}
WRONG = ("duplicated", "corrupted", "misdelivered", "misattributed", "strange_headers", "strange_pkeys", "errors", "lost")


def nothing_is_lost_or_changed(lab, gid):
    turns = Turns(lab)
    with UdVerify(lab, "vm2", "vm1", ["-q", "4", "-x", gid]) as verify:
        for number in range(MIGRATIONS):
            turns.move()
            assert verify.is_running(), f"ud-verify ended after migration {number + 1}{verify.words()}"
            time.sleep(0.1)
        verify.stop()
        for verdict in verify.results():
            assert verdict.get("ok") and verdict["unchanged"] and not any(verdict[name] for name in WRONG), \
                f"{verdict}{verify.words()}"


def main():
    tap = Tap()
    with System(with_plugin=False, copy_ms=20) as lab:
        lab.start()
        lab.fabric.cli("data-fault", "ethernet=1", "colliding_numbers=1")
        for kind, gid in GIDS.items():
            tap.run(f"no_datagram_is_lost_or_changed_through_{MIGRATIONS}_migrations_by_a_gid_{kind.replace(' ', '_')}",
                    nothing_is_lost_or_changed, lab, gid)
    tap.exit()


main()
