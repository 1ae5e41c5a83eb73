#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Fleets whose programs are of two versions, one apart: rc-verify through a move in each combination, exact. Short: all
older, then one after the other new, then (agents under tether-smd) older again; so each kind of link has the older one at either end. With
TETHER_FULL=1 every combination, each different from the one before by one program. Further apart, and where a migration needs
the newer one: refused by name, nothing changed."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.fleet import NEWEST, OLDEST, Fleet  # noqa: E402
from lab.system import PATIENT, CommandFailed  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

HOSTS = ("hyp1", "hyp2", "hyp3")
DAEMONS = ("OpenSM", "smd", *HOSTS)
# VM 2's host keeps it: VM 1 goes to and fro, so each host has each part that it can have.
LABS = {
    "agents under tether-smd": ({"hosts": HOSTS}, ["hyp1", "hyp3", "smd", "hyp2", "OpenSM", "vm1", "vm2"]),
    "agents in VMs, and one between": ({"hosts": HOSTS, "guests": True, "tree": {"hyp1": "rack", "hyp2": "rack"}},
                                      ["vm2", "hyp1", "vm1's agent", "hyp3", "rack", "vm2's agent", "smd", "hyp2", "vm1"]),
}
WORK = ["-q", "4", "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400"]
FAULTS = ({}, {"drop.ack": 0.5, "hold": "1:300000"}, {"drop.ack": 1})


class Walk:
    """VM 1 between hyp1 and hyp3 while rc-verify runs; programs of either version are started where they change."""

    def __init__(self, lab):
        self.lab, self.at, self.verify, self.moves = lab, "hyp1", None, 0

    def start_programs(self):
        if self.verify:
            self.verify.end_exactly()
        self.verify = RcVerify(self.lab, "vm2", "vm1", WORK)
        wait_until("rc-verify works", self.verify.is_working, 30, self.verify.logs(), [self.verify.client])

    def turn(self, who):
        self.lab.turn(who)
        if who in self.lab.vms:
            self.start_programs()
        self.lab.wait_together()

    def move(self):
        to = "hyp3" if self.at == "hyp1" else "hyp1"
        self.lab.fabric.data_faults(FAULTS[self.moves % len(FAULTS)])
        try:
            answer = self.lab.migrate("vm1", to)
        finally:
            self.lab.fabric.data_faults({})
        assert answer["outcome"] == "done", answer
        assert self.verify.is_running(), self.verify.words()
        self.at = to
        self.moves += 1


def one_after_the_other(walk, positions):
    for _ in ("new", "older again") if "OpenSM" in positions else ("new",):
        for who in positions:
            walk.turn(who)
            walk.move()


def all_combinations(walk, positions):
    """In the order of a Gray code; forth and back in each."""
    for number in range(1, 1 << len(positions)):
        walk.turn(positions[(number & -number).bit_length() - 1])
        walk.move()
        walk.move()


def everything_arrives_once(lab, positions):
    walk = Walk(lab)
    walk.start_programs()
    lab.wait_together()
    walk.move()
    (all_combinations if FULL else one_after_the_other)(walk, positions)
    walk.verify.end_exactly()
    check_sa_truth(lab)
    print(f"# | {walk.moves} migrations", flush=True)


def refused(lab, names):
    """The migration of VM 1 to hyp3 is, by all of @names, and nothing has changed."""
    before = lab.fabric.lft_dump(), lab.fabric.slots()
    try:
        lab.migrate("vm1", "hyp3")
    except CommandFailed as error:
        for name in names:
            assert name in str(error), f"does not say {name}: {error}"
    else:
        raise AssertionError("the command has succeeded")
    assert (lab.fabric.lft_dump(), lab.fabric.slots()) == before, "something has changed"


# Who speaks the older one, and what the refusal calls him.
NEEDED = {"hyp1": "hyp1", "hyp2": "hyp2", "hyp3": "hyp3", "OpenSM": "sm", "vm1": "hyp1/vm1/", "vm2": "hyp2/vm2/"}


def who_speaks_less_than_is_needed_is_named(lab):
    """The operator wants the newer one of everybody (protocol_least)."""
    walk = Walk(lab)
    walk.start_programs()
    for who, name in NEEDED.items():
        walk.turn(who)
        refused(lab, ["older-protocol", name, f"speaks version {OLDEST} of the protocol, and this migration needs {NEWEST}"])
        assert walk.verify.is_running(), walk.verify.words()
        walk.turn(who)
    walk.move()
    walk.verify.end_exactly()


