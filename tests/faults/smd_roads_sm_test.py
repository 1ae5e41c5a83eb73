#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Roads of a migration through tether-smd, among fakes: an SM that is busy, ends, dies, sweeps, or is none."""
from roads import all_running, at, checked, fails_back_at_the_source, hosts_say_addresses, states
from smd import Stage, equal, run, wait_until


def without_an_sm_nothing_is_asked_of_one():
    with Stage(fabric="none") as stage:
        stage.world.sm.stop()
        hosts_say_addresses(stage)
        migration = stage.smd.move("vm1", "hyp2")
        equal(migration["outcome"], "done")
        equal([s for s in states(migration) if s in ("locating", "leasing", "naming", "applying")], [])


def a_plan_that_cannot_be_applied_is_undone():
    fails_back_at_the_source("sm", "apply", "not-acknowledged")


def an_sm_that_is_never_quiet_goes_on_at_the_source():
    with Stage(apply_ms=200, plan_ms=200) as stage:
        stage.world.fault("sm", "lease", "busy", times=1000)
        checked(stage, stage.smd.move("vm1", "hyp2"), "failed-at-source", "hyp1")
        all_running(stage)


def an_sm_that_does_not_say_which_versions_it_speaks_is_asked_again():
    with Stage() as stage:
        stage.smd.stop()
        stage.world.fault("sm", "hello", "silent")
        stage.smd.start()
        stage.smd.hosts_here(3)
        wait_until("it is said", lambda: "does not answer `hello`" in stage.smd.log())
        wait_until("the SM is here", lambda: stage.smd.get("/v1/health")[1]["sm_connected"])
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def a_stale_plan_is_made_anew():
    with Stage() as stage:
        stage.world.fault("sm", "apply", "stale-plan")
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
        equal("replanning" in states(migration), True)


def a_busy_sm_is_asked_again():
    with Stage() as stage:
        for op in ("lease", "apply"):
            stage.world.fault("sm", op, "busy", times=3)
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
    with Stage() as stage:
        stage.world.fault("hyp2", "HOST_ATTACH", "fail")
        stage.world.fault("sm", "undo", "busy", times=3)
        checked(stage, stage.smd.move("vm1", "hyp2"), "failed-at-source", "hyp1")
        all_running(stage)


def an_sm_that_dies_while_it_applies_is_waited_for():
    with Stage() as stage:
        def die():
            stage.world.sm.stop()
            stage.world.sm.start()
            return "silent"

        stage.world.fault("sm", "apply", die)
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
        equal("leasing-again" in states(migration), True)
        all_running(stage)


def an_sm_that_is_told_to_end_is_waited_for():
    for op, outcome, host in (("lease", "done", "hyp2"), ("apply", "done", "hyp2"), ("undo", "failed-at-source", "hyp1")):
        with Stage() as stage:
            heard = stage.world.sm_told_to_end(op)
            if op == "undo":
                stage.world.fault("hyp2", "HOST_ATTACH", "fail")
            number = stage.smd.migrate("vm1", "hyp2")[1]["id"]
            wait_until("it is told", heard.is_set)
            stage.world.sm_another()
            checked(stage, stage.smd.wait_for(number), outcome, host)
            all_running(stage)


def a_lease_that_ends_between_naming_and_vacating_is_taken_again():
    """Behind vacating, or on the way back behind the GUIDs: before that an SM meets one of them at two slots."""
    def restart(sm):
        sm.stop()
        sm.start()

    for ends in (lambda sm: sm.leases.clear(), restart):
        for kind, outcome, host in ((None, "done", "hyp2"), ("fail", "failed-at-source", "hyp1")):
            with Stage(plan_ms=300) as stage:
                stage.world.fault("hyp1", "HOST_SET_GUIDS", lambda: ends(stage.world.sm) or kind)
                checked(stage, stage.smd.move("vm1", "hyp2"), outcome, host)
                all_running(stage)


def an_sm_that_is_gone_before_it_is_asked_to_apply_needs_no_undo():
    with Stage(apply_ms=300) as stage:
        stage.world.fault("hyp1", "HOST_SET_GUIDS", stage.world.sm.stop)
        checked(stage, stage.smd.move("vm1", "hyp2"), "failed-at-source", "hyp1")
        all_running(stage)


def restarted_after_a_sweep(keeps_lids):
    def die(stage):
        stage.world.sm.stop()
        stage.world.sm.sweep(keeps_lids)
        stage.world.sm.start()
        return "silent"

    stage = Stage()
    stage.world.fault("sm", "apply", lambda: die(stage))
    return stage


def a_move_that_a_sweep_has_made_is_taken():
    with restarted_after_a_sweep(True) as stage:
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
        equal("confirming" in states(migration), True)
        all_running(stage)


def a_lid_that_a_sweep_has_changed_is_not_called_done():
    with restarted_after_a_sweep(False) as stage:
        migration = stage.smd.move("vm1", "hyp2")
        # Nobody is waited for who is told that it is given up.
        wait_until("all are told", lambda: {s.state for s in stage.world.shims.values()} == {"errored"})
        checked(stage, migration, "lost", "hyp2")
        equal([r["reason"] for r in migration["refusals"]], ["lid-changed"])


def an_sm_that_comes_back_and_is_never_quiet_leaves_no_guid_behind():
    with Stage(apply_ms=300, plan_ms=200) as stage:
        def die():
            stage.world.sm.stop()
            stage.world.sm.start()
            stage.world.fault("sm", "lease", "not-master", times=1000)
            return "silent"

        stage.world.fault("sm", "apply", die)
        migration = stage.smd.move("vm1", "hyp2")
        # What it was asked to apply it may have applied, and cannot be asked to undo.
        equal(migration["outcome"], "lost")
        equal(at(stage, "vm1"), "hyp1")
        equal(stage.world.complaints(), [])


run([without_an_sm_nothing_is_asked_of_one, a_plan_that_cannot_be_applied_is_undone,
     an_sm_that_is_never_quiet_goes_on_at_the_source, an_sm_that_does_not_say_which_versions_it_speaks_is_asked_again,
     a_stale_plan_is_made_anew, a_busy_sm_is_asked_again,
     an_sm_that_dies_while_it_applies_is_waited_for, an_sm_that_is_told_to_end_is_waited_for,
     a_lease_that_ends_between_naming_and_vacating_is_taken_again,
     an_sm_that_is_gone_before_it_is_asked_to_apply_needs_no_undo, a_move_that_a_sweep_has_made_is_taken,
     an_sm_that_comes_back_and_is_never_quiet_leaves_no_guid_behind, a_lid_that_a_sweep_has_changed_is_not_called_done])
