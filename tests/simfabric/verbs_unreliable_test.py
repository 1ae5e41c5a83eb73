#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs over UD and UC between two nodes of the demo fabric: what perftest has of them, with its default data
path (ibv_wr_*) and with ibv_post_send, and the pingpongs."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_programs import perftest, pingpong  # noqa: E402

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


def calls():
    """(program, arguments): in both modes, variants with one of them unless TETHER_FULL is set."""
    rows = [(kind, program, variant) for kind in PERFTEST for program in PERFTEST[kind] for variant in PERFTEST[kind][program]]
    for number, (kind, program, variant) in enumerate(rows):
        for mode in ([], ["--use_old_post_send"]):
            if FULL or not variant or bool(mode) == bool(number % 2):
                yield program, ["-c", kind, *mode, *variant]


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for program, arguments in calls():
            tap.run(" ".join([program, *arguments]), perftest, fabric, program, [*BUFFERS.get(program, []), *arguments], ITERATIONS)
        for program, variants in PINGPONG.items():
            for arguments in variants:
                tap.run(" ".join([program, *arguments]), pingpong, fabric, program, arguments, ITERATIONS)
    tap.exit()


main()
