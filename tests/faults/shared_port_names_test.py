#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What programs call each other stays true when VMs have moved between Shared Port hypervisors, where a LID is several VMs',
and another one after each move: the scenes of names_test.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.names_test import BLUE, others_are_played, scenes_are_played  # noqa: E402
from lab.system import SHARED_PORT_NET  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402


def partitions(_):
    """Whole ports: a subnet manager knows no others."""
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x{BLUE & 0x7fff:04x}: ALL=full;\n"


def main():
    tap = Tap()
    scenes_are_played(tap, net=SHARED_PORT_NET)
    if FULL:
        others_are_played(tap, members=partitions, net=SHARED_PORT_NET)
    tap.exit()


main()
