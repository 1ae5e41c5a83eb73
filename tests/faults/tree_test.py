#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Agents between tether-smd and the hypervisors, up to three links deep. VMs of any branch move to any other while rc-verify
works: nothing lost, repeated or changed, as without them. An agent between that is killed in a step, and started again,
costs at most that migration. Whoever is behind one that is away is away, too.

      tether-smd - row1 - rack1 - hyp1, hyp2
                 |      `- hyp3
                 `- hyp4
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import both_are_exact, everybody_is_there, the_end_of, told_of  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import GRACE_S, KillLab, Load, start_migration  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

TREE = {"hyp1": "rack1", "hyp2": "rack1", "rack1": "row1", "hyp3": "row1"}
MIGRATIONS = 24 if FULL else 4
BETWEEN = ("row1", "rack1")
STEPS = ("PREPARE", "STOP", "SETTLE", "RELEASE", "RECONNECT", "RESUME")
KILLS = [(name, place, step) for name in BETWEEN for place in ("relay", "relay-answer") for step in STEPS]
ANSWER = re.compile(r"migration (\d+)/\d+: ([A-Z]+)\.\d+ (\w+), (\d+) answered, (\d+) missing")
QUICK = [("row1", "relay", "STOP"), ("row1", "relay", "SETTLE"), ("rack1", "relay-answer", "RECONNECT")]


def connected(lab):
    return {row["name"] for row in lab.ask("/v1/hypervisors")["hypervisors"] if row["connected"]}


def all_are_there(lab):
    assert connected(lab) == set(lab.hosts)
    vms = {row["name"]: row["host"] for row in lab.ask("/v1/vms")["vms"]}
    assert vms == {"vm1": "hyp1", "vm2": "hyp2"}, vms


def vms_move_between_branches(lab):
    load = Load(lab)
    turns = Turns(lab)
    peers = {}
    for _ in range(MIGRATIONS):
        moved = turns.move()
        assert moved.answer["outcome"] == "done", moved.answer
        peers[moved.answer["id"]] = turns.at["vm2" if moved.vm == "vm1" else "vm1"]
    wait_until("the last move is told", lambda: told_of(lab, max(peers)), START_S, lab.logs())
    both_are_exact(load)
    check_sa_truth(lab)
    for number, host in peers.items():
        assert told_of(lab, number) == {host: 1}, f"{number}: {told_of(lab, number)}, and the peer is on {host}"


def who_is_behind_one_that_is_away_is_away(lab):
    lab.agents["row1"].kill()
    wait_until("all but hyp4 are away", lambda: connected(lab) == {"hyp4"}, START_S, lab.logs())
    lab.start_between("row1")
    lab.wait_connected(lab.hosts)


def no_step_was_done_without_anybody(lab):
    """All of vm1's and vm2's processes are behind row1; ATTACH is asked of the VM's alone."""
    with open(lab.path("agent-row1.log"), errors="replace") as log:
        rows = [row.groups() for row in map(ANSWER.search, log) if row]
    asked = max(int(answered) for number, step, outcome, answered, missing in rows if step == "PREPARE")
    assert asked >= 2, rows
    for number, step, outcome, answered, missing in rows:
        if number == "1" and step in ("STOP", "SETTLE", "RELEASE", "RECONNECT", "RESUME") and outcome.upper() == "DONE":
            assert int(answered) == asked, f"{step} was done by {answered} of {asked}: {rows}"


def killed(name, place, step):
    with KillLab(tree=TREE) as lab:
        lab.armed[name] = {"TETHER_DIE_AT": f"{place}:{step}"}
        lab.start()
        load = Load(lab)
        command = start_migration(lab, "vm1", "hyp3")
        lab.agents[name].wait(START_S)
        lab.start_between(name)
        migration = the_end_of(lab)
        command.wait(GRACE_S)
        before = step in ("PREPARE", "STOP", "SETTLE")
        assert migration["outcome"] in (("refused", "aborted", "done") if before else ("done", "failed-at-source")), migration
        no_step_was_done_without_anybody(lab)
        everybody_is_there(lab)
        lab.migrate("vm1", "hyp4")
        assert lab.place_of("vm1")[0] == "hyp4"
        both_are_exact(load)
        check_sa_truth(lab)
        print(f"# | {name} killed at {place}:{step}: {migration['outcome']}", flush=True)


def main():
    tap = Tap()
    with KillLab(tree=TREE) as lab:
        lab.start()
        tap.run("hypervisors and VMs are known at any depth", all_are_there, lab)
        tap.run("VMs move between branches, programs see nothing of it, and the peer's agent alone is told once", vms_move_between_branches, lab)
        tap.run("who is behind an agent that is away is away, and comes back with it",
                who_is_behind_one_that_is_away_is_away, lab)
    for kill in KILLS if FULL else QUICK:
        tap.run(f"{kill[0]} may be killed at {kill[1]}:{kill[2]}", killed, *kill)
    tap.exit()


if __name__ == "__main__":
    main()
