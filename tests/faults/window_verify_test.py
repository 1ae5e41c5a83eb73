#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""window-verify without libtether on a fabric where nothing moves: what it asks of windows is what a device grants."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import WindowVerify  # noqa: E402


def windows_let_in_what_they_should(lab):
    with WindowVerify(lab, "vm2", "vm1", tether=False) as verify:
        verify.stop()
        verdicts = verify.results()
        assert verify.wait(1) == (0, 0), verify.words()
    for verdict in verdicts:
        assert verdict["ok"] and verdict["rounds"] > 1, verdict


def main():
    tap = Tap()
    with System() as lab:
        lab.start_fabric()
        lab.start_opensm()
        tap.run("windows_let_in_what_they_should", windows_let_in_what_they_should, lab)
    tap.exit()


main()
