#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Everything built with a sanitizer: ud-verify with the shim through migrations of either end, on a fabric that loses and
delays datagrams."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.workload import UdVerify  # noqa: E402
from sanitized import verify_moves  # noqa: E402

FAULTS = [{}, {"drop.ud": 0.01}, {}, {"delay.ud": "0.1:3000"}]


def migrations_mix_nothing_up(lab):
    lab.fabric.cli("data-fault", "swapped_numbers=1")
    with UdVerify(lab, "vm2", "vm1", ["-q", "3", "-f", "64", "-w", "1000"]) as verify:
        verify_moves.move_under(lab, verify, FAULTS)


verify_moves.run("migrations_mix_nothing_up", migrations_mix_nothing_up)
