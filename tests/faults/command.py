# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether, asked of the tether-smd on a stage as a user asks it."""
import subprocess

from smd import BUILD, equal

TETHER = f"{BUILD}/bin/tether"


def tether(stage, *words):
    """(exit status, stdout, stderr)"""
    done = subprocess.run([TETHER, "--api", stage.smd.api_path, *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def refused(stage, reason, *words, ends=1):
    status, out, err = tether(stage, *words)
    equal(status, ends, f"exit status of {words}")
    equal(f"tether: {reason}: " in err, True, f"{reason} in {err!r}")
    equal(out, "", "stdout")
