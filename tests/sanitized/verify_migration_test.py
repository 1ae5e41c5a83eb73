#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Everything built with a sanitizer: rc-verify and ud-verify with the shim through migrations of either end, on a data plane
that loses acknowledgements and cuts messages, or loses and delays datagrams. The sanitizer must have nothing to report of
the shim, the simulated HCA, the agents, tether-smd or the plugin."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import RcVerify, UdVerify  # noqa: E402

# One for each migration.
FAULTS = [{}, {"drop.ack": 1}, {"cut": "1:1"}, {"drop.request": 0.7}]
FAULTS_OF_DATAGRAMS = [{}, {"drop.ud": 0.01}, {}, {"delay.ud": "0.1:3000"}]
# A sanitized program is several times slower.
SETTINGS = {**PATIENT, "overall_ms": 90000, "attach_ms": 30000}


def rc_verify(lab):
    return RcVerify(lab, "vm2", "vm1", ["-q", "4", "--atomics", "off", "--ack-timeout", "18"])


def ud_verify(lab):
    return UdVerify(lab, "vm2", "vm1", ["-q", "3", "-f", "64", "-w", "1000"])


def lives_through(lab, start, faults):
    turns = Turns(lab)
    with start(lab) as verify:
        wait_until(f"{verify.name} works", verify.is_working, 60, verify.logs(), [verify.client])
        for settings in faults:
            lab.fabric.data_faults(settings)
            turns.move()
            lab.fabric.data_faults({})
            assert verify.is_running(), f"{verify.name} has ended{verify.words()}"
        verify.stop()
        verdicts = verify.results(120)
        assert verify.wait(1) == (0, 0), f"exit statuses {verify.wait(1)}{verify.words()}"
        for verdict in verdicts:
            assert verdict.get("ok"), f"{verdict}{verify.words()}"


def nothing_is_reported(lab):
    assert lab.checker.is_there, "nothing looks on: run this by make check-asan or check-tsan"
    assert not lab.checker.reports(), lab.checker.reports()[-6000:]


def watched(tap, what, start, faults, fault=()):
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        if fault:
            lab.fabric.cli("data-fault", *fault)
        tap.run(what, lives_through, lab, start, faults)
        lab.children.take_down(20)
        lab.fabric.opensm_stop(20)
        tap.run(f"the_sanitizer_has_nothing_to_report: {what}", nothing_is_reported, lab)


def main():
    tap = Tap()
    watched(tap, "migrations_are_exact", rc_verify, FAULTS)
    watched(tap, "migrations_mix_nothing_up", ud_verify, FAULTS_OF_DATAGRAMS, ["swapped_numbers=1"])
    tap.exit()


main()
