#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: kill_test.py [VICTIM/STEP/PLACE/KIND ...]

Whoever is killed in whatever step of a migration: it ends by name, nobody hangs past the overall deadline, nothing is
executed twice, SA and fabric agree after the restart, and the next migration works. VM 1 moves from hyp1 to hyp3 while
rc-verify in it talks to VM 2 on hyp2; victims.py says who dies where, and why that is exact. Each cell of the table has
a system of its own. tether-smd and OpenSM are killed once more where the hypervisors have dynamic LIDs (KIND "copy", else
"swap"), and agents in the steps that are others then; agents once more where each VM has one of its own (KIND "guests"), and
those, too. A few cells, in which each victim appears; all of them with
TETHER_FULL=1; those named (words may be left out: "OpenSM", "/applying", "tether-smd//after", "///copy") otherwise. Ends with
the table, a row for each cell."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import (LONGEST_S, both_are_exact, both_are_told, everybody_is_there, is_told,  # noqa: E402
                              the_end_of, vm_is_where_it_should_be)
from faults.membership import partitions, pkeys_of  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import (ALL_STEPS, DESTINATION, GRACE_S, GUESTS_VICTIMS, NEXT, SOURCE, STEPS, VICTIMS,  # noqa: E402
                            KillLab, Load, start_migration)
from lab.deadline import tails  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

QUICK = {"source agent/stopping/after", "source agent/moving/after", "destination agent/attaching/before",
         "peer agent/settling/after", "tether-smd/releasing/before", "tether-smd/applying/after",
         "OpenSM/leasing/before", "OpenSM/applying/after", "VM's process/settling/after",
         "peer's process/reconnecting/before"}
QUICK_GUESTS = {"VM's agent/preparing/before", "VM's agent/settling/after", "VM's agent/moving/before",
                "peer's agent/reconnecting/after", "destination agent/rebuilding/after"}
QUICK = ({f"{name}/swap" for name in QUICK} | {f"{name}/guests" for name in QUICK_GUESTS} |
         {"tether-smd/linking/after/copy", "OpenSM/waking/before/copy"})
BEFORE_COMMIT = ("locating", "preparing", "stopping", "settling")
# Where links go down and come up.
OF_LINKS = ("naming", "vacating", "linking", "applying", "unleasing", "waking", "attaching")


class Cell:
    def __init__(self, victim, step, place, kind="swap"):
        self.victim, self.step, self.place, self.kind = victim, step, place, kind
        self.outcome = self.verdict = "-"
        self.seconds = 0.0  # from the kill to the migration's end
        self.pause_s = None  # the longest of exact programs, the next migration's among them

    @property
    def name(self):
        return f"{self.victim.name}/{self.step}/{self.place}/{self.kind}"

    def outcomes(self):
        """What may come of it. A VM whose only process is dead has lost its connections, if that shows too late."""
        if self.victim.name == "tether-smd":
            return ("aborted",) if self.step in BEFORE_COMMIT else ("done",)
        lost = ("lost",) if self.victim.is_process else ()
        if self.step in BEFORE_COMMIT:
            return ("refused", "aborted", "done", *lost)
        return ("done", "failed-at-source", *lost)


def is_of_copies(victim, step):
    return victim.name in ("tether-smd", "OpenSM") or (step in OF_LINKS and victim.name in ("source agent", "destination agent"))


def cells():
    swaps = [Cell(victim, step, place) for step in STEPS for victim in VICTIMS for place in victim.places(step)]
    guests = [Cell(victim, step, place, "guests") for step in STEPS for victim in GUESTS_VICTIMS for place in victim.places(step)]
    return swaps + guests + [Cell(victim, step, place, "copy") for step in ALL_STEPS for victim in VICTIMS if is_of_copies(victim, step)
                    for place in victim.places(step)]


