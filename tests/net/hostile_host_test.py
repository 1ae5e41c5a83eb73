#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A hostile host with a valid certificate beside an honest one, both at a real tether-smd over TLS: whatever it says is refused
and counted by kind, and each registration of the honest host's VM is answered meanwhile, and its
process's answers to each migration in time. More of it with TETHER_FULL=1."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import PATIENCE_S, run_tests  # noqa: E402
from hostile_attacks import HOST, OTHER_WORDS  # noqa: E402
from hostile_lab import HostScene, refused  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL  # noqa: E402

COMES = 200


def who_comes_and_goes_fills_no_log():
    """However often: of each coming and going there are two lines in all at first, and about one a second after that."""
    for _ in range(COMES):
        with scene.connect() as enemy:
            enemy.hello("ROLE_HOST", "evil")
            enemy.answer()
    wait_until("lines are left unsaid", lambda: scene.counted("unsaid_lines") > COMES, PATIENCE_S, [scene.log_path])
    with open(scene.log_path, errors="replace") as log:
        lines = sum("host evil is here" in line or "host evil is not connected" in line for line in log)
    assert lines < COMES, lines


if __name__ == "__main__":
    with HostScene() as scene:
        sys.exit(run_tests([who_comes_and_goes_fills_no_log] + [refused(lambda: contextlib.nullcontext(scene), attack, FULL) for attack in [*HOST, OTHER_WORDS]]))
