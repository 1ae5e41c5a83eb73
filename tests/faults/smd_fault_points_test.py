#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd killed at each of its places on each road that a migration can take, in a world of fakes, with prepopulated
LIDs and with dynamic ones. Which places a road passes is noted by an undisturbed run; together they are all that the table
has. A road's places that an earlier one has had are not killed at again. One in so many of them; all with TETHER_FULL=1."""

import os

from crowd import Crowd
from fake_dynamic import World as DynamicWorld
from fakes import World
from fault_points import passed, points_of, states
from smd import Stage, equal, run, wait_until

from lab.tap import FULL

EACH = 1 if FULL else 24
COMMITTED = ("FORWARD", "BACK")
OUTCOMES = ["done", "refused", "aborted", "failed-at-source", "lost"]


def moves(stage):
    pass


def is_vetoed(stage):
    stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")


def cannot_stop(stage):
    stage.world.fault("vm2/21.147", "STEP_STOP", "fail")


def is_told_to_abort(stage):
    def abort():
        stage.smd.ask("POST", "/v1/migrations/1/abort")

    stage.world.fault("vm2/21.147", "STEP_STOP", abort)


def cannot_settle(stage):
    for shim in stage.world.shims.values():
        shim.broken = True
    stage.world.fault("vm2/21.147", "STEP_SETTLE", "fail")


def cannot_attach(stage):
    stage.world.fault("hyp2", "HOST_ATTACH", "fail")


def does_not_copy(stage):
    stage.world.fault("hyp1", "HOST_MOVE", "fail")


def has_a_stale_plan(stage):
    stage.world.fault("sm", "apply", "stale-plan")


def loses_its_sm_to_a_sweep(stage):
    def die():
        stage.world.sm.stop()
        stage.world.sm.sweep()
        stage.world.sm.start()
        return "silent"

    stage.world.fault("sm", "apply", die)


def cannot_go_back(stage):
    def cut_off():
        stage.world.fault("hyp1", "HOST_SET_GUIDS", "fail", times=1000)
        return "fail"

    stage.world.fault("hyp2", "HOST_ATTACH", cut_off)


def cannot_rebuild(stage):
    stage.world.fault("vm1/11.77", "STEP_ATTACH", "fail")
    stage.world.fault("vm1/12.84", "STEP_ATTACH", "fail")


def its_port_is_forgotten(stage):
    """The lease runs out while no link is up with the VM's GUIDs, and a sweep comes by."""
    def forget():
        stage.world.sm.leases.clear()
        stage.world.sm.sweep()
        equal(stage.world.vms["vm1"]["guid"] in stage.world.fabric, False, "is it forgotten?")

    stage.world.fault("hyp2", "HOST_SET_GUIDS", None)
    stage.world.fault("hyp2", "HOST_SET_GUIDS", forget)


def is_not_swept(stage):
    """So that the port whose link came up is not activated until it is told to go back."""
    stage.world.sm.sweeps = False
    stage.world.fault("hyp1", "HOST_SET_GUIDS", None)
    stage.world.fault("hyp1", "HOST_SET_GUIDS", lambda: setattr(stage.world.sm, "sweeps", True))


# (what happens, its end, settings)
ROADS = [(moves, "done", {}), (is_vetoed, "refused", {}), (cannot_stop, "aborted", {}), (is_told_to_abort, "aborted", {}),
         (cannot_settle, "aborted", {}), (cannot_attach, "failed-at-source", {}), (does_not_copy, "failed-at-source", {}),
         (has_a_stale_plan, "done", {}), (loses_its_sm_to_a_sweep, "done", {}),
         (cannot_go_back, "lost", {"detach_ms": 400}), (cannot_rebuild, "lost", {})]
COPY_ROADS = [(happens, outcome, {"world": DynamicWorld, **settings}) for happens, outcome, settings in [
    *ROADS, (its_port_is_forgotten, "done", {}), (is_not_swept, "failed-at-source", {"wake_ms": 300})]]


class TwoVfs(Stage):
    """vm1 has two VFs."""

    def __init__(self, **settings):
        super().__init__(world=lambda directory: World(directory, slots=4), **settings)
        self.world.second_vf("vm1", "hyp1-vf3")


