#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: plan_kill_test.py [PLAN/PLACE ...]

OpenSM killed at each place of the plugin's apply, for each kind of plan, order and reach; the test plays hosts and
tether-smd. Afterwards the plan is finished by a new one, or undone by another: every LID leads to its port, SA says where
the fabric carries whom, no LID is held twice, and a second heavy sweep writes nothing. Which places a plan passes is
noted by an undisturbed one. A few cells; all with TETHER_FULL=1; those named otherwise, by how they begin."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.dynamic_attempts import Coming, DynamicLab, Ending, Moving  # noqa: E402
from faults.fault_points import passed  # noqa: E402
from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.plugin_lab import UP_S  # noqa: E402
from simfabric.together_lab import TogetherLab  # noqa: E402

QUICK = {"copy-consistent/sm-apply:wave:1/undone", "copy-consistent/sm-apply:wave:1/finished",
         "at-once/sm-apply:routes:1/undone"}
DONE_ALREADY = "same-place"  # bring-up has found the GUIDs where they are


class Mortal:
    """@armed: added to the environment of the OpenSM that is started next."""

    armed = {}

    def environment(self):
        return {**super().environment(), **self.armed}

    def start_anew(self, **armed):
        self.opensm().kill()
        self.armed = armed
        self.start_opensm()


class SwapLab(Mortal, TogetherLab):
    """Prepopulated LIDs: every slot has one."""

    def __init__(self):
        # Or else a plan that drops first pauses for a second.
        super().__init__(settings={"packet_life_time": "0xc"})

    def free_pairs(self, count):
        """(from, to) slots on different hypervisors, none twice."""
        slots = self.slots()
        left = [slot for slot in slots if slot.startswith(("hyp1", "hyp2"))]
        right = [slot for slot in slots if slot.startswith(("hyp3", "hyp4"))]
        return list(zip(left[::2], right[1::2]))[:count]


class EmptySlotsLab(Mortal, DynamicLab):
    """Dynamic LIDs. Between two cells both slots are empty."""

    def __init__(self):
        # A LID does not rest for longer than a cell takes.
        super().__init__(("hyp1_vf1", "hyp3_vf1"), settings={"packet_life_time": "0xc"})


class Plan:
    def __init__(self, name, count=1, **how):
        self.name, self.count, self.how = name, count, how

    lab = SwapLab

    def attempt(self, lab):
        return Swap(lab, self)


class PlansAtOnce(Plan):
    """As many plans as there are moves, which wait for their turn together."""

    def attempt(self, lab):
        return AtOnce(lab, self)


class DynamicPlan(Plan):
    lab = EmptySlotsLab

    def __init__(self, name, attempt, **how):
        super().__init__(name, **how)
        self.attempt_of = attempt

    def attempt(self, lab):
        return self.attempt_of(lab, self)


PLANS = [Plan("fast", order="fast"), Plan("consistent", order="consistent"), Plan("drop-first", order="drop-first"),
         Plan("minimum", reach="minimum"), Plan("minimum-consistent", reach="minimum", order="consistent"),
         Plan("together", 3, order="fast"), Plan("together-consistent", 3, order="consistent"),
         PlansAtOnce("at-once", 3, order="fast"), PlansAtOnce("at-once-consistent", 3, order="consistent"),
         DynamicPlan("create", Coming), DynamicPlan("copy", Moving), DynamicPlan("copy-consistent", Moving, order="consistent"),
         DynamicPlan("destroy", Ending)]


def moves_of(lab, guids, places):
    return [{"vm_port_guid": guid, **place} for guid, place in zip(guids, places)]


