#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's perftest and ibv_rc_pingpong with -e, which sleep until a completion event comes, while their VM moves. One
wake-up that is lost and they sleep for ever; one descriptor that is not what it was and they end with an error."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.migration import migrate  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

MIGRATIONS = 10 if FULL else 4
START_S = 3
END_S = 300
SIZINGS = 6
# As many as take longer than the migrations; doubled where they do not.
LOADS = {
    "ib_send_bw": (["-e"], 40000),
    "ib_send_lat": (["-e"], 60000),
    "ib_read_bw": (["-e"], 150000),
    "ib_atomic_bw": (["-e"], 400000),
    "ibv_rc_pingpong": (["-e"], 80000),
}


class Moving:
    def __init__(self, lab):
        self.lab = lab
        self.at, self.other = "hyp1", "hyp3"

    def move(self):
        migrate(self.lab, "vm1", self.at, self.other)
        self.at, self.other = self.other, self.at


def stays_to_the_end(moving, pair):
    time.sleep(START_S)
    for _ in range(MIGRATIONS):
        if not pair.is_running():
            return False
        moving.move()
        time.sleep(0.2)
    return pair.is_running()


def survives(lab, moving, program, arguments, messages):
    for attempt in range(SIZINGS):
        with perftest(lab, program, "vm2", "vm1", [*arguments, "-n", str(messages << attempt)]) as pair:
            stayed = stays_to_the_end(moving, pair)
            statuses = pair.wait(END_S)
            assert statuses == (0, 0), f"exit statuses {statuses}\n{pair.words()}"
            if stayed:
                return
        print(f"# {program} ended before the last migration was over: once more, twice as long")
    raise AssertionError("it always ended before the last migration was over")


def main():
    tap = Tap()
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for program, (arguments, messages) in LOADS.items():
            tap.run(f"{program}_with_events_survives_{MIGRATIONS}_migrations", survives, lab, moving, program, arguments,
                    messages)
    tap.exit()


main()