def one_goes_back_and_the_other_cannot(stage):
    """Until the destination is given back what the first one took."""
    words = []

    def source():
        guids = stage.world.vms["vm1"]["guids"]
        took = sum(slot["host"] == "hyp1" and slot["port_guid"] in guids for slot in stage.world.slots.values())
        if took != 1 or "named" in words:
            return None
        words.append("failed")
        return "fail"

    def destination():
        words.extend(["named"] * ("failed" in words))

    def cut_off():
        stage.world.fault("hyp1", "HOST_SET_GUIDS", source, times=1000)
        stage.world.fault("hyp2", "HOST_SET_GUIDS", destination, times=1000)
        return "fail"

    stage.world.fault("hyp2", "HOST_ATTACH", cut_off)


TWO_VFS_ROADS = [(one_goes_back_and_the_other_cannot, "lost", {"kind": TwoVfs, "detach_ms": 400})]


def staged(kind=Stage, **settings):
    return kind(**settings)


def places_of(happens, outcome, settings):
    """Which a run passes to which nothing else happens."""
    with staged(**settings) as stage:
        note = os.path.join(stage.temporary.name, "passed")
        stage.smd.stop()
        stage.smd.start(TETHER_PASSED=note)
        stage.smd.all_here(3)
        happens(stage)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], outcome, happens.__name__)
        if outcome == "done":
            wait_until("all know that it has moved", lambda: "smd-news:written" in passed(note))
        return passed(note)


def killed_at(place, happens, settings):
    with staged(env={"TETHER_DIE_AT": f"{place}:1"}, **settings) as stage:
        happens(stage)
        ends_by_name(stage, place)


def ends_by_name(stage, place):
    try:
        stage.smd.migrate("vm1", "hyp2")
    except ConnectionError:
        pass  # it died before it had answered that it had begun
    equal(stage.smd.wait(), -9, f"{place}: tether-smd died by itself")
    stage.smd.start()
    everything_is_in_order(stage, place, stage.smd.wait_for(1))


def everything_is_in_order(stage, place, migration):
    """Finished or undone; and once nobody is in the way any more, the VM moves."""
    word = place.split(":")[1]
    phase = states().get(word, "TRYING")
    allowed = OUTCOMES if phase in COMMITTED else ["refused", "aborted"] if phase in ("TRYING", "LEAVING") else OUTCOMES
    if place == "smd-record:releasing":
        allowed = ["aborted"]
    if place.startswith("smd-news:"):
        allowed = ["done"]
    equal(migration["outcome"] in allowed, True, f"{place}: ended {migration['outcome']}")
    wait_until(f"{place}: {stage.world.complaints()}", lambda: not stage.world.complaints())
    host = stage.world.vms["vm1"]["host"]
    if migration["outcome"] != "lost":
        equal(host, "hyp2" if migration["outcome"] == "done" else "hyp1", place)
        equal({s.state for s in stage.world.shims.values()}, {"running"}, f"{place}: processes")
    stage.world.faults.clear()
    for shim in stage.world.shims.values():
        shim.state = "running"  # programs that were started again, where they were told errors
    stage.smd.all_here(3)
    equal(stage.smd.move("vm1", "hyp3")["outcome"], "done", f"{place}: asked again")
    equal(stage.world.complaints(), [], f"{place}: asked again")


CROWD = (("vm1", "hyp2"), ("vm2", "hyp3"), ("vm3", "hyp2"), ("vm4", "hyp3"))


def begun_until_it_dies(stage):
    for vm, to in CROWD:
        try:
            stage.begin(vm, to)
        except (ConnectionError, AssertionError):
            return  # it is dead, or has been asked while it was


