#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Everything built with a sanitizer: rc-verify with the shim through migrations of either end, on a data plane that
loses acknowledgements and cuts messages. The sanitizer must have nothing to report of the shim, the simulated HCA, the
agents, tether-smd or the plugin."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.workload import RcVerify  # noqa: E402
from sanitized import verify_moves  # noqa: E402

FAULTS = [{}, {"drop.ack": 1}, {"cut": "1:1"}, {"drop.request": 0.7}]


def migrations_are_exact(lab):
    arguments = ["-q", "4", "--atomics", "off", "--ack-timeout", "18"]
    with RcVerify(lab, "vm2", "vm1", arguments) as verify:
        wait_until("rc-verify works", verify.is_working, 60, verify.logs(), [verify.client])
        verify_moves.move_under(lab, verify, FAULTS)


verify_moves.run("migrations_are_exact", migrations_are_exact)
