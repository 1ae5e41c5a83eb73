#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs over RC between two nodes of the demo fabric: perftest's eight, each with its default data path
(ibv_wr_*) and with ibv_post_send, and the pingpongs with and without a shared receive queue."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_programs import perftest, pingpong  # noqa: E402

PROGRAMS = [f"ib_{verb}_{what}" for verb in ("send", "write", "read", "atomic") for what in ("bw", "lat")]
ITERATIONS = 5000 if FULL else 200
ALL_SIZES = ["-a", "-n", "50" if FULL else "5"]
# Beside the plain call: with TETHER_FULL in both modes, else each with one of them.
VARIANTS = {
    "ib_send_bw": [["-e"], ["-b"], ALL_SIZES, ["-q", "8"], ["-q", "4", "--use-srq"], ["-m", "256"], ["-r", "1", "-t", "64"]],
    "ib_send_lat": [["-e"], ALL_SIZES, ["-I", "0"], ["--use-srq"]],
    "ib_write_bw": [["-b"], ALL_SIZES, ["-q", "8"], ["-m", "512"], ["-l", "20"]],
    "ib_write_lat": [["-s", "100000"]],
    "ib_read_bw": [["-b"], ALL_SIZES, ["-m", "256"], ["-o", "1"], ["-e"]],
    "ib_atomic_bw": [["-A", "CMP_AND_SWAP"], ["-b"], ["-q", "4"]],
    "ib_atomic_lat": [["-A", "CMP_AND_SWAP"]],
}
# Not -t with -e: it then takes an event whose completion it has polled already for a failure.
PINGPONG = {
    "ibv_rc_pingpong": [[], ["-c"], ["-e"], ["-t", "-c"], ["-N"], ["-m", "256", "-s", "100000"]],
    "ibv_srq_pingpong": [[], ["-e"], ["-q", "4", "-m", "256", "-s", "100000"]],
}


def calls():
    """(program, arguments) of every run of perftest."""
    for program in PROGRAMS:
        for mode in ([], ["--use_old_post_send"]):
            yield program, mode
    for number, (program, variant) in enumerate((p, v) for p in VARIANTS for v in VARIANTS[p]):
        for mode in ([], ["--use_old_post_send"]):
            if FULL or bool(mode) == bool(number % 2):
                yield program, mode + variant


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for program, arguments in calls():
            tap.run(" ".join([program, *arguments]), perftest, fabric, program, arguments, ITERATIONS)
        for program, variants in PINGPONG.items():
            for arguments in variants:
                tap.run(" ".join([program, *arguments]), pingpong, fabric, program, arguments, ITERATIONS)
    tap.exit()


main()
