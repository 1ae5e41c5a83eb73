#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Migrations by tether-smd between hypervisors with dynamic LIDs, in a world of fakes: links go down and come up with the
GUIDs, under the lease; what a sweep forgets in between a sweep finds again."""
import sqlite3

import fakes
from crowd import Crowd, Held
from fake_dynamic import World
from smd import Stage, equal, run, wait_until


def dynamic(**settings):
    return Stage(world=World, **settings)


def states_of(migration):
    return [step["state"] for step in migration["steps"]]


def is_in_order(stage, migration, outcome, host):
    equal(migration["outcome"], outcome, migration["refusals"])
    wait_until(f"complaints: {stage.world.complaints()}", lambda: not stage.world.complaints())
    equal(stage.world.vms["vm1"]["host"], host)


def the_vm_moves_and_comes_back_with_its_lid():
    with dynamic() as stage:
        for host in ("hyp2", "hyp1", "hyp3", "hyp1"):
            migration = stage.smd.move("vm1", host)
            is_in_order(stage, migration, "done", host)
            equal(migration["kind"], "copy")
            states = states_of(migration)
            equal(states[states.index("naming"):states.index("attaching")],
                  ["naming", "vacating", "linking", "applying", "unleasing", "waking"])
            equal({shim.state for shim in stage.world.shims.values()}, {"running"})
        with sqlite3.connect(stage.smd.journal) as journal:
            equal(journal.execute("SELECT DISTINCT dynamic FROM migrations").fetchall(), [(1,)])


def the_kinds_do_not_mix():
    with dynamic() as stage:
        stage.world.slots["hyp2-vf0"]["dynamic"] = stage.world.slots["hyp2-vf1"]["dynamic"] = False
        stage.world.hosts["hyp2"].stop()
        stage.world.hosts["hyp2"].start()
        wait_until("hyp2 says so", lambda: not any(
            slot["dynamic"] for host in stage.smd.get("/v1/hypervisors")[1]["hypervisors"] if host["name"] == "hyp2"
            for slot in host["slots"]))
        equal(stage.smd.migrate("vm1", "hyp2")[1]["reason"], "endpoint-differs")
        equal(stage.smd.move("vm1", "hyp3")["outcome"], "done")


def a_dry_run_says_the_kind():
    with dynamic() as stage:
        status, plan = stage.smd.get("/v1/plan?vm=vm1&to=hyp2")
        equal((status, plan["kind"], plan["lid"]), (200, "copy", stage.world.vms["vm1"]["lid"]))
        equal(stage.world.complaints(), [])


def goes_back(happens, **settings):
    """Links as they were, wherever it had come to."""
    with dynamic(**settings) as stage:
        happens(stage.world)
        migration = stage.smd.move("vm1", "hyp2")
        is_in_order(stage, migration, "failed-at-source", "hyp1")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        is_in_order(stage, stage.smd.move("vm1", "hyp3"), "done", "hyp3")
        return states_of(migration)


def what_fails_goes_back_with_its_links():
    def later(world, host, times, kind="fail"):
        for _ in range(times):
            world.fault(host, "HOST_SET_GUIDS", None)
        world.fault(host, "HOST_SET_GUIDS", kind)

    for what, happens in (("naming", lambda world: later(world, "hyp2", 0)), ("vacating", lambda world: later(world, "hyp1", 0)),
                          ("linking", lambda world: later(world, "hyp2", 1)),
                          ("applying", lambda world: world.fault("sm", "apply", "not-acknowledged")),
                          ("attaching", lambda world: world.fault("hyp2", "HOST_ATTACH", "fail"))):
        states = goes_back(happens)
        equal(what in states and "back-vacating" in states, True, (what, states))
        equal(("back-linking" in states, "back-waking" in states), (what != "naming",) * 2, (what, states))


def one_whose_port_a_sweep_has_forgotten_is_found_by_the_next():
    """Somebody held the lease for too long; the links are as they should be."""
    with dynamic() as stage:
        def forget():
            stage.world.sm.leases.clear()
            stage.world.sm.sweep()
            equal(stage.world.vms["vm1"]["guid"] in stage.world.fabric, False, "the SM has forgotten it")

        stage.world.fault("hyp2", "HOST_SET_GUIDS", None)
        stage.world.fault("hyp2", "HOST_SET_GUIDS", forget)
        is_in_order(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def an_sm_that_is_restarted_anywhere_under_the_lease_is_waited_for():
    def restart(world):
        world.sm.stop()
        world.sm.start()

    for host, orders in (("hyp2", 0), ("hyp1", 0), ("hyp2", 1)):
        with dynamic() as stage:
            for _ in range(orders):
                stage.world.fault(host, "HOST_SET_GUIDS", None)
            stage.world.fault(host, "HOST_SET_GUIDS", lambda: restart(stage.world))
            is_in_order(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
    for op in ("apply", "release_lease", "locate"):
        with dynamic() as stage:
            stage.world.fault("sm", op, None if op == "locate" else lambda: restart(stage.world) or "silent")
            stage.world.fault("sm", op, lambda: restart(stage.world) or "silent")
            is_in_order(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def an_sm_that_has_forgotten_the_lid_is_said():
    def forget(world):
        world.sm.stop()
        world.sm.sweep(keeps_lids=False)
        world.sm.lids.clear()
        world.sm.start()
        return "silent"

    with dynamic() as stage:
        stage.world.fault("sm", "apply", lambda: forget(stage.world))
        migration = stage.smd.move("vm1", "hyp2")
        equal(migration["outcome"], "lost")
        equal("lid-changed" in {found["reason"] for found in migration["refusals"]}, True, migration["refusals"])
        equal(stage.world.slot_of("vm1"), ["hyp2-vf0"])


def who_waits_for_a_sweep_that_anothers_lease_holds_off_is_not_timed():
    with Crowd(world=World, wake_ms=300, guids_ms=60000) as stage:
        stage.world.sm.sweeps = False
        first, held = stage.begin("vm1", "hyp2"), Held(stage.world)
        stage.smd.wait_for(first, "waking")
        stage.world.fault("hyp3", "HOST_SET_GUIDS", held)
        second = stage.begin("vm2", "hyp3")
        equal(held.there.wait(30), True)
        asked = stage.world.sm.located
        wait_until("it has asked often", lambda: stage.world.sm.located >= asked + 40 or
                   stage.smd.get(f"/v1/migrations/{first}")[1]["state"] != "waking", 60)
        equal(stage.smd.get(f"/v1/migrations/{first}")[1]["state"], "waking")
        stage.world.sm.sweeps = True
        held.go.set()
        equal(stage.ends(first, second), ["done", "done"])
        stage.all_well()


def an_sm_that_has_just_been_started_too_is_asked_again_where_the_port_is():
    """It knows nobody before its first sweep, and the VF is attached, so no GUIDs can be set again."""
    for world in (World, fakes.World):
        with Stage(world=world, env={"TETHER_DIE_AT": "smd-asked:rebuilding:1"}) as stage:
            stage.smd.migrate("vm1", "hyp2")
            equal(stage.smd.wait(), -9)
            stage.world.fault("sm", "locate", "unknown-port", times=3)
            stage.smd.start()
            migration = stage.smd.wait_for(1)
            is_in_order(stage, migration, "done", "hyp2")
            equal(states_of(migration).count("rebuilding"), 2)
            equal("leasing-again" in states_of(migration), False)


def several_move_at_once():
    with Crowd(world=World) as stage:
        for hosts in (("hyp2", "hyp3", "hyp2", "hyp3"), ("hyp3", "hyp2", "hyp3", "hyp2")):
            numbers = [stage.begin(f"vm{i + 1}", host) for i, host in enumerate(hosts)]
            equal(stage.ends(*numbers), ["done"] * 4)
            stage.all_well()


def a_vm_without_vf_is_given_one_and_its_link_comes_up():
    """After a road that could not be gone to its end."""
    with dynamic(attach_ms=300, detach_ms=300) as stage:
        stage.world.fault("hyp2", "HOST_ATTACH", lambda: stage.world.fault("hyp1", "HOST_GIVE_BACK", "fail", 100) or "fail")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "lost")
        stage.world.faults.clear()
        stage.smd.hosts_here(3)
        host = stage.world.vms["vm1"]["host"]
        equal(stage.smd.move("vm1", host)["outcome"], "done")
        wait_until(f"complaints: {stage.world.complaints()}", lambda: not stage.world.complaints())


run([the_vm_moves_and_comes_back_with_its_lid, the_kinds_do_not_mix, a_dry_run_says_the_kind,
     what_fails_goes_back_with_its_links, one_whose_port_a_sweep_has_forgotten_is_found_by_the_next,
     an_sm_that_is_restarted_anywhere_under_the_lease_is_waited_for, an_sm_that_has_forgotten_the_lid_is_said,
     an_sm_that_has_just_been_started_too_is_asked_again_where_the_port_is,
     who_waits_for_a_sweep_that_anothers_lease_holds_off_is_not_timed, several_move_at_once,
     a_vm_without_vf_is_given_one_and_its_link_comes_up])
