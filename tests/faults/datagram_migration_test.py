#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""UD and UC: Debian's perftest and the pingpongs, unmodified, while their VM moves. Nothing is acknowledged, so one
datagram that is lost makes a latency test or a pingpong wait for ever."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import LOAD_S, MIGRATIONS, Moving, survive, survive_counted  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

EXCHANGES = 5000


def perftest_survives(lab, moving, program, transport):
    """Both ways of posting, side by side."""
    def start(attempt):
        return [perftest(lab, program, "vm2", "vm1", ["-c", transport, "-D", str(LOAD_S << attempt), *way],
                         name=f"{program}-{transport}{''.join(way)}")
                for way in ((), ("--use_old_post_send",))]
    survive(moving, start)


def pingpong_survives(lab, moving, program):
    survive_counted(moving, lambda counts: [perftest(lab, program, "vm2", "vm1", ["-n", str(counts[0])])], [EXCHANGES])


def main():
    tap = Tap()
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for program, transport in (("ib_send_lat", "UD"), ("ib_send_bw", "UD"), ("ib_send_lat", "UC"), ("ib_send_bw", "UC"),
                                   ("ib_write_bw", "UC"), ("ib_write_lat", "UC")):
            tap.run(f"{program}_over_{transport.lower()}_survives_{MIGRATIONS}_migrations_both_ways_of_posting",
                    perftest_survives, lab, moving, program, transport)
        for program in ("ibv_ud_pingpong", "ibv_uc_pingpong"):
            tap.run(f"{program}_survives_{MIGRATIONS}_migrations", pingpong_survives, lab, moving, program)
    tap.exit()


main()