class Swap:
    """VMs by their GUIDs, and where each sits before and after."""

    def __init__(self, lab, plan):
        self.lab, self.how = lab, plan.how
        self.pairs = lab.free_pairs(plan.count)
        self.guids = [lab.guid_at(source) for source, _ in self.pairs]
        self.before = [lab.place_of(source) for source, _ in self.pairs]
        self.after = [lab.place_of(destination) for _, destination in self.pairs]

    def exchange(self):
        for source, destination in self.pairs:
            self.lab.exchange_guids(source, destination)

    def to(self, places):
        return moves_of(self.lab, self.guids, places)

    def begin(self):
        """As far as it comes."""
        plan = self.lab.ask("plan", moves=self.to(self.after), **self.how)
        sm, migration = self.lab.leased()
        with sm:
            self.exchange()
            return sm.ask("apply", hash=plan["hash"], migration=migration)

    def finish(self):
        """A new plan from the tables as they are; each VM whose move is not done by itself."""
        self.carry_out()
        self.are_at([destination for _, destination in self.pairs])

    def carry_out(self):
        sm, migration = self.lab.leased()
        with sm:
            for move in self.to(self.after):
                try:
                    plan = sm.ask("plan", moves=[move], **self.how)
                except Refused as error:
                    assert error.reason == DONE_ALREADY, str(error)
                    continue
                assert sm.ask("apply", hash=plan["hash"], migration=migration)["verified"]

    def undo(self):
        """A new plan back, as somebody makes it who knows no hash any more."""
        sm, migration = self.lab.leased()
        with sm:
            self.exchange()
            for move in self.to(self.before):
                assert sm.ask("undo", moves=[move], migration=migration)["verified"]
        self.are_at([source for source, _ in self.pairs])

    def again(self, is_undone):
        """As before the cell."""
        if not is_undone:
            self.undo()

    def are_at(self, slots):
        found = [self.lab.guid_at(slot) for slot in slots]
        assert found == self.guids, f"{slots} show {found}, not {self.guids}"


class AtOnce(Swap):
    def begin(self):
        movers = self.lab.movers(self.pairs, **self.how)
        answers = self.lab.apply_at_once(movers)
        assert all(answer["ok"] and answer["together"] == len(movers) for answer in answers), answers
        for mover in movers:
            mover.release()


def places_passed(lab, plan):
    """{place: how often}, of a plan that is applied."""
    note = lab.path(f"passed-{plan.name}")
    lab.start_anew(TETHER_PASSED=note)
    attempt = plan.attempt(lab)
    before = passed(note)
    attempt.begin()
    # Counted from what went before.
    times = {place: (before.get(place, 0), count) for place, count in passed(note).items() if place.startswith("sm-apply:")}
    attempt.finish()
    attempt.again(False)
    return {place: (old, count) for place, (old, count) in times.items() if count > old}


def run_cell(lab, plan, place, is_undone):
    lab.start_anew(TETHER_DIE_AT=place)
    attempt = plan.attempt(lab)
    victim = lab.opensm().child
    try:
        attempt.begin()
    except ConnectionError:
        pass
    wait_until(f"OpenSM has died at {place}", lambda: victim.poll() is not None, UP_S)
    assert victim.poll() == -signal.SIGKILL, f"OpenSM has ended with {victim.poll()}"
    lab.armed = {}
    lab.start_opensm()
    if is_undone:
        attempt.undo()
    else:
        attempt.finish()
    check_sa_truth(lab, settle=True)
    attempt.again(is_undone)
    check_sa_truth(lab)


def cells_of(plan, times):
    """Of what is passed more than once: the first and the last."""
    return [(f"{place}:{time}", is_undone) for place, (old, count) in times.items() for time in sorted({old + 1, count})
            for is_undone in (False, True)]


def name_of(plan, place, is_undone):
    return f"{plan.name}/{place}/{'undone' if is_undone else 'finished'}"


def is_asked_for(name):
    if len(sys.argv) > 1:
        return any(all(map(str.startswith, name.split("/"), wish.split("/"))) for wish in sys.argv[1:])
    return FULL or name in QUICK


def is_wanted(plan):
    if len(sys.argv) > 1:
        return any(plan.name.startswith(name.split("/")[0]) for name in sys.argv[1:])
    return FULL or any(plan.name == name.split("/")[0] for name in QUICK)


def walk(tap, lab, plan):
    """Returns the row of the places that it passes."""
    times = places_passed(lab, plan)
    for place, is_undone in cells_of(plan, times):
        name = name_of(plan, place, is_undone)
        if is_asked_for(name):
            tap.run(name.replace("/", ", "), run_cell, lab, plan, place, is_undone)
    return (plan.name, *(f"{place.split(':')[1]} {count - old}" for place, (old, count) in times.items()))


def main():
    tap, rows = Tap(), []
    for kind in (SwapLab, EmptySlotsLab):
        plans = [plan for plan in PLANS if plan.lab is kind and is_wanted(plan)]
        if not plans:
            continue
        with kind() as lab:
            rows += [walk(tap, lab, plan) for plan in plans]
    for row in rows:
        print("# " + " ".join(row), flush=True)
    tap.exit()


main()
