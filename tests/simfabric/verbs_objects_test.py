#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Every group of verbs-objects, each in a process of its own on one node of the demo fabric."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402

END_S = 60


def verbs_objects(fabric, *arguments):
    return fabric.run(os.path.join(fabric.build, "bin", "verbs-objects"), *arguments, node="hyp1", seconds=END_S, check=False)


def run_group(tap, fabric, group):
    done = verbs_objects(fabric, group)
    rows = re.findall(r"^(ok|not ok) \d+ - (\w+)$", done.stdout, re.MULTILINE)
    for verdict, name in rows:
        tap.check(verdict == "ok", f"{group}: {name}")
    tap.check(bool(rows) and done.returncode == 0, f"{group}: runs to its end", f"{done.returncode}\n{done.stdout}{done.stderr}")


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for group in verbs_objects(fabric).stdout.split():
            run_group(tap, fabric, group)
    tap.exit()


main()
