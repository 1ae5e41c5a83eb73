#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's perftest and ibv_rc_pingpong, unmodified, while their VM moves: exit status 0, and the migrations happened
while they ran. And the control: without the shim an asked detach never completes and a surprise one kills."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.survival import LOAD_S, MIGRATIONS, Moving, survive, survive_counted  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

ASKED_DETACH_MS = 5000
EXCHANGES = 2000
OPERATIONS = ("send", "write", "read", "atomic")


def perftest_survives(lab, moving, program):
    """Both ways of posting, side by side."""
    def start(attempt):
        return [perftest(lab, program, "vm2", "vm1", ["-D", str(LOAD_S << attempt), *way], name=f"{program}{''.join(way)}")
                for way in ((), ("--use_old_post_send",))]
    survive(moving, start)


def pingpong_survives(lab, moving, arguments):
    survive_counted(moving, lambda counts: [perftest(lab, "ibv_rc_pingpong", "vm2", "vm1",
                                                     ["-c", "-n", str(counts[0]), *arguments])], [EXCHANGES])


def asked_detach_waits_for_ever_without_shim(lab):
    pair = perftest(lab, "ib_write_bw", "vm2", "vm1", ["-D", "30"], tether=False, name="control-ask")
    time.sleep(1)
    assert pair.is_running()
    assert not lab.fabric.detach("vm1", timeout_ms=ASKED_DETACH_MS), "the detach has completed"
    assert pair.is_running(), "the program has ended"
    lab.fabric.attach("vm1", lab.vms["vm1"])
    pair.kill()


def surprise_detach_kills_without_shim(lab):
    pair = perftest(lab, "ib_write_bw", "vm2", "vm1", ["-D", "8"], tether=False, name="control-surprise")
    time.sleep(1)
    assert pair.is_running()
    lab.fabric.detach("vm1", surprise=True)
    assert pair.client.wait(60) != 0, "ib_write_bw without the shim exits 0"
    lab.fabric.attach("vm1", lab.vms["vm1"])


def main():
    tap = Tap()
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for shape in ("bw", "lat"):
            for operation in OPERATIONS:
                program = f"ib_{operation}_{shape}"
                tap.run(f"{program}_survives_{MIGRATIONS}_migrations_both_ways_of_posting", perftest_survives, lab,
                        moving, program)
        tap.run("rc_pingpong_survives", pingpong_survives, lab, moving, [])
        tap.run("rc_pingpong_with_wr_api_survives", pingpong_survives, lab, moving, ["-N"])
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    with System() as lab:
        lab.start_fabric()
        lab.start_opensm()
        tap.run("asked_detach_has_not_completed_after_5_s_without_shim", asked_detach_waits_for_ever_without_shim, lab)
        tap.run("surprise_detach_without_shim_makes_the_program_fail", surprise_detach_kills_without_shim, lab)
    tap.exit()


main()
