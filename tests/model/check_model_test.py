#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The library against the reference model: what is kept in seeds/, and 200 random programs (10,000 with TETHER_FULL=1).

    check_model_test.py [SEED [PROGRAMS]]
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

ENOUGH_FOR_CLASSES = 1000  # of what is drawn: 200 programs miss one or two with most seeds
KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")


def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "1"
    programs = sys.argv[2] if len(sys.argv) > 2 else "10000" if FULL else "200"
    tap = Tap()
    run = subprocess.Popen([Build().program("check-model"), "--programs", programs, "--seed", seed, "--kept", KEPT],
                           stdout=subprocess.PIPE, text=True)
    last = ""
    for line in run.stdout:
        print(line if line.startswith("#") else "# | " + line, end="", flush=True)
        last = line
    tap.check(run.wait() == 0, f"{programs} random programs from seed {seed}, and those that are kept, are run and judged")
    result = json.loads(last) if last.startswith("{") else {}
    kept = len([name for name in os.listdir(KEPT) if name.endswith(".txt")])
    tap.check(result.get("programs") == int(programs) + kept, "each was", result)
    tap.check(result.get("violations") == 0, "no violation", result)
    tap.check(result.get("migrations", 0) >= 2 * int(programs), "at least two migrations a program", result)
    tap.check(not result.get("impossible_cells", 1), "nothing was in a state that it cannot be in", result)
    if int(programs) >= ENOUGH_FOR_CLASSES:
        tap.check(not result.get("empty_classes", 1), "each opcode, each flag and each kind of end was in each state that it can be in", result)
    if FULL:
        tap.check(result.get("empty_cells") == 0, "each opcode, with each flag, was in each state that it can be in", result)
    tap.exit()


main()
