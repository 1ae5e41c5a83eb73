#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs over XRC: ibv_xsrq_pingpong and those of perftest that speak it."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_programs import perftest, run_pair  # noqa: E402

ITERATIONS = 5000 if FULL else 200
PINGPONG = [[], ["-e"], ["-m", "256", "-s", "100000"]]
PERFTEST = [
    (program, variant)
    for program in ("ib_send_bw", "ib_send_lat", "ib_write_bw", "ib_write_lat", "ib_read_bw", "ib_read_lat", "ib_atomic_bw", "ib_atomic_lat")
    for variant in ([], ["--use_old_post_send"], ["-q", "4"] if program.endswith("_bw") else ["-s", "100000"] if program == "ib_write_lat" else ["-e"])
]


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for arguments in PINGPONG:
            tap.run(" ".join(["ibv_xsrq_pingpong", *arguments]), run_pair, fabric, "ibv_xsrq_pingpong", ["-n", str(ITERATIONS), *arguments])
        for program, variant in PERFTEST:
            arguments = ["-c", "XRC", *variant]
            tap.run(" ".join([program, *arguments]), perftest, fabric, program, arguments, ITERATIONS)
    tap.exit()


main()
