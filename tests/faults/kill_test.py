#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: kill_test.py [VICTIM/STEP/PLACE ...]

Whoever is killed in whatever step of a migration: it ends by name, nobody hangs past the overall deadline, nothing is
executed twice, SA and fabric agree after the restart, and the next migration works. VM 1 moves from hyp1 to hyp3 while
rc-verify in it talks to VM 2 on hyp2; victims.py says who dies where, and why that is exact. Each cell of the table has
a system of its own. A few cells, in which each victim appears; all of them with TETHER_FULL=1; those named (words may
be left out: "OpenSM", "/applying", "tether-smd//after") otherwise."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import (DESTINATION, GRACE_S, NEXT, OVERALL_S, SOURCE, STEPS, VICTIMS, KillLab, Load,  # noqa: E402
                            start_migration, verdict_of)
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

QUICK = {"source agent/stopping/after", "source agent/moving/after", "destination agent/attaching/before",
         "peer agent/settling/after", "tether-smd/releasing/before", "tether-smd/applying/after",
         "OpenSM/leasing/before", "OpenSM/applying/after", "VM's process/settling/after",
         "peer's process/reconnecting/before"}
BEFORE_COMMIT = ("preparing", "stopping", "settling")


class Cell:
    def __init__(self, victim, step, place):
        self.victim, self.step, self.place = victim, step, place
        self.outcome = self.verdict = "-"
        self.seconds = 0.0

    @property
    def name(self):
        return f"{self.victim.name}/{self.step}/{self.place}"

    def outcomes(self):
        """What may come of it. A VM whose only process is dead has lost its connections, if that shows too late."""
        if self.victim.name == "tether-smd":
            return ("aborted",) if self.step in BEFORE_COMMIT else ("done",)
        lost = ("lost",) if self.victim.is_process else ()
        if self.step in BEFORE_COMMIT:
            return ("refused", "aborted", "done", *lost)
        return ("done", "failed-at-source", *lost)


def cells():
    return [Cell(victim, step, place) for step in STEPS for victim in VICTIMS for place in victim.places(step)]


def is_asked_for(cell, wishes):
    if wishes:
        return any(all(word in ("", own) for word, own in zip(wish.split("/"), cell.name.split("/")))
                   for wish in wishes)
    return FULL or cell.name in QUICK


def ended(lab):
    """The migration that was asked for last, when it has ended. A tether-smd that is being started answers later."""
    try:
        rows = lab.migrations()
    except OSError:
        return None
    return rows[0] if rows and rows[0]["ended"] else None


def everybody_is_there(lab):
    """After the restart: no daemon has ended, agents and SM are connected, the SM has swept."""
    lab.wait_connected(lab.hosts)
    lab.fabric.opensm_wait_up(START_S)
    assert not lab.obituary(), lab.obituary()


def vm_is_where_it_should_be(lab, outcome):
    place = lab.place_of("vm1")
    assert place and place[1], f"VM 1 has no VF: {place}"
    if outcome != "lost":
        assert place[0] == (DESTINATION if outcome == "done" else SOURCE), f"{outcome}, and VM 1 is at {place}"


def is_unharmed(verdict):
    """Whatever else has happened: nothing came twice or changed."""
    return verdict and not any(verdict[name] for name in ("duplicated", "corrupted", "out_of_order"))


def told_verdict(process, words):
    verdict = verdict_of(process)
    assert is_unharmed(verdict), f"{process.name}: {verdict}{words}"
    assert verdict["errors"], f"{process.name} ended without having been told anything: {verdict}"
    return "told"


def survivor_is_told(cell, load, struck):
    """Its queue pairs end with errors; it hears nothing else. By the overall deadline of the migration."""
    survivor = cell.victim.survivor(load)
    survivor.wait(max(0.1, struck + OVERALL_S + GRACE_S - time.monotonic()))
    return told_verdict(survivor, tails([survivor.log]))


def both_are_told(load, struck):
    for process in (load.server, load.client):
        process.wait(max(0.1, struck + OVERALL_S + GRACE_S - time.monotonic()))
        told_verdict(process, tails(load.logs()))
    return "both told"


def both_are_exact(load):
    load.stop()
    for process in (load.client, load.server):
        process.wait(OVERALL_S + GRACE_S)
        verdict = verdict_of(process)
        assert verdict.get("ok"), f"{process.name}: {verdict}{tails(load.logs())}"
    return "exact"


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
    migration = wait_until("the migration has ended", lambda: ended(lab), 2 * OVERALL_S, lab.logs())
    cell.seconds = time.monotonic() - struck
    cell.outcome = migration["outcome"]
    command.wait(GRACE_S)
    assert cell.outcome in cell.outcomes(), f"{cell.outcome}{tails([lab.path('smd.log')])}"
    return struck


def run_cell(cell):
    with KillLab() as lab:
        cell.victim.arm(lab, cell.step, cell.place)
        process_env = {role: lab.armed.get(role) for role in ("process", "peer-process")}
        lab.start()
        load = Load(lab, server_env=process_env["peer-process"], client_env=process_env["process"])
        struck = strike(cell, lab, load)
        if cell.victim.is_process:
            cell.verdict = survivor_is_told(cell, load, struck)
        elif cell.outcome == "lost":
            cell.verdict = both_are_told(load, struck)
        everybody_is_there(lab)
        vm_is_where_it_should_be(lab, cell.outcome)
        check_sa_truth(lab, settle=True)
        if cell.verdict != "-":
            load.kill()
            load = Load(lab, "next")
        next_one_works(lab, load)
        verdict = both_are_exact(load)
        if cell.verdict == "-":
            cell.verdict = verdict
        check_sa_truth(lab)


def print_table(done):
    widths = [max(len(word) for word in column) for column in zip(*[row_of(cell) for cell in done])]
    for row in [("victim", "killed in", "", "outcome", "rc-verify", "s"), *map(row_of, done)]:
        print("# " + "  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip())


def row_of(cell):
    return cell.victim.name, cell.step, cell.place, cell.outcome, cell.verdict, f"{cell.seconds:.2f}"


def main():
    tap, done = Tap(), []
    for cell in cells():
        if is_asked_for(cell, sys.argv[1:]):
            tap.run(f"{cell.name.replace('/', ', ')}", run_cell, cell)
            done.append(cell)
    print_table(done)
    tap.exit()


main()
