#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A hostile host with a valid certificate beside an honest one, both at a real tether-smd over TLS: whatever it says is refused
and counted by kind, and each registration of the honest host's VM is answered meanwhile. More of it with TETHER_FULL=1."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import run_tests  # noqa: E402
from hostile_attacks import HOST, OTHER_WORDS  # noqa: E402
from hostile_lab import HostScene, refused  # noqa: E402
from lab.tap import FULL  # noqa: E402

if __name__ == "__main__":
    with HostScene() as scene:
        sys.exit(run_tests([refused(lambda: contextlib.nullcontext(scene), attack, FULL) for attack in [*HOST, OTHER_WORDS]]))
