#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A whole system moves a VM under two programs that hold armed queues, a shared queue with its events, and look at both
of their descriptors: nothing of the move is told there, on either side, and what the programs asked for is."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import Moving  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402

MIGRATIONS = 12 if FULL else 4
EVENT_MS = 5000
PLAIN, SOLICITED = 0, 1
NOTHING = "none"
MODERATION = 100, 65535  # completions, microseconds


class Ends:
    """One in the VM that moves and one elsewhere, connected; the first end's own receives are in a shared queue."""

    def __init__(self, lab, move, kind):
        self.lab, self.move = lab, move
        self.moving, self.staying = (self.open(vm) for vm in ("vm1", "vm2"))
        for end in (self.moving, self.staying):
            end.qp(*kind)
        self.queue = "srq" if kind else 0
        connect(self.moving, self.staying)
        self.number = 0

    def open(self, vm):
        environment = self.lab.environment(vm=vm, tether=True)
        return Peer(self.lab.fabric, vm=vm, preload=environment["LD_PRELOAD"], env=environment).open()

    def both(self):
        return ((self.moving, self.staying), (self.staying, self.moving))

    def message(self, sender, receiver, **flags):
        self.number += 1
        receiver.do("recv", self.queue, self.number, 0, 64)
        sender.do("send", 0, self.number, 0, 64, **flags)
        assert sender.poll("send") == (self.number, "success")

    def received(self, receiver):
        assert receiver.poll("recv") == (self.number, "success")

    def end(self):
        for end in (self.moving, self.staying):
            assert end.end() == 0


def is_quiet(end):
    assert NOTHING in end.do("cqevent", 0), "a completion event that nobody asked for"
    types = end.events()
    assert not types, f"events of the move: {types}"


def arms_move(ends, solicited):
    for sender, receiver in ends.both():
        receiver.do("arm", "recv", solicited)
    for _ in range(MIGRATIONS):
        ends.move()
        for sender, receiver in ends.both():
            is_quiet(receiver)
            if solicited:
                ends.message(sender, receiver)
                is_quiet(receiver)
                ends.received(receiver)
            ends.message(sender, receiver, solicited=1)
            assert NOTHING not in receiver.do("cqevent", EVENT_MS), "a wake-up was lost"
            ends.received(receiver)
            is_quiet(receiver)
            receiver.do("arm", "recv", solicited)


def unread_events_move(ends):
    for _ in range(MIGRATIONS):
        for sender, receiver in ends.both():
            receiver.do("arm", "recv", PLAIN)
            ends.message(sender, receiver)
        ends.move()
        for sender, receiver in ends.both():
            assert NOTHING not in receiver.do("cqevent", 0), "an unread event was lost"
            while receiver.poll("recv", 0):
                pass
            is_quiet(receiver)


def held_back_events_move(ends, solicited):
    """The devices hold them back until there are more completions than ever come, or for so long."""
    for _, receiver in ends.both():
        receiver.do("moderate", "recv", *MODERATION)
    for _ in range(MIGRATIONS):
        for sender, receiver in ends.both():
            receiver.do("arm", "recv", solicited)
            ends.message(sender, receiver, solicited=1)
        ends.move()
        for sender, receiver in ends.both():
            assert NOTHING not in receiver.do("cqevent", EVENT_MS), "an event that was held back was lost"
            while receiver.poll("recv", 0):
                pass
            is_quiet(receiver)


def run(test, lab, move, kind, *arguments):
    ends = Ends(lab, move, kind)
    test(ends, *arguments)
    ends.end()


def main():
    tap = Tap()
    with System(copy_ms=20) as lab:
        lab.start()
        move = Moving(lab).move
        for what, kind in (("", ()), ("_of_a_shared_queue", ("srq",))):
            tap.run(f"arms{what}_move", run, arms_move, lab, move, kind, PLAIN)
            tap.run(f"solicited_arms{what}_move", run, arms_move, lab, move, kind, SOLICITED)
            tap.run(f"unread_events{what}_move", run, unread_events_move, lab, move, kind)
            tap.run(f"held_back_events{what}_move", run, held_back_events_move, lab, move, kind, PLAIN)
            tap.run(f"held_back_solicited_events{what}_move", run, held_back_events_move, lab, move, kind, SOLICITED)
    tap.exit()


main()
