#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify in two VMs whose processes are behind agents of their own (role guest) while either end moves in turn: nothing
lost, repeated or changed."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

MIGRATIONS = 50 if FULL else 6
WORK = ["-q", "16" if FULL else "8", "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400", "--atomics", "client"]
LABS = {
    "over virtio-serial ports": {"guests": "virtio"},
    "at the lower end of a deep tree": {"guests": True, "tree": {host: "rack" for host in ("hyp1", "hyp2", "hyp3")}},
}
HARMLESS = ("refused", "aborted", "failed-at-source")
FAULTS = ({}, {"drop.ack": 0.5, "hold": "1:300000"}, {"drop.ack": 1})


def start_verify(lab):
    verify = RcVerify(lab, "vm2", "vm1", WORK)
    wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
    return verify


def everything_arrives_once(lab):
    """What the data plane does meanwhile leaves something to settlement."""
    turns = Turns(lab)
    with start_verify(lab) as verify:
        for number in range(MIGRATIONS):
            lab.fabric.data_faults(FAULTS[number % len(FAULTS)])
            try:
                turns.move()
            except CommandFailed as failed:
                assert failed.answer.get("outcome") in HARMLESS, failed
                turns.look()
            finally:
                lab.fabric.data_faults({})
            assert verify.is_running(), verify.words()
        verify.end_exactly()
    check_sa_truth(lab)


def nobody_is_connected_but_guests(lab):
    """The processes' links lead to no server."""
    for host in lab.hosts:
        with open(lab.path(f"agent-{host}.log")) as log:
            assert " pid " not in log.read()


def main():
    tap = Tap()
    for what, named in LABS.items():
        with System(copy_ms=5, settings={**PATIENT, "stop_ms": 3000}, **named) as lab:
            lab.start()
            tap.run(f"everything_arrives_once_through_{MIGRATIONS}_migrations_of_vms_with_agents: {what}",
                    everything_arrives_once, lab)
            tap.run(f"processes_are_behind_their_guests: {what}", nobody_is_connected_but_guests, lab)
    tap.exit()


main()
