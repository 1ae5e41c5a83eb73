#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A whole system under a sanitizer, or its daemons under valgrind: rc-verify runs in two VMs, either end moves in turn,
and everything ends by itself. Nothing is lost, and there is nothing to report."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

MIGRATIONS = 40 if FULL else 6
END_S = 60
# A busy daemon under valgrind is late with its heartbeats.
SETTINGS = {**PATIENT, "heartbeat_ms": 5000}
BEHIND_GUESTS = "a CQ for each QP, agents in the VMs"
WORK = {"late receives": ["-q", "8", "--late-every", "500", "--late-ms", "50"],
        BEHIND_GUESTS: ["-q", "8", "--cq", "each"],
        "XRC, and ibv_cq_ex": ["-q", "8", "--transport", "xrc", "--extended-cq"]}


def everything_arrives_once(lab, arguments):
    turns = Turns(lab)
    with RcVerify(lab, "vm2", "vm1", arguments) as verify:
        wait_until("rc-verify works", verify.is_working, END_S, verify.logs(), [verify.client])
        for number in range(MIGRATIONS):
            turns.move()
            assert verify.is_running(), f"rc-verify ended after migration {number + 1}{verify.words()}"
        verify.stop()
        verdicts = verify.results(END_S)
    assert all(verdict.get("ok") for verdict in verdicts), f"{verdicts}{verify.words()}"


def every_daemon_ends_by_itself(lab):
    for daemon in [*lab.guests.values(), *lab.agents.values(), lab.smd]:
        daemon.signal(15)
        status = daemon.wait(END_S)
        assert status == 0, f"{daemon.name}: exit status {status}"


def nothing_is_reported(lab):
    assert lab.checker.is_there, "neither TETHER_SANITIZE nor TETHER_VALGRIND is set"
    lab.fabric.opensms[-1].stop(END_S)
    reports = lab.checker.reports()
    assert not reports, reports[:8000]


def main():
    tap = Tap()
    for what, arguments in WORK.items():
        # A system for each: under valgrind an agent does not see at once that the last one's programs have ended.
        with System(copy_ms=5, settings=SETTINGS, guests=what == BEHIND_GUESTS) as lab:
            lab.start()
            tap.run(f"everything_arrives_once_through_{MIGRATIONS}_migrations: {what}", everything_arrives_once, lab,
                    arguments)
            tap.run(f"every_daemon_ends_by_itself: {what}", every_daemon_ends_by_itself, lab)
            tap.run(f"nothing_is_reported: {what}", nothing_is_reported, lab)
    tap.exit()


main()
