#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd killed at each of its places on each road on which a VM gets a VF or gives it up, in a world of fakes: finished
or undone, no LID kept by nobody, no slot lost. Which places a road passes is noted by an undisturbed run; together they are
all that the table has. A road's places that an earlier one on the same ground has had are not killed at again. One in so
many of them; all with TETHER_FULL=1."""
import os
import sys
import tempfile

import fake_vms
import fakes
from fault_points import passed, points_of
from smd import Stage, equal, run, wait_until
from vm_requests import change_of, create, created, destroy, destroyed

from lab.tap import FULL

EACH = 1 if FULL else 16


def comes(stage):
    create(stage.smd, "vm7", "hyp2", **stage.guids)


def cannot_be_attached(stage):
    stage.world.fault("hyp2", "HOST_ATTACH", "fail")
    comes(stage)


def goes(stage):
    destroy(stage.smd, "vm7")


def does_not_leave(stage):
    stage.world.fault("hyp2", "HOST_DETACH", "fail", times=1000)
    goes(stage)


def is_awaited(stage):
    """The slot is given the VM's GUIDs, its link does not come up, and what it is asked on the way back is not answered at first."""
    for kind in (lambda: None, "fail", "silent"):
        stage.world.fault("hyp2", "HOST_SET_GUIDS", kind)
    comes(stage)


def is_not_taken(stage):
    stage.world.fault("hyp2", "HOST_CHECK", "refuse")
    comes(stage)


def cannot_be_forgotten(stage):
    stage.world.fault("sm", "lease", "not-here", times=1000)
    goes(stage)


# What is done and to be recovered differs: (world, the VM's GUIDs)
DYNAMIC = (fake_vms.World, {})
CHOSEN = (fake_vms.World, {"node_guid": "0x77", "port_guid": "0x78"})  # those of the slot are displaced
PREPOPULATED = (fakes.World, {})
GROUNDS = [DYNAMIC, CHOSEN, PREPOPULATED]

# (what happens, is the VM there before, its end, grounds)
ROADS = [(comes, False, "done", GROUNDS), (goes, True, "done", GROUNDS), (cannot_be_attached, False, "failed", GROUNDS),
         (does_not_leave, True, "failed", GROUNDS), (is_not_taken, False, "refused", GROUNDS),
         (is_awaited, False, "failed", [DYNAMIC, CHOSEN]), (cannot_be_forgotten, True, "incomplete", [DYNAMIC, CHOSEN])]


def guids_of_slots(stage):
    return sorted((slot["node_guid"], slot["port_guid"]) for slot in stage.world.slots.values())


def begun(road, ground, **env):
    """Where all is ready for the @road, with tether-smd started with @env for it."""
    happens, is_there_before, _, _ = road
    world, guids = ground
    stage = Stage(world=world, detach_ms=500)
    stage.guids, stage.guids_before = guids, guids_of_slots(stage)
    stage.world.guest("vm7", "hyp2")
    stage.__enter__()
    if is_there_before:
        equal(created(stage.smd, "vm7", "hyp2", **guids)["outcome"], "done")
    stage.smd.stop()
    stage.smd.start(**env)
    stage.smd.all_here(3)
    try:
        happens(stage)
    except ConnectionError:
        pass  # it died before it had answered that it had begun
    return stage


def places_of(road, ground):
    with tempfile.TemporaryDirectory() as directory:
        return places_noted(road, ground, os.path.join(directory, "passed"))


def places_noted(road, ground, note):
    stage = begun(road, ground, TETHER_PASSED=note)
    try:
        equal(change_of(stage.smd, "vm7")["outcome"], road[2], road[0].__name__)
        return passed(note)
    finally:
        stage.world.faults.clear()
        stage.__exit__(None, None, None)


def killed_at(place, road, ground):
    stage = begun(road, ground, TETHER_DIE_AT=f"{place}:1")
    try:
        equal(stage.smd.wait(), -9, f"{place}: tether-smd died by itself")
        stage.smd.start()
        stage.smd.all_here(3)
        everything_is_in_order(stage, place, road)
    except BaseException:
        stage.__exit__(*sys.exc_info())
        raise
    stage.__exit__(None, None, None)


def is_there(stage):
    return bool(stage.world.slot_of("vm7"))


def everything_is_in_order(stage, place, road):
    """Finished or undone; and once nobody is in the way any more, the VM comes and goes."""
    outcome = change_of(stage.smd, "vm7")["outcome"]
    equal(outcome in {"done", "failed", "refused", road[2]}, True, f"{place}: ended {outcome}")
    if outcome != "incomplete":
        equal(is_there(stage), road[1] != (outcome == "done"), f"{place}: ended {outcome}")
        settled(stage, place)
    stage.world.faults.clear()
    if is_there(stage) or outcome == "incomplete":
        equal(destroyed(stage.smd, "vm7")["outcome"], "done", f"{place}: asked again")
        settled(stage, place)
    equal(created(stage.smd, "vm7", "hyp2", slot="hyp2-vf0")["outcome"], "done", f"{place}: asked again")
    settled(stage, place)


def settled(stage, place):
    if not is_there(stage):
        stage.world.left("vm7")
        equal(guids_of_slots(stage), stage.guids_before, f"{place}: GUIDs of slots")
    wait_until(f"{place}: {stage.world.complaints()}", lambda: not stage.world.complaints())


def killed_anywhere_on_any_road_it_is_finished_or_undone():
    had, number = [set() for _ in GROUNDS], 0
    for road in ROADS:
        for ground in road[3]:
            had_here = had[GROUNDS.index(ground)]
            for place in places_of(road, ground):
                if place in had_here or not place.startswith("vm-"):
                    continue
                had_here.add(place)
                number += 1
                if number % EACH == 0:
                    killed_at(place, road, ground)
    for had_here in had[:2]:
        equal(sorted(set(points_of("SMD_VMS")) - had_here), [], "places of the table that no road passes")
    equal(sorted(set.union(*had) - set(points_of("SMD_VMS"))), [], "places that the table does not have")
    print(f"# {number} places on {len(ROADS)} roads, each {EACH}. of them killed at", flush=True)


run([killed_anywhere_on_any_road_it_is_finished_or_undone])
