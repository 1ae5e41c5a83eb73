#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Dynamic LIDs beside an OpenSM and a fabric that are not at rest: VMs are created, move to empty slots and end while it
sweeps, is told to route anew, is killed and started again, and links, switches and hypervisors go and come back. When an apply says
that it is done each LID leads to its VM, or nowhere, before any sweep; in the
end SA and fabric agree on every VM, no LID is held twice, and a VM keeps the LID that it was created with."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap, print_rows  # noqa: E402
from simfabric.unrest import EVENTS, FROM_CACHE, ROUTED, Move, UnrestLab, a_forced_reroute, a_sweep  # noqa: E402

ROUNDS = 60 if FULL else 4
HELD = "_vf1", "_vf2"  # ends of the names of slots that hold a VM at first
FEW = 2  # slots that stay as they are
FIRST_GUID = 0x00d0000000000001


class DynamicLab(UnrestLab):
    """Slots without a VM have no link."""

    def make_fabric(self):
        super().make_fabric()
        self.held = [slot for slot in self.slots() if slot.endswith(HELD)]
        self.empty = [slot for slot in self.slots() if slot not in self.held]
        self.next_guid = FIRST_GUID
        for slot in self.empty:
            self.fabric.link(slot, 1, "down")

    def new_guids(self, slot):
        pair = [f"0x{self.next_guid + n:016x}" for n in range(2)]
        self.next_guid += 2
        self.fabric.cli("guids", slot, *pair)
        return {"vm_node_guid": pair[0], "vm_port_guid": pair[1]}

    def lids(self):
        """{port GUID: LID} of the VMs."""
        return {row["port_guid"]: row["lid"] for row in self.fabric.slots() if row["slot"] in self.held}

    def check(self):
        super().check()
        lids = list(self.lids().values())
        assert len(set(lids)) == len(lids) and all(lids), f"the VMs have LIDs {lids}"


class Create(Move):
    """Planned and applied before its link comes up."""
    done = ()

    def __init__(self, lab, draw, slots=None):
        self.lab, self.slot, self.how = lab, draw.choice(slots or lab.empty), {}
        self.moves = [{"kind": "create", **lab.new_guids(self.slot), **lab.place_of(self.slot)}]
        self.take_plan()

    def take_plan(self):
        self.plan = self.lab.ask("plan", moves=self.moves)

    def __str__(self):
        return str(self.moves)

    def exchange(self):
        pass

    def check_unswept(self):
        """Its LID leads to its slot from everywhere. A sweep has to bring the link to Active, and P_Keys and LID with it."""
        self.check_leads(lambda end: end == (self.slot, 1))

    def check_leads(self, is_right):
        truth, lid = self.lab.truth(), self.plan["moves"][0]["vm"]["lid"]
        ends = {truth.walk(guid, lid) for guid in truth.end_ports}
        assert all(map(is_right, ends)), f"before any sweep packets to LID {lid} come to {ends}: {self}"

    def arrive(self):
        self.lab.fabric.link(self.slot, 1, "up")
        self.lab.empty.remove(self.slot)
        self.lab.held.append(self.slot)


class Destroy(Create):
    """Its link has gone down before. Whoever has lost it all the same (OpenSM started anew) knows no such port."""
    done = ("unknown-port",)

    def __init__(self, lab, draw):
        self.lab, self.slot, self.how = lab, draw.choice(lab.held), {}
        self.moves = [{"kind": "destroy", "vm_port_guid": lab.guid_at(self.slot)}]
        self.take_plan()

    def exchange(self):
        self.lab.fabric.link(self.slot, 1, "down")

    def check_unswept(self):
        """Its LID leads nowhere."""
        self.check_leads(lambda end: isinstance(end, str) and "no port" in end)

    def arrive(self):
        self.lab.new_guids(self.slot)
        self.lab.held.remove(self.slot)
        self.lab.empty.append(self.slot)


