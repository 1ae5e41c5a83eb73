#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Stamps of completions while both ends' VMs move, to devices whose clocks have other rates, widths and beginnings: each
program goes on with one clock, which never goes back."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.system import START_S, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import END_MS, STATUS, Peer, connect  # noqa: E402

SIZE = 64
AHEAD = 3  # completions that the application has not asked for when its VM moves
VMS = {"vm1": "hyp1_vf1", "vm2": "hyp2_vf1"}
MOVES = (("vm1", "hyp3"), ("vm2", "hyp1"), ("vm1", "hyp4"), ("vm1", "hyp2"), ("vm2", "hyp3"))


class Program(Peer):
    """A verbs-shell in a VM, which remembers the latest moment that its clock has shown."""

    def __init__(self, lab, vm):
        env = {"TETHER_AGENT": "unix:" + lab.path("vms", f"{vm}.sock"), "TETHER_LOG": lab.path(f"program-{vm}.log")}
        super().__init__(lab.fabric, vm=vm, preload=lab.build.preload(True), env=env)
        self.vm = vm
        self.open("plain", "stamped")
        self.qp()
        clock = self.do("clock")
        self.rate = clock["khz"], clock["mask"]
        self.latest = clock["ticks"]
        self.word = 0

    def follows(self, ticks, what):
        """It is not before what was seen last; clocks wrap."""
        mask = self.rate[1]
        assert (ticks - self.latest) & mask <= mask // 2, f"{self.vm}: {what} {ticks} after {self.latest}"
        self.latest = ticks
        return ticks

    def looks_at_the_clock(self):
        clock = self.do("clock")
        assert (clock["khz"], clock["mask"]) == self.rate, f"{clock} instead of {self.rate}"
        return self.follows(clock["ticks"], "clock")

    def is_stamped(self, which, wr_id):
        """The next completion; its stamp follows what was seen last."""
        seen = self.do("stamp", which, END_MS)
        assert "none" not in seen and seen["wr_id"] == wr_id, f"{seen} instead of {wr_id}"
        assert seen["status"] == 0, STATUS[seen["status"]]
        self.follows(seen["ticks"], f"stamp of {which} {wr_id}")
        return seen

    def sends(self, other, count):
        """The other end knows that they are there, this one has not looked."""
        for _ in range(count):
            self.word += 1
            other.do("recv", 0, self.word, 4096, SIZE)
            self.do("fill", 0, SIZE, self.word)
            self.do("send", 0, self.word, 0, SIZE)
            wait_until("it is there", lambda: "same" in other.do("same", 4096, SIZE, self.word), START_S, [])
        return range(self.word - count + 1, self.word + 1)


def exchange(one, other):
    """Each stamp is between readings of the clock by whom it is for."""
    for end in (one, other):
        end.looks_at_the_clock()
    for number in one.sends(other, AHEAD):
        other.is_stamped("recv", number)
        one.is_stamped("send", number)
    for end in (one, other):
        end.looks_at_the_clock()


def stamps_go_on(lab, programs, vm, host):
    one, other = programs
    exchange(one, other)
    exchange(other, one)
    numbers = one.sends(other, AHEAD)
    begin_s = time.monotonic()
    before = {end: end.do("clock")["ticks"] for end in programs}
    lab.migrate(vm, host)
    inner_s = time.monotonic() - begin_s
    after = {end: end.do("clock")["ticks"] for end in programs}
    outer_s = time.monotonic() - begin_s
    # What the device had for them when it went.
    walls = [end.is_stamped(which, number)["wall_ns"] for number in numbers for end, which in ((other, "recv"), (one, "send"))]
    assert all(abs(wall - time.time_ns()) < 600e9 for wall in walls), walls
    # The one knew that the other had received, not yet that it itself had sent.
    other.follows(before[other], "clock before the move")
    for end in programs:
        end.follows(after[end], "clock after the move")
        # The time that it took is in there, as far as orders of magnitude go.
        passed_s = ((after[end] - before[end]) & end.rate[1]) / end.rate[0] / 1000
        assert inner_s / 2 < passed_s < 3 * outer_s, f"{end.vm}: {passed_s} s by its clock, {inner_s} to {outer_s} s"
    exchange(one, other)
    exchange(other, one)


def what_is_made_up_is_stamped(lab, programs, vm, host):
    """Written, and the acknowledgement is lost: it is made up at the move."""
    one, other = programs
    one.looks_at_the_clock()
    lab.fabric.cli("data-fault", "drop.ack=1")
    one.do("fill", 0, SIZE, 200)
    one.do("write", 0, 77, 0, SIZE, **other.target(8192))
    wait_until("it is written", lambda: "same" in other.do("same", 8192, SIZE, 200), START_S, [])
    before = one.looks_at_the_clock()
    lab.migrate(vm, host)
    lab.fabric.cli("data-fault", "none")
    after = one.do("clock")["ticks"]
    seen = one.is_stamped("send", 77)
    assert (seen["ticks"] - before) & one.rate[1] <= one.rate[1] // 2, (before, seen)
    one.follows(after, "clock after it was made up")
    exchange(one, other)
    exchange(other, one)


def main():
    tap = Tap()
    with System(vms=VMS) as lab:
        lab.start()
        lab.fabric.cli("data-fault", "strange_clocks=1")
        programs = [Program(lab, vm) for vm in VMS]
        connect(*programs, timeout=18)
        for vm, host in MOVES:
            tap.run(f"stamps_go_on_when_{vm}_moves_to_{host}", stamps_go_on, lab, programs, vm, host)
        tap.run("what_is_made_up_is_stamped", what_is_made_up_is_stamped, lab, programs, "vm1", "hyp3")
        tap.run("what_is_made_up_for_a_peer_is_stamped", what_is_made_up_is_stamped, lab, programs[::-1], "vm1", "hyp4")
    tap.exit()


main()
