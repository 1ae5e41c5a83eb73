#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: fault_points_test.py [PLAN/PLACE ...]

tether-smd and OpenSM killed at each of their places while a plan is carried out on a fabric with a real OpenSM: afterwards
the plan is finished or undone, every LID leads to its port, SA says where the fabric carries whom, no LID is held twice,
and the next migration is done. Which places a plan passes is noted by an undisturbed one (TETHER_PASSED). The cells of
one plan share a system; a few of them, all with TETHER_FULL=1; those named otherwise (by how they begin: "swap",
"undo/sm-", "/sm-apply:routes"). Ends with the table of places and ends."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import LONGEST_S, everybody_is_there, newest, the_end_of, vm_is_where_it_should_be  # noqa: E402
from faults.fault_points import passed, points_of, states  # noqa: E402
from faults.membership import partitions, pkeys_of  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import GRACE_S, KillLab, StubbornDriver, start_migration  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

QUICK = {"undo/smd-asked:back-undoing:1", "undo/sm-apply:port:4", "copy/smd-asked:linking:1", "copy/sm-apply:routes:1"}
FEWEST_SETS = 4
# OpenSM is asked for these at any time, or by nobody who has a plan.
NOT_OF_A_PLAN = {f"{place}:{op}" for place in ("sm-op", "sm-answer")
                 for op in ("hello", "status", "locate_all", "verify", "move_alias", "report")}


class PointLab(StubbornDriver, KillLab):
    """Whose OpenSM and tether-smd are started again and again, each time with a place to die at."""

    def __init__(self, **named):
        super().__init__(partitions=partitions, **named)
        self.at = "hyp1"

    def destination(self):
        return "hyp3" if self.at != "hyp3" else "hyp4"

    def environment_of(self, program, env):
        """@program starts anew with @env."""
        if program == "SMD":
            self.restart_smd(env)
        else:
            self.restart_opensm(env)
        self.wait_connected(self.hosts)

    def victim(self, program):
        return self.smd if program == "SMD" else self.fabric.opensms[-1].child

    def bring_back(self, program):
        if program == "SMD":
            self.start_smd()
        else:
            self.start_opensm(wait=False)


class Migration:
    """@ends: what may come of it when somebody is killed; the first one is what comes of it undisturbed. @is_dynamic: the
    hypervisors have dynamic LIDs."""

    vms = None  # those of every lab

    def __init__(self, name, ends, before=lambda lab: None, is_dynamic=False):
        self.name, self.ends, self.before, self.is_dynamic = name, ends, before, is_dynamic

    def begin(self, lab):
        self.before(lab)
        return start_migration(lab, "vm1", lab.destination())

    def ended(self, lab, known):
        """Its outcome, when all are there again."""
        row = the_end_of(lab, lambda row: row["id"] > known)
        everybody_is_there(lab)
        lab.attach_fails_at(None)
        vm_is_where_it_should_be(lab, row["outcome"], lab.at, lab.destination())
        lab.at = lab.place_of("vm1")[0]
        return row["outcome"]

    def next_one_works(self, lab):
        host = lab.destination()
        lab.migrate("vm1", host)
        lab.at = host


class Evacuation:
    """Of two VMs, who move at the same time."""

    is_dynamic = False
    name, ends, vms = "evacuate", ["done"], {"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", "vm3": "hyp1_vf2"}

    def begin(self, lab):
        return lab.children.start("tether-evacuate", [lab.build.program("tether"), "--api", lab.api_socket, "evacuate", "hyp1",
                                                      "--to", "hyp3", "--to", "hyp4", "--json"], lab.environment())

    def ended(self, lab, known):
        def the_end():
            try:
                row = lab.ask("/v1/evacuations")["evacuations"][0]
            except (OSError, IndexError):
                return None
            return row if row["ended"] and all(row["ended"] for row in lab.migrations()) else None

        row = wait_until("the evacuation has ended", the_end, LONGEST_S, lab.logs())
        everybody_is_there(lab)
        states = {vm["vm"]: vm["state"] for vm in lab.ask(f"/v1/evacuations/{row['id']}")["vms"]}
        assert set(states) == {"vm1", "vm3"}, states
        for vm, state in states.items():
            host, slot = lab.place_of(vm)
            assert slot and (host != "hyp1") == (state == "done"), f"{vm} is {state}, at {host} {slot}"
        return row["outcome"]

    def next_one_works(self, lab):
        for vm in ("vm1", "vm3"):
            if lab.place_of(vm)[0] != "hyp1":
                lab.migrate(vm, "hyp1")


def cannot_attach(lab):
    lab.attach_fails_at(lab.destination())


PLANS = [Migration("swap", ["done", "failed-at-source"]), Migration("undo", ["failed-at-source", "lost"], cannot_attach),
         Evacuation(), Migration("copy", ["done", "failed-at-source"], is_dynamic=True),
         Migration("copy-undo", ["failed-at-source", "lost"], cannot_attach, is_dynamic=True)]