class Copy(Create):
    """Its link goes down here and comes up there, with its GUIDs."""
    done = ("same-place",)

    def __init__(self, lab, draw):
        self.lab, self.source, self.slot, self.how = lab, draw.choice(lab.held), draw.choice(lab.empty), {}
        self.row = next(row for row in lab.fabric.dump("places") if row["node"] == self.source)
        self.moves = [{"kind": "copy", "vm_port_guid": self.row["port_guid"], **lab.place_of(self.slot)}]
        self.take_plan()

    def exchange(self):
        if self.lab.guid_at(self.slot) == self.row["port_guid"]:
            return
        self.lab.fabric.link(self.source, 1, "down")
        self.lab.fabric.cli("guids", self.slot, self.row["node_guid"], self.row["port_guid"])
        self.lab.fabric.link(self.slot, 1, "up")
        self.lab.new_guids(self.source)

    def arrive(self):
        lab = self.lab
        lab.held[lab.held.index(self.source)], lab.empty[lab.empty.index(self.slot)] = self.slot, self.source


def kept(lab, before):
    """VMs that were there and are there have the LID that they had."""
    after = lab.lids()
    changed = {guid: (lid, after[guid]) for guid, lid in before.items() if after.get(guid, lid) != lid}
    assert not changed, f"LIDs have changed: {changed}"


def between_plan_and_apply(lab, draw, kind, event):
    before = lab.lids()
    move = kind(lab, draw)
    event(lab)
    lab.rest()
    move.finish()
    move.arrive()
    lab.check()
    kept(lab, before)


def in_mid_apply(lab, draw, kind, event):
    before = lab.lids()
    move = kind(lab, draw)
    if not move.apply_beside(event)["ok"]:
        move.finish()
    move.arrive()
    lab.check()
    kept(lab, before)


def a_creation_that_was_forgotten_is_made_anew(lab, draw):
    """OpenSM has promised the VM a LID, written it down, and ended before the VM came."""
    move = Create(lab, draw)
    move.finish()
    lab.restart()
    move.take_plan()
    move.finish()
    move.arrive()
    lab.check()


def who_comes_is_not_unknown_to_a_switch_that_was_away(lab, draw):
    """OpenSM's cache of routes keeps the table of a switch that goes, for its coming back. Nothing but the plugin tells it that
    somebody is to come whom that table does not know."""
    lab.fabric.link("V4", 1, "down")
    mark = lab.log_mark()
    lab.settle()
    assert FROM_CACHE in lab.routings_since(mark), "the cache does not stand a leaf that goes"
    move = Create(lab, draw, [slot for slot in lab.empty if not slot.startswith("hyp4")])
    move.is_whole = False
    move.finish()
    lab.fabric.link("V4", 1, "up")
    lab.settle()
    assert lab.routings_since(move.mark)[0] == ROUTED, "routes of before the creation were used"
    move.arrive()
    lab.check()


def all_end_well_whatever_happens(lab, draw):
    happened = []
    for _ in range(ROUNDS):
        kinds = [kind for kind, slots in ((Create, lab.empty), (Destroy, lab.held)) if len(slots) > FEW]
        kind, event = draw.choice([Copy, *kinds]), draw.choice(EVENTS)
        when = draw.choice((between_plan_and_apply, in_mid_apply))
        happened.append(f"{kind.__name__} {when.__name__} {event.__name__}")
        try:
            when(lab, draw, kind, event)
        except AssertionError as error:
            raise AssertionError(f"{'; '.join(happened)}: {error}") from error


def main():
    seed = int(os.environ.get("TETHER_SEED", "1"))
    print(f"# seed {seed}")
    draw = random.Random(seed)
    tap = Tap()
    with DynamicLab() as lab:
        lab.settle()
        for event in EVENTS:
            for kind in (Create, Copy, Destroy) if FULL or event is a_forced_reroute else (Copy,):
                tap.run(f"{kind.__name__}_while_{event.__name__}", in_mid_apply, lab, draw, kind, event)
        tap.run("a_creation_that_was_forgotten_is_made_anew", a_creation_that_was_forgotten_is_made_anew, lab, draw)
        tap.run("all_end_well_whatever_happens", all_end_well_whatever_happens, lab, draw)
        print_rows(list(lab.ends.rows()))
        tap.run("every_event_has_met_an_apply_and_some_were_refused", lab.ends.check, EVENTS, (a_sweep,))
    with DynamicLab(use_ucast_cache="TRUE") as lab:
        lab.settle()
        tap.run("who_comes_is_not_unknown_to_a_switch_that_was_away", who_comes_is_not_unknown_to_a_switch_that_was_away, lab, draw)
    tap.exit()


main()
