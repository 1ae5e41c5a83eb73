#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: vm_fault_points_test.py [KIND/PLACE ...]

tether-smd, OpenSM and the host's agent killed at each of their places while a VM with a dynamic LID is created or destroyed, on a fabric with a
real OpenSM: afterwards it is finished or undone, no LID is promised to nobody or held twice, SA says where the fabric carries
whom, and the VM comes and goes once more. Which places are passed is noted by an undisturbed one. The cells of a kind share a
system; a few of them, all with TETHER_FULL=1; those named otherwise, by how they begin ("create", "/sm-apply:routes")."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import LONGEST_S, everybody_is_there  # noqa: E402
from faults.fault_points import passed, points_of  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import GRACE_S, KillLab  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

QUICK = {"create/sm-apply:routes:1", "destroy/vm-asked:end-applying:1"}
VM, HOST = "vm3", "hyp3"
VICTIMS = {"SMD_VMS": "tether-smd", "OPENSM": "OpenSM", "AGENT": "agent"}
ORDERS = {f"{place}:{verb}" for place in ("order", "ordered") for verb in ("check", "set-guids", "attach", "detach")}
# Asked for at any time, or by nobody who creates and destroys.
NOT_OF_A_VM = {f"{place}:{op}" for place in ("sm-op", "sm-answer") for op in ("status", "verify", "move_alias", "report", "undo", "locate")}
# Nothing has changed yet.
ASKED_ONLY = ("checking", "asking", "written", "plan", "check")
BEFORE_THE_RECORD = ("vm-record:naming", "vm-record:detaching")


class VmLab(KillLab):
    def __init__(self):
        super().__init__(dynamic=True)

    def opensm_conf(self):
        """A LID does not rest for longer than a cell takes."""
        return {**super().opensm_conf(), "packet_life_time": "0xc"}

    def environment_of(self, program, env):
        """@program starts anew with @env."""
        if program == "SMD_VMS":
            self.restart_smd(env)
        elif program == "AGENT":
            self.agents[HOST].signal(signal.SIGTERM)
            self.agents[HOST].wait(START_S)
            self.armed[HOST] = env
            self.start_agent(HOST)
        else:
            self.restart_opensm(env)
        self.wait_connected(self.hosts)

    def victim(self, program):
        return {"SMD_VMS": self.smd, "AGENT": self.agents[HOST]}.get(program) or self.fabric.opensms[-1].child

    def bring_back(self, program):
        if program == "SMD_VMS":
            self.start_smd()
        elif program == "AGENT":
            self.start_agent(HOST)
        else:
            self.start_opensm(wait=False)

    def begin(self, *words):
        return self.children.start(f"tether-{words[0]}", [self.build.program("tether"), "--api", self.api_socket, *words],
                                   self.environment())

    def change(self):
        """The VM's latest, or None."""
        try:
            return self.ask(f"/v1/vms/{VM}").get("change")
        except OSError:
            return None

    def slot(self):
        return next((row["slot"] for row in self.fabric.json("vm", "list") if row["vm"] == VM), None)

    def promised_lids(self):
        """{port GUID: LID}, as OpenSM has them on disk."""
        with open(os.path.join(self.opensm_cache, "guid2lid"), encoding="ascii") as rows:
            return {guid: int(low, 16) for guid, low, _ in map(str.split, filter(str.strip, rows))}


class Kind:
    def __init__(self, name, is_there_before):
        self.name, self.is_there_before = name, is_there_before

    def words(self):
        return ("destroy", VM) if self.is_there_before else ("create", VM, HOST)

    def make_ready(self, lab):
        if bool(lab.slot()) != self.is_there_before:
            lab.tether(*(("create", VM, HOST) if self.is_there_before else ("destroy", VM)))


KINDS = [Kind("create", False), Kind("destroy", True)]


def ended(lab, known):
    """The outcome of the change after number @known; None: it never began."""
    def the_end():
        change = lab.change()
        if not lab.is_connected(lab.hosts):
            return None
        if not change or change["id"] <= known:
            return "never"
        return change["ended"] and change["outcome"]

    outcome = wait_until("it has ended", the_end, LONGEST_S, lab.logs())
    everybody_is_there(lab)
    return None if outcome == "never" else outcome


def is_in_order(lab, kind, outcome):
    assert bool(lab.slot()) == (kind.is_there_before != (outcome == "done")), f"{outcome}: the VM has {lab.slot()}"
    check_sa_truth(lab, settle=True)
    rows = lab.fabric.slots()
    up = {row["node"] for row in lab.fabric.dump("ports") if row["state"] != "down"}
    assert up & {row["slot"] for row in rows} == {row["slot"] for row in rows if row["vm"]}
    kept = set(lab.promised_lids()) & {row["port_guid"] for row in rows if not row["vm"]}
    assert not kept, f"guid2lid keeps {kept}"


def number_of(lab):
    change = lab.change()
    return change["id"] if change else 0


def places_passed(lab, kind):
    """[(program, place, time)] of an undisturbed one. In the middle of apply: the first time and the last."""
    kind.make_ready(lab)
    notes = {program: lab.path(f"{kind.name}-{program}") for program in VICTIMS}
    for program, note in notes.items():
        lab.environment_of(program, {"TETHER_PASSED": note})
    lab.tether(*kind.words())
    is_in_order(lab, kind, "done")
    mine = set(points_of("SMD_VMS")) | set(points_of("OPENSM")) - NOT_OF_A_VM | ORDERS
    return [(program, place, time) for program, note in notes.items() for place, times in passed(note).items()
            if place in mine for time in sorted({1, times if place.startswith("sm-apply:") else 1})]


def run_cell(lab, kind, program, place, time, table):
    kind.make_ready(lab)
    known = number_of(lab)
    lab.environment_of(program, {"TETHER_DIE_AT": f"{place}:{time}"})
    victim = lab.victim(program)
    command = lab.begin(*kind.words())
    wait_until(f"{program} has died at {place}", lambda: victim.poll() is not None, START_S, lab.logs())
    assert victim.poll() == -signal.SIGKILL, f"{program} has ended with {victim.poll()}"
    lab.bring_back(program)
    outcome = ended(lab, known)
    command.wait(GRACE_S)
    early = place in BEFORE_THE_RECORD or place.split(":")[1] in ASKED_ONLY
    assert outcome in (("done", "failed", "refused") if early else ("done", "failed")), f"{outcome}{tails([lab.path('smd.log')])}"
    is_in_order(lab, kind, outcome)
    kind.make_ready(lab)
    lab.tether(*kind.words())
    is_in_order(lab, kind, "done")
    table.append((kind.name, VICTIMS[program], f"{place}:{time}", outcome))


def is_asked_for(name):
    wishes = sys.argv[1:]
    if wishes:
        return any(all(map(str.startswith, name.split("/"), wish.split("/"))) for wish in wishes)
    return FULL or name in QUICK


def walk(tap, kind, table):
    with VmLab() as lab:
        lab.start()
        lab.fabric.cli("vm", "add", VM)
        for program, place, time in places_passed(lab, kind):
            if is_asked_for(f"{kind.name}/{place}:{time}"):
                if not tap.run(f"{kind.name}, {place}, time {time}", run_cell, lab, kind, program, place, time, table):
                    return


def main():
    tap, table = Tap(), []
    for kind in KINDS:
        walk(tap, kind, table)
    print_rows([("kind", "killed", "at", "outcome"), *table])
    tap.exit()


main()
