# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What the tests of rc-verify and ud-verify under a sanitizer share: a system in which everything is slower, moves of
either end, each under faults of its own, and the question whether the sanitizer has anything to report."""
from lab.migration import migrate
from lab.system import PATIENT, System
from lab.tap import Tap

ROUTE = [("vm1", "hyp1", "hyp3"), ("vm2", "hyp2", "hyp4"), ("vm1", "hyp3", "hyp2"), ("vm2", "hyp4", "hyp1")]
# A sanitized program is several times slower.
SETTINGS = {**PATIENT, "overall_ms": 90000, "attach_ms": 30000}
END_S = 120


def move_under(lab, verify, faults):
    """Along ROUTE, each move under the next of @faults, while @verify runs; both of its ends find nothing wrong."""
    for (vm, source, destination), fault in zip(ROUTE, faults, strict=True):
        lab.fabric.data_faults(fault)
        migrate(lab, vm, source, destination)
        lab.fabric.data_faults({})
        assert verify.is_running(), f"{verify.name} has ended{verify.words()}"
    verify.stop()
    verdicts = verify.results(END_S)
    assert verify.wait(1) == (0, 0), f"exit statuses {verify.wait(1)}{verify.words()}"
    for verdict in verdicts:
        assert verdict.get("ok"), f"{verdict}{verify.words()}"


def nothing_is_reported(lab):
    assert lab.checker.is_there, "nothing looks on: run this by make check-asan or check-tsan"
    assert not lab.checker.reports(), lab.checker.reports()[-6000:]


def run(what, test):
    """The program of one test: @test in a system, which is then taken down to see what was reported."""
    tap = Tap()
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        tap.run(what, test, lab)
        lab.children.take_down(20)
        lab.fabric.opensm_stop(20)
        tap.run("the_sanitizer_has_nothing_to_report", nothing_is_reported, lab)
    tap.exit()
