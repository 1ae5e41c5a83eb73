#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: vote_test.py [VICTIM/WAY/PLACE ...]

Whoever is stopped for longer than its lease, or cut off, around the vote and the commit, and comes back: nothing is executed twice,
the VM has one VF, and each end is as sm-side/DESIGN.md says. kill_test.py has who is killed there. VM 1 moves from hyp1 to hyp3 while
rc-verify in it talks to VM 2 on hyp2.

  before     tether-smd is about to ask for the votes
  between    one of the programs has voted (the victim's, if it has one, and that has not been said), and the other has not been asked:
             its agent is cut off until the victim is struck. Both is seen in what they passed (TETHER_PASSED)
  voted      all have voted, and the commit is about to be written
  committed  it is on disk, and nobody has been asked to RELEASE
  releasing  all have been asked

Nothing sleeps. A victim that is not tether-smd comes back when the migration has ended without it; each step has more time than the
lease, so that has passed. tether-smd comes back when those that it had stopped go on by themselves, or, after their votes, have ended
with errors. A few cells; all of them with TETHER_FULL=1; those named (words may be left out) otherwise."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import both_are_exact, everybody_is_there, is_told, the_end_of, vm_is_where_it_should_be  # noqa: E402
from faults.cut_wire import CutWire, place_of  # noqa: E402
from faults.victims import (DEADLINES, DESTINATION, GRACE_S, NEXT, PEER, SOURCE, VICTIMS, KillLab, Load, has_stopped,  # noqa: E402
                            start_migration)
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

TIMES = {**DEADLINES, "lease_ms": 2500, "overall_ms": 20000,
         "stop_ms": 2000,
         **dict.fromkeys(("prepare_ms", "settle_ms", "release_ms", "reconnect_ms", "resume_ms", "attach_ms"), 4000)}
# Where tether-smd stops itself, and what it is about then.
PLACES = {"before": "smd-ask:settling", "between": "smd-ask:settling",
          "voted": "smd-record:releasing", "committed": "smd-ask:releasing", "releasing": "smd-asked:releasing"}
AFTER_COMMIT = ("committed", "releasing")
# What the victim itself has done where it is stopped between.
DONE_WITH_SETTLE = {"source": "relay-answer:SETTLE", "peer": "relay-answer:SETTLE",
                    "process": "shim-end:SETTLE", "peer-process": "shim-end:SETTLE"}
VOTED = "shim-end:SETTLE"
QUICK = {"VM's process/stopped/between", "peer agent/cut off/before", "tether-smd/stopped/before"}
LONGEST_S = TIMES["overall_ms"] / 1000 * 2 + GRACE_S


class VoteLab(KillLab):
    """Each agent's link to tether-smd is a wire that can be cut."""

    def __init__(self, **named):
        super().__init__(settings=TIMES, **named)
        self.wires = {}

    def parent_of(self, name):
        if name not in self.wires:
            self.wires[name] = CutWire(place_of(self.directory, name), self.path("root.sock"))
        return f"unix:{place_of(self.directory, name)}"

    def take_down(self):
        super().take_down()
        for wire in self.wires.values():
            wire.close()


class Cell:
    def __init__(self, victim, way, place):
        self.victim, self.way, self.place = victim, way, place
        self.outcome = self.verdict = "-"

    @property
    def name(self):
        return f"{self.victim.name}/{self.way}/{self.place}"

    @property
    def is_smd(self):
        return self.victim.name == "tether-smd"

    def outcomes(self):
        """It may go on to any end when the victim is not missed in time; what is committed is not aborted."""
        return ("done", "failed-at-source", "lost", *(() if self.place in AFTER_COMMIT else ("aborted",)))

    @property
    def can_be_left_behind(self):
        """One of the programs did not answer, or could not; or one has voted, and there was no tether-smd for the other."""
        return self.victim.is_process or self.victim.role in ("source", "peer") or (self.is_smd and self.place == "between")

    @property
    def stops_itself(self):
        return self.place == "between" and self.victim.role in DONE_WITH_SETTLE

    @property
    def voter(self):
        return "peer-process" if self.victim.role in ("peer", "peer-process") else "process"

    def arm(self, lab):
        lab.armed["smd"] = {"TETHER_STOP_AT": PLACES[self.place]}
        if self.stops_itself:
            who = self.victim.role if self.victim.is_process else self.victim.host
            lab.armed[who] = {"TETHER_STOP_AT": DONE_WITH_SETTLE[self.victim.role]}

    def strike(self, lab, load):
        wait_until("tether-smd has stopped at the step", lambda: has_stopped(lab.smd), START_S, lab.logs(), [lab.smd])
        if self.place == "between":
            self.strike_between(lab, load)
            return
        if self.way == "cut off":
            for name in lab.wires if self.is_smd else [self.victim.host]:
                lab.wires[name].cut()
        elif not self.is_smd:
            self.victim.process(lab, load).signal(signal.SIGSTOP)
        if not (self.is_smd and self.way == "stopped"):
            lab.smd.signal(signal.SIGCONT)

    def strike_between(self, lab, load):
        other = "process" if self.voter == "peer-process" else "peer-process"
        late = lab.wires[PEER if other == "peer-process" else SOURCE]
        victim = self.victim.process(lab, load)
        late.cut()
        lab.smd.signal(signal.SIGCONT)
        wait_until("one has voted", lambda: has_passed(lab, self.voter, VOTED), START_S, lab.logs())
        if self.stops_itself:
            wait_until("the victim has stopped", lambda: has_stopped(victim), START_S, lab.logs(), [victim])
        if self.way == "cut off":
            for name in lab.wires if self.is_smd else [self.victim.host]:
                lab.wires[name].cut()
            if self.stops_itself:
                victim.signal(signal.SIGCONT)
        elif not self.stops_itself:
            victim.signal(signal.SIGSTOP)
        assert not has_passed(lab, other, VOTED), "both have voted"
        if self.way != "cut off" or not self.is_smd:
            late.mend()

    def bring_back(self, lab, load):
        if self.way == "cut off":
            for wire in lab.wires.values():
                wire.mend()
        else:
            self.victim.process(lab, load).signal(signal.SIGCONT)


def cells():
    for victim in VICTIMS:
        if victim.name == "OpenSM":
            continue
        for place in PLACES:
            yield Cell(victim, "stopped", place)
            # A process whose agent is stopped is cut off.
            if not victim.is_process:
                yield Cell(victim, "cut off", place)


def is_asked_for(cell):
    if sys.argv[1:]:
        return any(all(word in ("", own) for word, own in zip(wish.split("/"), cell.name.split("/"))) for wish in sys.argv[1:])
    return FULL or cell.name in QUICK


def passes_of(lab, role):
    return lab.path(f"passed-{role}")


def has_passed(lab, role, place):
    """The program in that VM has come by this place (notifier/base/die_points.def)."""
    with open(passes_of(lab, role), "a+", encoding="utf-8") as passed:
        passed.seek(0)
        return place in passed.read().split()


def counts_of(process):
    """How much was done by each time at which it has said so; it says so when it stands still, too."""
    return re.findall(r"(\d+) done, ", open(process.log, errors="replace").read())


def said_by(load):
    return {process: len(counts_of(process)) for process in (load.server, load.client)}


def goes_on(load, since):
    """Of two that were said since then the second is more: what was done before is in the first."""
    return all(len(set(counts_of(process)[count:])) > 1 for process, count in since.items())


def has_ended(load):
    return load.server.poll() is not None or load.client.poll() is not None


def left_alone_long_enough(cell, lab, load):
    """The lease has passed: what is only held goes on, what has voted ends by its overall deadline."""
    if not cell.is_smd:
        return the_end_of(lab)
    since = said_by(load)
    wait_until("the programs go on by themselves, or end", lambda: goes_on(load, since) or has_ended(load), LONGEST_S, lab.logs())
    return None


def run_cell(cell):
    with VoteLab() as lab:
        cell.arm(lab)
        envs = {role: {**lab.armed.get(role, {}), "TETHER_PASSED": passes_of(lab, role)} for role in ("process", "peer-process")}
        lab.start()
        load = Load(lab, server_env=envs["peer-process"], client_env=envs["process"])
        command = start_migration(lab, "vm1", DESTINATION)
        cell.strike(lab, load)
        left_alone_long_enough(cell, lab, load)
        cell.bring_back(lab, load)
        back = time.monotonic()
        cell.outcome = the_end_of(lab)["outcome"]
        command.wait(GRACE_S)
        assert cell.outcome in cell.outcomes(), f"{cell.outcome}{tails(lab.logs())}"
        everybody_is_there(lab)
        if cell.outcome != "lost":
            vm_is_where_it_should_be(lab, cell.outcome, SOURCE, DESTINATION)
        judge(cell, lab, load, back)


def judge(cell, lab, load, back):
    """Not lost: both go on, through the next migration too, and are exact; or, where a
    program was left behind, both have been told. Nothing came twice."""
    since = said_by(load)
    wait_until("the programs go on, or end", lambda: goes_on(load, since) or has_ended(load), LONGEST_S, lab.logs())
    if has_ended(load):
        assert cell.outcome == "lost" or cell.can_be_left_behind, f"{cell.outcome}, and a program has ended{tails(load.logs())}"
        for process in (load.server, load.client):
            is_told(process, back)
        cell.verdict = "told"
        return
    assert cell.outcome != "lost", "lost, and the programs go on"
    lab.migrate("vm1", NEXT)
    both_are_exact(load)
    cell.verdict = "exact"


def main():
    tap, done = Tap(), []
    for cell in cells():
        if is_asked_for(cell):
            tap.run(cell.name.replace("/", ", "), run_cell, cell)
            done.append(cell)
    print_rows([("victim", "way", "around the vote", "outcome", "rc-verify"),
                *((cell.victim.name, cell.way, cell.place, cell.outcome, cell.verdict) for cell in done)])
    tap.exit()


main()
