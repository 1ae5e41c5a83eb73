#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Every class of work in every state at the stop (injected_cases.c): so many of each cell, at least 100 of each opcode, flag
and kind of queue in each state. With TETHER_FULL 100 of each cell."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

EACH = 100 if FULL else 13


def main():
    tap = Tap()
    program = Build().program("injected-cases")
    run = subprocess.run([program, str(EACH)], stdout=subprocess.PIPE, text=True, timeout=3600)
    lines = run.stdout.splitlines()
    print("\n".join(line for line in lines if line.startswith("#")), flush=True)
    tap.check(run.returncode == 0, f"{EACH} cases of each cell come out as they must", lines[-1] if lines else "nothing was said")
    print(f"# {lines[-1] if lines else ''}")
    tap.exit()


main()
