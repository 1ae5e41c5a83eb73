# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A bench as its user calls it, from a test that make itself may have called."""
import os
import subprocess

from lab.build import TOP, Build
from lab.tap import FULL

END_S = 7200 if FULL else 600
NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


def make(*words):
    env = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    return subprocess.run(["make", "-C", TOP, "--no-print-directory", f"B={Build().directory}", *words], capture_output=True,
                          text=True, timeout=END_S, env=env)
