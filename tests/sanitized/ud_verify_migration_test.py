#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Everything built with a sanitizer: ud-verify with the shim through migrations of either end, on a fabric that loses and
delays datagrams."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.migration import migrate  # noqa: E402
from lab.system import PATIENT, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import UdVerify  # noqa: E402

ROUTE = [("vm1", "hyp1", "hyp3"), ("vm2", "hyp2", "hyp4"), ("vm1", "hyp3", "hyp2"), ("vm2", "hyp4", "hyp1")]
FAULTS = [{}, {"drop.ud": 0.01}, {}, {"delay.ud": "0.1:3000"}]
# A sanitized program is several times slower.
SETTINGS = {**PATIENT, "overall_ms": 90000, "attach_ms": 30000}


def migrations_mix_nothing_up(lab):
    with UdVerify(lab, "vm2", "vm1", ["-q", "3", "-f", "64", "-w", "1000"]) as verify:
        for (vm, source, destination), faults in zip(ROUTE, FAULTS):
            lab.fabric.data_faults(faults)
            migrate(lab, vm, source, destination)
            lab.fabric.data_faults({})
            assert verify.is_running(), f"ud-verify has ended{verify.words()}"
        verify.stop()
        verdicts = verify.results(120)
        assert verify.wait(1) == (0, 0), f"exit statuses {verify.wait(1)}{verify.words()}"
        for verdict in verdicts:
            assert verdict.get("ok"), f"{verdict}{verify.words()}"


def nothing_is_reported(lab):
    assert lab.checker.is_there, "nothing looks on: run this by make check-asan or check-tsan"
    assert not lab.checker.reports(), lab.checker.reports()[-6000:]


def main():
    tap = Tap()
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        lab.fabric.cli("data-fault", "swapped_numbers=1")
        tap.run("migrations_mix_nothing_up", migrations_mix_nothing_up, lab)
        lab.children.take_down(20)
        lab.fabric.opensm_stop(20)
        tap.run("the_sanitizer_has_nothing_to_report", nothing_is_reported, lab)
    tap.exit()


main()