def with_four_under_way(place):
    """Each VM is where its migration says, if it was known to have begun."""
    with Crowd(env={"TETHER_DIE_AT": place}) as stage:
        begun_until_it_dies(stage)
        equal(stage.smd.wait(), -9, f"{place}: tether-smd died by itself")
        stage.smd.start()
        stage.smd.all_here(4)
        for migration in stage.smd.get("/v1/migrations")[1]["migrations"]:
            outcome = stage.smd.wait_for(migration["id"])["outcome"]
            equal(outcome in ("done", "aborted"), True, f"{place}: {migration['vm']} ended {outcome}")
            equal(stage.world.vms[migration["vm"]]["host"], migration["to"] if outcome == "done" else "hyp1", place)
        wait_until(f"{place}: {stage.world.complaints()}", lambda: not stage.world.complaints())
        equal({s.state for s in stage.world.shims.values()}, {"running"}, f"{place}: processes")
        for vm, to in CROWD:
            if stage.world.vms[vm]["host"] != to:
                equal(stage.smd.move(vm, to)["outcome"], "done", f"{place}: {vm} asked again")
        equal(stage.world.complaints(), [], f"{place}: asked again")


def killed_with_four_under_way_all_end_by_name_and_in_order():
    """The one that comes to the place as the first, the second, ... dies there, and takes the others along."""
    places = list(places_of(moves, "done", {}))
    for number, place in enumerate(places):
        if number % EACH == 0:
            with_four_under_way(f"{place}:{1 + number // EACH % len(CROWD)}")


def places_in(*words):
    return [f"smd-{place}:{word}" for word in words for place in ("record", "recorded", "ask", "asked")]


RECOVERING = places_in("recovering")
SET_RIGHT, SET_RIGHT_BACK = places_in("renaming", "revacating"), places_in("back-renaming", "back-revacating")


def killed_twice(first, places, outcome, happens=moves):
    """At @first, and its successor at each of @places."""
    for place in places:
        with Stage(env={"TETHER_DIE_AT": f"{first}:1"}) as stage:
            happens(stage)
            stage.smd.migrate("vm1", "hyp2")
            equal(stage.smd.wait(), -9, f"{first}: tether-smd died by itself")
            stage.smd.start(TETHER_DIE_AT=f"{place}:1")
            equal(stage.smd.wait(), -9, f"{place}: its successor died by itself")
            stage.smd.start()
            migration = stage.smd.wait_for(1)
            equal(migration["outcome"], outcome, place)
            everything_is_in_order(stage, first, migration)


def killed_where_it_looks_where_things_stand_its_successor_looks_again():
    killed_twice("smd-asked:detaching", RECOVERING, "done")


def killed_where_it_sets_guids_right_its_successor_does():
    killed_twice("smd-ask:vacating", SET_RIGHT, "done")
    killed_twice("smd-ask:back-naming", SET_RIGHT_BACK, "failed-at-source", cannot_attach)


PASSED = set()


def killed_on(roads):
    had, number = {*RECOVERING, *SET_RIGHT, *SET_RIGHT_BACK}, 0
    for happens, outcome, settings in roads:
        for place in places_of(happens, outcome, settings):
            if place in had:
                continue
            had.add(place)
            number += 1
            if number % EACH == 0:
                killed_at(place, happens, settings)
    PASSED.update(had)
    print(f"# {number} places on {len(roads)} roads, each {EACH}. of them killed at", flush=True)


def killed_anywhere_on_any_road_it_ends_by_name_and_in_order():
    killed_on(ROADS)


def killed_anywhere_on_any_road_of_a_copy_it_ends_by_name_and_in_order():
    killed_on(COPY_ROADS)


def killed_anywhere_on_a_road_of_two_vfs_it_ends_by_name_and_in_order():
    killed_on(TWO_VFS_ROADS)


def together_the_roads_pass_all_places_of_the_table():
    equal(sorted(set(points_of("SMD")) - PASSED), [], "places of the table that no road passes")
    equal(sorted(PASSED - set(points_of("SMD"))), [], "places that the table does not have")


run([killed_anywhere_on_any_road_it_ends_by_name_and_in_order,
     killed_anywhere_on_any_road_of_a_copy_it_ends_by_name_and_in_order,
     killed_anywhere_on_a_road_of_two_vfs_it_ends_by_name_and_in_order,
     together_the_roads_pass_all_places_of_the_table, killed_with_four_under_way_all_end_by_name_and_in_order,
     killed_where_it_looks_where_things_stand_its_successor_looks_again,
     killed_where_it_sets_guids_right_its_successor_does])
