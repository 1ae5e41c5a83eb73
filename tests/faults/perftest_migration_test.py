#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's perftest and ibv_rc_pingpong, unmodified, while their VM moves: exit status 0, and the migrations happened
while they ran. And the control: without the shim an asked detach never completes and a surprise one kills."""
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.migration import migrate  # noqa: E402
from lab.system import CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

MIGRATIONS = 5
LOAD_S = 14 if FULL else 11
CONNECT_S = 10
START_S = 3  # a move in the moment of connecting is another matter: preload/DESIGN.md, "Connections in the making"
SIZINGS = 4
ASKED_DETACH_MS = 5000
OPERATIONS = ("send", "write", "read", "atomic")


class EndedEarly(AssertionError):
    """A program did not run through all the migrations, so that they show nothing."""


class Moving:
    """VM 1 goes to and fro; every program sees moves both ways."""

    def __init__(self, lab):
        self.lab = lab
        self.at, self.other = "hyp1", "hyp3"

    def move(self):
        migrate(self.lab, "vm1", self.at, self.other)
        self.at, self.other = self.other, self.at

    def move_connected(self, pairs):
        """A connection of which only one end stands is refused by name. While it is being made: ask again."""
        end = time.monotonic() + CONNECT_S
        while True:
            try:
                return self.move()
            except CommandFailed as error:
                if "-without-shim" not in str(error) or time.monotonic() > end:
                    raise
            expect_running(pairs)
            time.sleep(0.05)


def expect_running(pairs):
    for pair in pairs:
        if not pair.is_running():
            raise EndedEarly(f"{pair.name} ended before the last migration was over")


def migrate_under(moving, pairs):
    for number in range(MIGRATIONS):
        time.sleep(0.2 if number else START_S)
        moving.move_connected(pairs)
        expect_running(pairs)


def survive(moving, start):
    """@start(attempt) starts pairs that ought to run long enough; twice as long at each attempt, should the machine have
    become slower or faster since the length was chosen."""
    for attempt in range(SIZINGS):
        pairs = start(attempt)
        try:
            migrate_under(moving, pairs)
            return expect_good_end(pairs)
        except EndedEarly as early:
            print(f"# {early}: once more, twice as long")
            expect_good_end(pairs)
    raise EndedEarly(f"{pairs[0].name} always ended before the last migration was over")


def expect_good_end(pairs):
    for pair in pairs:
        statuses = pair.wait((10 * LOAD_S << SIZINGS) + 60)
        assert statuses == (0, 0), f"{pair.name}: exit statuses {statuses}\n{pair.words()}"


def perftest_survives(lab, moving, program):
    """Both ways of posting, side by side."""
    def start(attempt):
        return [perftest(lab, program, "vm2", "vm1", ["-D", str(LOAD_S << attempt), *way], name=f"{program}{''.join(way)}")
                for way in ((), ("--use_old_post_send",))]
    survive(moving, start)


def pingpong_rate(lab, arguments):
    """Exchanges per second, undisturbed."""
    count = 2000
    pair = perftest(lab, "ibv_rc_pingpong", "vm2", "vm1", ["-n", str(count), *arguments], name="pingpong-rate")
    assert pair.wait(30) == (0, 0)
    found = re.search(r"iters in ([0-9.]+) seconds", pair.client.output())
    return count / float(found.group(1))


def pingpong_survives(lab, moving, arguments):
    arguments = ["-c", *arguments]
    count = int(pingpong_rate(lab, arguments) * LOAD_S)
    survive(moving, lambda attempt: [perftest(lab, "ibv_rc_pingpong", "vm2", "vm1", ["-n", str(count << attempt), *arguments])])


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
