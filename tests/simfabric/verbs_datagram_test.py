#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs over UD between two nodes of the demo fabric: what perftest has of it, with its default data path
(ibv_wr_*) and with ibv_post_send, and ibv_ud_pingpong."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import Fabric  # noqa: E402
from simfabric.verbs_programs import END_S, run_pair  # noqa: E402

ITERATIONS = 4000 if FULL else 200
# ib_send_bw counts on losing nothing and has nothing to hold its sender back: as many buffers as messages.
BUFFERS = ["-r", "4096"]
# A GID's index makes it send a GRH.
PERFTEST = {
    "ib_send_bw": [[], ["-b", "-q", "4"], ["-a", "-n", "50" if FULL else "5"], ["-e"], ["-x", "0"], ["--use-srq"]],
    "ib_send_lat": [[], ["-e", "-s", "4096"], ["-x", "0"], ["-I", "0"]],
}
PINGPONG = [[], ["-e"], ["-s", "1000", "-g", "0"]]


def perftest(fabric, program, arguments):
    if "-n" not in arguments:
        arguments = ["-n", str(ITERATIONS), *arguments]
    run_pair(fabric, program, ["-F", "-c", "UD", *(BUFFERS if program.endswith("bw") else []), *arguments])


def pingpong(fabric, arguments):
    out = run_pair(fabric, "ibv_ud_pingpong", ["-n", str(ITERATIONS), *arguments])
    assert f"{ITERATIONS} iters" in out, out


def calls():
    """(program, arguments): in both modes, variants with one of them unless TETHER_FULL is set."""
    for number, (program, variant) in enumerate((p, v) for p in PERFTEST for v in PERFTEST[p]):
        for mode in ([], ["--use_old_post_send"]):
            if FULL or not variant or bool(mode) == bool(number % 2):
                yield program, mode + variant


def main():
    tap = Tap()
    with Fabric() as fabric:
        fabric.create("demo.net")
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(END_S)
        for program, arguments in calls():
            tap.run(" ".join([program, "-c UD", *arguments]), perftest, fabric, program, arguments)
        for arguments in PINGPONG:
            tap.run(" ".join(["ibv_ud_pingpong", *arguments]), pingpong, fabric, arguments)
    tap.exit()


main()
