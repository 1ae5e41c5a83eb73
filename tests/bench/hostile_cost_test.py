#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What make bench-hostile says that a message costs, of a daemon whose system calls and counters are known."""
import os
import sys
from unittest import mock

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, "net")]

from bench import hostile  # noqa: E402
from hostile_attacks import Attack  # noqa: E402
from lab.tap import Tap  # noqa: E402

TO_ASK, OF_A_MESSAGE, OF_AN_ALLOWED, ALLOWED = 4, 10, 3, 100


class SlowDaemon:
    """It does what it was told only when it has been asked as often as @idle says."""

    enemies, log_path, pid = (), os.devnull, 0

    def __init__(self, idle):
        self.idle, self.told, self.refused, self.calls = idle, 0, 0, 0

    def bytes_up(self):
        return 0

    def about_to_say(self, number):
        pass

    def counted(self, kind):
        self.calls += TO_ASK
        if self.told:
            self.idle -= 1
        if self.idle < 0:
            self.refused, self.calls, self.told = self.refused + self.told, self.calls + OF_A_MESSAGE * self.told, 0
        return self.refused

    def read(self):
        return [self.calls]

    def close(self):
        pass

    def run(self, scene, count, stack):
        for number in range(count):
            scene.about_to_say(number)
            self.told += 1


def what_is_done_late_is_counted():
    for idle in (0, 3):
        daemon = SlowDaemon(idle)
        cost = hostile.cost_of(daemon, Attack("late", "refused_hellos", daemon.run), 5, daemon)
        assert cost["syscalls"] == OF_A_MESSAGE, cost


def who_waits_for_a_processor_is_not_quiet():
    waits = [False] * 20
    with mock.patch.object(hostile, "sleeps", lambda pid: waits.pop() if waits else True):
        hostile.cost_of(daemon := SlowDaemon(0), Attack("late", "refused_hellos", daemon.run), 5, daemon)
    assert not waits


def what_is_allowed_is_free():
    class Quota(SlowDaemon):
        def counted(self, kind):
            self.refused, self.calls = max(0, self.told - ALLOWED), self.calls + TO_ASK
            return self.refused

        def read(self):
            return [self.calls + OF_AN_ALLOWED * min(self.told, ALLOWED) + OF_A_MESSAGE * max(0, self.told - ALLOWED)]

    daemon = Quota(0)
    cost = hostile.cost_of(daemon, Attack("over a quota", "refused_interests", daemon.run, allowed=ALLOWED), ALLOWED + 5, daemon)
    assert cost["syscalls"] == OF_A_MESSAGE and cost["refused"] == 5, cost


def what_keeps_its_link_costs_little():
    cost = {"weight": 1, "keeps_its_link": True, "syscalls": 1.9, "bytes": 120}
    assert not hostile.dear({"guest": {"refused": {"one": cost, "two": dict(cost, keeps_its_link=False, syscalls=59, bytes=1000)}}})
    for more in ({"syscalls": 2.1}, {"bytes": 129}, {"keeps_its_link": False, "syscalls": 61}):
        assert len(hostile.dear({"guest": {"refused": {"one": dict(cost, **more)}}})) == 1, more


def main():
    hostile.SETTLED_S, hostile.sleeps = 0, lambda pid: True
    tap = Tap()
    tap.run("what_is_done_late_is_counted", what_is_done_late_is_counted)
    tap.run("who_waits_for_a_processor_is_not_quiet", who_waits_for_a_processor_is_not_quiet)
    tap.run("what_is_allowed_is_free", what_is_allowed_is_free)
    tap.run("what_keeps_its_link_costs_little", what_keeps_its_link_costs_little)
    tap.exit()


main()
