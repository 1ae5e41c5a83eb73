#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""XRC: Debian's perftest and ibv_xsrq_pingpong, unmodified, while their VM moves."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import LOAD_S, MIGRATIONS, Moving, survive  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

EXCHANGES = 4000
EXCHANGE_BYTES = 1 << 20


def perftest_survives(lab, moving, program):
    """Both ways of posting, side by side."""
    def start(attempt):
        return [perftest(lab, program, "vm2", "vm1", ["-c", "XRC", "-D", str(LOAD_S << attempt), *way],
                         name=f"{program}-xrc{''.join(way)}")
                for way in ((), ("--use_old_post_send",))]
    survive(moving, start)


def pingpong_survives(lab, moving):
    """It has room for all its sends in the queue, so that a run is made longer by their size."""
    def start(attempt):
        return [perftest(lab, "ibv_xsrq_pingpong", "vm2", "vm1",
                         ["-n", str(EXCHANGES), "-s", str(EXCHANGE_BYTES << attempt)])]
    survive(moving, start)


def main():
    tap = Tap()
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for program in ("ib_send_bw", "ib_write_bw", "ib_send_lat"):
            tap.run(f"{program}_over_xrc_survives_{MIGRATIONS}_migrations_both_ways_of_posting", perftest_survives, lab,
                    moving, program)
        tap.run(f"xsrq_pingpong_survives_{MIGRATIONS}_migrations", pingpong_survives, lab, moving)
    tap.exit()


main()