def is_asked_for(cell, wishes):
    if wishes:
        return any(all(word in ("", own) for word, own in zip(wish.split("/"), cell.name.split("/")))
                   for wish in wishes)
    return FULL or cell.name in QUICK


def next_one_works(lab, load):
    lab.migrate("vm1", NEXT)
    assert lab.place_of("vm1")[0] == NEXT
    assert load.is_running(), f"the programs have ended{tails(load.logs())}"


def strike(cell, lab, load):
    """Kill in the middle of the migration, bring back, wait for the end. When it was struck, by the monotonic clock."""
    victim = cell.victim
    command = start_migration(lab, "vm1", DESTINATION)
    victim.strike(lab, load, cell.place)
    struck = time.monotonic()
    victim.bring_back(lab)
    migration = the_end_of(lab)
    cell.seconds = time.monotonic() - struck
    assert cell.seconds <= LONGEST_S, f"{migration['outcome']} {cell.seconds} s after the kill"
    cell.outcome = migration["outcome"]
    command.wait(GRACE_S)
    assert cell.outcome in cell.outcomes(), f"{cell.outcome}{tails([lab.path('smd.log')])}"
    return struck


def run_cell(cell):
    guests = cell.kind == "guests"
    with KillLab(partitions=partitions, dynamic=cell.kind == "copy", guests=guests, devices=guests) as lab:  # as guests have it
        cell.victim.arm(lab, cell.step, cell.place)
        process_env = {role: lab.armed.get(role) for role in ("process", "peer-process")}
        lab.start()
        load = Load(lab, server_env=process_env["peer-process"], client_env=process_env["process"])
        struck = strike(cell, lab, load)
        if cell.victim.is_process:
            is_told(cell.victim.survivor(load), struck)
            cell.verdict = "told"
        elif cell.outcome == "lost":
            both_are_told(load, struck)
            cell.verdict = "both told"
        everybody_is_there(lab)
        vm_is_where_it_should_be(lab, cell.outcome, SOURCE, DESTINATION)
        check_sa_truth(lab, settle=True, pkeys=pkeys_of(lab))
        if cell.verdict != "-":
            load.kill()
            load = Load(lab, "next")
        next_one_works(lab, load)
        pause_s = both_are_exact(load)
        if cell.verdict == "-":
            cell.verdict, cell.pause_s = "exact", pause_s
        check_sa_truth(lab, pkeys=pkeys_of(lab))


def row_of(cell):
    pause = "-" if cell.pause_s is None else f"{cell.pause_s:.2f}"
    return cell.kind, cell.victim.name, cell.step, cell.place, cell.outcome, f"{cell.seconds:.2f}", cell.verdict, pause


def print_table(done):
    print_rows([("kind", "victim", "killed in", "", "outcome", "s", "rc-verify", "longest pause, s"), *map(row_of, done)])


def print_matrix(done):
    """The same in short, as DESIGN.md has it: in each field the outcomes of before and after."""
    def field(kind, step, victim):
        outcomes = [cell.outcome for cell in done if (cell.kind, cell.step, cell.victim) == (kind, step, victim)]
        return ", ".join(dict.fromkeys(outcomes)) or "-"

    for kind, steps in (("swap", STEPS), ("copy", ALL_STEPS), ("guests", STEPS)):
        victims = [victim for victim in [*VICTIMS, *GUESTS_VICTIMS[:2]] if any((cell.kind, cell.victim) == (kind, victim) for cell in done)]
        print_rows([(f"{kind}, killed in", *(victim.name for victim in victims)),
                    *((step, *(field(kind, step, victim) for victim in victims)) for step in steps)])


def main():
    tap, done = Tap(), []
    for cell in cells():
        if is_asked_for(cell, sys.argv[1:]):
            tap.run(f"{cell.name.replace('/', ', ')}", run_cell, cell)
            done.append(cell)
    print_table(done)
    if len(done) == len(cells()):
        print_matrix(done)
    tap.exit()


main()
