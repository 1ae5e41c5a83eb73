#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs over UD and UC between two nodes of the demo fabric: what perftest has of them, with its default data
path (ibv_wr_*) and with ibv_post_send, and the pingpongs."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import Fabric  # noqa: E402
from simfabric.verbs_programs import END_S, run_pair  # noqa: E402

ITERATIONS = 4000 if FULL else 200
ALL_SIZES = ["-a", "-n", "50" if FULL else "5"]
LONG = ALL_SIZES if FULL else ["-s", "1000000", "-n", "20"]
# ib_send_bw counts on losing nothing and has nothing to hold its sender back: as many buffers as messages.
BUFFERS = {"ib_send_bw": ["-r", "4096"]}
# A GID's index makes it send a GRH over UD; -g joins a group at SA and sends to it.
PERFTEST = {
    "UD": {
        "ib_send_bw": [[], ["-b", "-q", "4"], ALL_SIZES, ["-e"], ["-x", "0"], ["--use-srq"], ["-g"]],
        "ib_send_lat": [[], ["-e", "-s", "4096"], ["-x", "0"], ["-I", "0"], ["-g"]],
    },
    "UC": {
        "ib_send_bw": [[], ["-b", "-q", "4"], LONG, ["-e", "-m", "512"]],
        "ib_send_lat": [[], ["-e", "-s", "100000"], ["-I", "0"]],
        "ib_write_bw": [[], ["-b", "-q", "4"], LONG, ["-m", "256"]],
        "ib_write_lat": [[], ["-s", "100000"]],
    },
}
PINGPONG = {
    "ibv_ud_pingpong": [[], ["-e"], ["-s", "1000", "-g", "0"]],
    "ibv_uc_pingpong": [[], ["-e"], ["-m", "256", "-s", "100000"]],
}


def perftest(fabric, program, arguments):
    if "-n" not in arguments:
        arguments = ["-n", str(ITERATIONS), *arguments]
    run_pair(fabric, program, ["-F", *BUFFERS.get(program, []), *arguments])


def pingpong(fabric, program, arguments):
    out = run_pair(fabric, program, ["-n", str(ITERATIONS), *arguments])
    assert f"{ITERATIONS} iters" in out, out


def calls():
    """(program, arguments): in both modes, variants with one of them unless TETHER_FULL is set."""
    rows = [(kind, program, variant) for kind in PERFTEST for program in PERFTEST[kind] for variant in PERFTEST[kind][program]]
    for number, (kind, program, variant) in enumerate(rows):
        for mode in ([], ["--use_old_post_send"]):
            if FULL or not variant or bool(mode) == bool(number % 2):
                yield program, ["-c", kind, *mode, *variant]


def main():
    tap = Tap()
    with Fabric() as fabric:
        fabric.create("demo.net")
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(END_S)
        for program, arguments in calls():
            tap.run(" ".join([program, *arguments]), perftest, fabric, program, arguments)
        for program, variants in PINGPONG.items():
            for arguments in variants:
                tap.run(" ".join([program, *arguments]), pingpong, fabric, program, arguments)
    tap.exit()


main()