def pretend(lab, versions):
    before, lab.pretended = lab.pretended, versions
    for who in [who for who in (*DAEMONS, *lab.vms) if before.get(who) != versions.get(who)]:
        if who not in lab.vms:
            lab.start_again(who)


def says(lab, log, text):
    wait_until(f"{log} says that it {text}", lambda: text in open(lab.path(log), errors="replace").read(), 30, [lab.path(log)])


AGENT_TO_NEW = f"speaks versions {NEWEST} to {NEWEST + 1} of the protocol, this relay version {OLDEST}: they may be one version apart"
AGENT_TO_OLD = f"speaks version {OLDEST} of the protocol, this relay versions {NEWEST} to {NEWEST + 1}: they may be one version apart"
PLUGIN_TO_NEW = f"speaks versions {NEWEST} to {NEWEST + 1} of the protocol, this tether-smd version {OLDEST}: they may be one version apart"
PLUGIN_TO_OLD = f"speaks version {OLDEST} of the protocol, this tether-smd versions {NEWEST} to {NEWEST + 1}: they may be one version apart"


def an_agent_two_apart_is_refused(lab):
    for smd, agent, text in ((OLDEST, NEWEST + 1, AGENT_TO_NEW), (NEWEST + 1, OLDEST, AGENT_TO_OLD)):
        pretend(lab, {**{who: smd for who in ("smd", "hyp1", "hyp2", "OpenSM")}, "hyp3": agent})
        lab.wait_connected(("hyp1", "hyp2"))
        says(lab, "smd.log", text)
        says(lab, "agent-hyp3.log", text)
        refused(lab, ["hyp3"])
        pretend(lab, {})
        lab.wait_connected(HOSTS)


def a_program_two_apart_is_as_one_without_libtether(lab):
    """Its agent says why, and the migration names its queue pairs."""
    pretend(lab, {**dict.fromkeys(DAEMONS, OLDEST), "vm1": NEWEST + 1})
    lab.wait_connected(HOSTS)
    walk = Walk(lab)
    walk.start_programs()
    says(lab, "agent-hyp1.log", AGENT_TO_NEW)
    refused(lab, ["vm-qp-without-shim", f"lid {lab.lid_of('vm1')} qp 0x"])
    assert walk.verify.is_running(), walk.verify.words()
    walk.verify.end_exactly()
    pretend(lab, {})
    lab.wait_connected(HOSTS)
    walk = Walk(lab)
    walk.start_programs()
    walk.move()
    walk.move()
    walk.verify.end_exactly()


def a_plugin_two_apart_is_refused(lab):
    for smd, plugin, text in ((OLDEST, NEWEST + 1, PLUGIN_TO_NEW), (NEWEST + 1, OLDEST, PLUGIN_TO_OLD)):
        versions = {who: smd for who in ("smd", *HOSTS)}
        pretend(lab, {**versions, "OpenSM": plugin})
        wait_until("all hosts are there", lambda: lab.has_hosts(HOSTS), 30, lab.logs())
        says(lab, "smd.log", text)
        refused(lab, ["sm-lost"])
        pretend(lab, {})
        lab.wait_connected(HOSTS)


def main():
    tap = Tap()
    for what, (named, positions) in LABS.items():
        with Fleet(older=[*positions], copy_ms=5, **named) as lab:
            lab.start()
            tap.run(f"everything_arrives_once: {what}", everything_arrives_once, lab, positions)
    with Fleet(hosts=HOSTS, copy_ms=5, settings={**PATIENT, "plan_ms": 1000}) as lab:
        lab.start()
        tap.run("an_agent_two_apart_is_refused", an_agent_two_apart_is_refused, lab)
        tap.run("a_program_two_apart_is_as_one_without_libtether", a_program_two_apart_is_as_one_without_libtether, lab)
        tap.run("a_plugin_two_apart_is_refused", a_plugin_two_apart_is_refused, lab)
    with Fleet(hosts=HOSTS, copy_ms=5, smd_settings={"protocol_least": NEWEST}) as lab:
        lab.start()
        tap.run("who_speaks_less_than_is_needed_is_named", who_speaks_less_than_is_needed_is_named, lab)
    tap.exit()


main()
