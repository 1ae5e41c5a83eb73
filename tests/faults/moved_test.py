#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""That a VM has moved is said to exactly the agents with interest in its address, once, wherever tether-smd is killed around
that and started again. vm1 goes to and fro between hyp1 and hyp3; its peers are on hyp2 and hyp4, this one behind an agent
between; a program on hyp3 talks to hyp2 only."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import all_know, the_end_of, told_of  # noqa: E402
from faults.victims import KillLab, has_stopped, start_migration  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import PATIENT, START_S  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

# Of vm5 there is no program.
VMS = {"vm5": "hyp1_vf2", "vm1": "hyp1_vf1", "vm2": "hyp2_vf1", "vm3": "hyp3_vf1", "vm4": "hyp4_vf1"}
TREE = {"hyp4": "rack1"}
CONCERNED = {"hyp2": 1, "hyp4": 1}
PLACES = ["smd-recorded:done", "smd-news:answered"]
if FULL:
    PLACES += ["smd-record:done", "smd-news:sent", "smd-news:written"]


class Mover:
    """vm1 goes to and fro between hyp1 and hyp3."""

    def __init__(self, lab):
        self.lab, self.at, self.number = lab, "hyp1", 0
        self.others = {}  # {number of another VM's migration: who is told}

    def move_another(self, vm, host, told):
        self.number += 1
        self.others[self.number] = told
        assert self.lab.migrate(vm, host)["outcome"] == "done"

    def begin(self):
        self.at = "hyp3" if self.at == "hyp1" else "hyp1"
        self.number += 1
        return start_migration(self.lab, "vm1", self.at)

    def end(self):
        migration = the_end_of(self.lab, lambda row: row["id"] == self.number)
        assert migration["outcome"] == "done", migration
        wait_until("all have been told", lambda: all_know(self.lab, self.number), START_S, self.lab.logs())
        assert told_of(self.lab, self.number) == CONCERNED, told_of(self.lab, self.number)


def undisturbed(lab, mover):
    command = mover.begin()
    command.wait(START_S)
    mover.end()


def killed_at(lab, mover, place):
    lab.restart_smd({"TETHER_DIE_AT": place})
    lab.wait_connected(lab.hosts)
    mover.begin()
    assert lab.smd.wait(START_S) == -signal.SIGKILL
    lab.start_smd()
    lab.wait_connected(lab.hosts)
    mover.end()


def processes_are_back(lab):
    """Those of vm2 with the agent of hyp2."""
    agents = {agent["name"]: agent for agent in lab.tether("agents")["agents"]}
    return agents["hyp2"]["answered"] and sum(vm["processes"] for vm in agents["hyp2"]["vms"]) == 2


def struck(lab, mover, what):
    """The agent of hyp2 dies or stops as it is told, and comes back."""
    lab.agents["hyp2"].kill()
    lab.armed["hyp2"] = {what: "relay:MOVED"}
    lab.start_agent("hyp2")
    wait_until("its processes are back", lambda: processes_are_back(lab), START_S, lab.logs())
    mover.begin()
    if what == "TETHER_STOP_AT":
        wait_until("it has stopped", lambda: has_stopped(lab.agents["hyp2"]), START_S, lab.logs())
        wait_until("it is away", lambda: not lab.is_connected(["hyp2"]), START_S, lab.logs())
        lab.agents["hyp2"].signal(signal.SIGCONT)
    else:
        lab.agents["hyp2"].wait(START_S)
        lab.start_agent("hyp2")
    mover.end()


def counters_of(lab):
    return {agent["name"]: agent["counters"] for agent in lab.tether("agents")["agents"]}


def nobody_heard_more(lab, mover):
    """After another start, too."""
    lab.restart_smd({})
    lab.wait_connected(lab.hosts)
    expected = [mover.others.get(number, CONCERNED) for number in range(1, mover.number + 1)]
    assert [told_of(lab, number) for number in range(1, mover.number + 1)] == expected, expected
    counters = counters_of(lab)
    for host in lab.hosts:
        assert counters[host]["moved"] == sum(host in told for told in expected), f"{host}: {counters[host]}"


def one_peer_and_none(lab, mover):
    mover.move_another("vm3", "hyp4", {"hyp2": 1})
    mover.move_another("vm5", "hyp2", {})
    mover.move_another("vm3", "hyp3", {"hyp2": 1})


def main():
    tap = Tap()
    with KillLab(vms=VMS, tree=TREE, settings={**PATIENT, "heartbeat_ms": 1000}) as lab:
        lab.start()
        work = ["-q", "2", "--depth", "16"]
        pairs = [RcVerify(lab, server, client, work, name=f"{server}-{client}")
                 for server, client in (("vm2", "vm1"), ("vm4", "vm1"), ("vm3", "vm2"))]
        for pair in pairs:
            wait_until(f"{pair.name} works", pair.is_working, START_S, pair.logs(), [pair.client])
        mover = Mover(lab)
        tap.run("agents with interest in the VM's address are told once, others are not", undisturbed, lab, mover)
        tap.run("of a VM with one peer one is told, of one with none nobody is", one_peer_and_none, lab, mover)
        for place in PLACES:
            tap.run(f"so they are where tether-smd is killed at {place}", killed_at, lab, mover, place)
        tap.run("nobody has heard more, by its counters", nobody_heard_more, lab, mover)
        for what, how in (("TETHER_STOP_AT", "stopped"), ("TETHER_DIE_AT", "killed")):
            tap.run(f"an agent that is {how} as it is told, and comes back, is told once", struck, lab, mover, what)
        for pair in pairs:
            tap.run(f"{pair.name} has lost nothing", pair.end_exactly)
    tap.exit()


if __name__ == "__main__":
    main()