def the_last(plan, place, times):
    """Of a copy the number of Sets depends on where the VM is: those of both vSwitches and of both leaves are there always."""
    if not place.startswith("sm-apply:"):
        return 1
    return min(times, FEWEST_SETS) if plan.is_dynamic and place == "sm-apply:routes" else times


def places_passed(lab, plan):
    """[(program, place, time)] of an undisturbed one. In the middle of apply and undo: the first time and the last, which
    is in the undo where there is one."""
    notes = {program: lab.path(f"{plan.name}-{program}") for program in ("SMD", "OPENSM")}
    for program, note in notes.items():
        lab.environment_of(program, {"TETHER_PASSED": note})
    command = plan.begin(lab)
    outcome = plan.ended(lab, 0)
    command.wait(START_S)
    assert outcome == plan.ends[0], outcome
    cells = [(program, place, time) for program, note in notes.items() for place, times in passed(note).items()
             if place not in NOT_OF_A_PLAN for time in sorted({1, the_last(plan, place, times)})]
    plan.next_one_works(lab)
    return cells


def before_commit(program, place):
    """Places that say so; of OpenSM's those in which it is asked before."""
    word = place.split(":")[1]
    if program == "SMD":
        return place in ("smd-intent:written", "smd-plan:written", "smd-record:releasing") or \
            states().get(word) in ("TRYING", "LEAVING")
    return word in ("locate", "plan")


def strike(lab, plan, program, place):
    """The outcome."""
    known = (newest(lab) or {"id": 0})["id"]
    victim = lab.victim(program)
    command = plan.begin(lab)
    wait_until(f"{program} has died at {place}", lambda: victim.poll() is not None, START_S, lab.logs())
    assert victim.poll() == -signal.SIGKILL, f"{program} has ended with {victim.poll()}"
    lab.bring_back(program)
    outcome = plan.ended(lab, known)
    early = ["aborted", "refused", "incomplete"] if before_commit(program, place) else []
    assert outcome in plan.ends + early, f"{outcome}{tails([lab.path('smd.log')])}"
    command.wait(GRACE_S)
    return outcome


def run_cell(lab, plan, program, place, time, table):
    lab.environment_of(program, {"TETHER_DIE_AT": f"{place}:{time}"})
    outcome = strike(lab, plan, program, place)
    check_sa_truth(lab, settle=True, pkeys=pkeys_of(lab))
    plan.next_one_works(lab)
    table.append((plan.name, "tether-smd" if program == "SMD" else "OpenSM", f"{place}:{time}", outcome))


def is_wanted(plan):
    """Is any of its cells?"""
    if sys.argv[1:]:
        return any(plan.name.startswith(wish.split("/")[0]) for wish in sys.argv[1:])
    return FULL or any(plan.name == cell.split("/")[0] for cell in QUICK)


def is_asked_for(name, wishes):
    if wishes:
        return any(all(map(str.startswith, name.split("/"), wish.split("/"))) for wish in wishes)
    return FULL or name in QUICK


def walk(tap, plan, had, table):
    with PointLab(vms=plan.vms, dynamic=plan.is_dynamic) as lab:
        lab.start()
        cells = places_passed(lab, plan)
        had.update(place for _, place, _ in cells)
        for program, place, time in cells:
            if is_asked_for(f"{plan.name}/{place}:{time}", sys.argv[1:]):
                if not tap.run(f"{plan.name}, {place}, time {time}", run_cell, lab, plan, program, place, time, table):
                    return


def the_plugins_places_are_all_passed(had, but):
    left = set(points_of("OPENSM")) - had - NOT_OF_A_PLAN - but
    assert not left, f"no plan passes {sorted(left)}"


def print_matrix(table):
    """In short, as DESIGN.md has it: what came of a plan when somebody was killed in a state, an op, a part of apply."""
    def field(word, plan):
        ends = [outcome for name, _, place, outcome in table if (place.split(":")[1], name) == (word, plan)]
        return ", ".join(dict.fromkeys(ends)) or "-"

    words = dict.fromkeys((victim, place.split(":")[1]) for _, victim, place, _ in table)
    print_rows([("killed", "in", *(plan.name for plan in PLANS)),
                *((*row, *(field(row[1], plan.name) for plan in PLANS)) for row in words)])


def the_table_has_a_row_for_each(had):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "DESIGN.md")) as text:
        rows = {line.split("|")[2].strip() for line in text if line.startswith(("| tether-smd |", "| OpenSM |"))}
    missing = {place.split(":")[1] for place in had} - rows
    assert not missing, f"DESIGN.md has no row for {sorted(missing)}"


def main():
    tap, had, table = Tap(), set(), []
    for plan in filter(is_wanted, PLANS):
        walk(tap, plan, had, table)
    if not sys.argv[1:]:
        # Only consistent plans have more waves than one: plan_kill_test.py.
        tap.run("no place of the plugin's is without a plan that passes it", the_plugins_places_are_all_passed, had,
                {"sm-apply:wave"})
    tap.run("DESIGN.md has a row for each", the_table_has_a_row_for_each, had)
    print_rows([("plan", "killed", "at", "outcome"), *table])
    if FULL and not sys.argv[1:]:
        print_matrix(table)
    tap.exit()


main()
