#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Called migrations: an orchestrator detaches, moves and attaches, and reports each step to tether-smd."""
from crowd import Held
from smd import Stage, equal, run, wait_until


def begin(stage):
    status, answer = stage.smd.migrate("vm1", "hyp2", mode="called")
    equal(status, 202, answer)
    return answer["id"]


def awaited(stage, number, report):
    """The migration, when it waits for @report."""
    def waits():
        migration = stage.smd.get(f"/v1/migrations/{number}")[1]
        equal(migration["ended"], False, f"{migration}")
        return migration.get("awaits") == report and migration

    return wait_until(f"{report} is awaited", waits)


def report(stage, number, step):
    return stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})


def reported(stage, number, *steps):
    for step in steps:
        awaited(stage, number, step)
        equal(report(stage, number, step)[0], 202, step)


def all_well(stage, host):
    equal(stage.world.vms["vm1"]["host"], host)
    equal(stage.world.complaints(), [])
    equal({s.state for s in stage.world.shims.values()}, {"running"})


def each_step_waits_for_its_report():
    with Stage() as stage:
        number = begin(stage)
        migration = awaited(stage, number, "detached")
        equal((migration["mode"], migration["state"], migration["committed"]), ("called", "detaching", True))
        # Nobody has touched the VF: that is the orchestrator's.
        equal(stage.world.slots["hyp1-vf0"]["vm"], "vm1")
        equal(report(stage, number, "moved")[1]["reason"], "not-awaited")
        equal(report(stage, number, "detached")[0], 202)
        awaited(stage, number, "moved")
        equal(report(stage, number, "attached")[1]["reason"], "not-awaited")
        reported(stage, number, "moved", "attached")
        equal(stage.smd.wait_for(number)["outcome"], "done")
        equal(report(stage, number, "attached")[1]["reason"], "ended")
        all_well(stage, "hyp2")


def a_report_is_taken_again_without_effect():
    """Who has not heard the answer says it again."""
    with Stage() as stage:
        held, heard = Held(stage.world), []
        stage.world.fault("hyp1", "HOST_DETACH", held)
        number = begin(stage)
        reported(stage, number, "detached")
        equal(held.there.wait(20), True)
        # The host is at it, and then has done it.
        heard.append(report(stage, number, "detached")[0])
        held.go.set()
        awaited(stage, number, "moved")
        heard.append(report(stage, number, "detached")[0])
        equal((heard, awaited(stage, number, "moved")["state"]), ([202, 202], "moving"))
        stage.world.fault("hyp1", "HOST_GIVE_BACK", lambda: heard.append(report(stage, number, "failed")[0]))
        equal(report(stage, number, "failed")[0], 202)
        migration = stage.smd.wait_for(number)
        equal((migration["outcome"], [r["reason"] for r in migration["refusals"]]), ("failed-at-source", ["reported-failed"]))
        equal(heard, [202, 202, 202])
        all_well(stage, "hyp1")


def while_it_looks_where_the_vm_is_it_says_so():
    with Stage() as stage:
        number = begin(stage)
        reported(stage, number, "detached")
        awaited(stage, number, "moved")
        stage.smd.kill()
        stage.world.hosts["hyp2"].stop()
        stage.smd.start()
        equal(stage.smd.get(f"/v1/migrations/{number}")[1]["state"], "recovering")
        for step in ("detached", "moved", "failed"):
            equal(report(stage, number, step)[1]["reason"], "recovering", step)
        stage.world.hosts["hyp2"].start()
        awaited(stage, number, "moved")
        equal(report(stage, number, "detached")[0], 202)
        equal(report(stage, number, "attached")[1]["reason"], "not-awaited")
        reported(stage, number, "moved", "attached")
        equal(stage.smd.wait_for(number)["outcome"], "done")
        all_well(stage, "hyp2")


def a_driven_one_waits_for_no_report():
    with Stage() as stage:
        stage.world.fault("hyp1", "HOST_DETACH", lambda: equal(report(stage, 1, "detached")[1]["reason"], "not-awaited"))
        migration = stage.smd.move("vm1", "hyp2", mode="driven")
        equal((migration["outcome"], migration["mode"]), ("done", "driven"))
        equal(report(stage, 9, "detached")[1]["reason"], "unknown-migration")
        all_well(stage, "hyp2")


def a_reported_failure_leads_back():
    for steps in ((), ("detached",), ("detached", "moved")):
        with Stage() as stage:
            number = begin(stage)
            reported(stage, number, *steps)
            awaited(stage, number, ("detached", "moved", "attached")[len(steps)])
            equal(report(stage, number, "failed")[0], 202)
            migration = stage.smd.wait_for(number)
            equal((migration["outcome"], migration["refusals"][0]["reason"]), ("failed-at-source", "reported-failed"))
            all_well(stage, "hyp1")


def an_orchestrator_that_says_nothing_has_the_steps_time():
    with Stage(detach_ms=300) as stage:
        migration = stage.smd.wait_for(begin(stage))
        equal(migration["outcome"], "failed-at-source")
        equal([r["reason"] for r in migration["refusals"]], ["timeout"])
        all_well(stage, "hyp1")


def killed_it_waits_for_the_report_again():
    for steps in ((), ("detached",), ("detached", "moved")):
        with Stage() as stage:
            number = begin(stage)
            reported(stage, number, *steps)
            awaited(stage, number, ("detached", "moved", "attached")[len(steps)])
            stage.smd.kill()
            stage.smd.start()
            reported(stage, number, *("detached", "moved", "attached")[len(steps):])
            equal(stage.smd.wait_for(number)["outcome"], "done", steps)
            all_well(stage, "hyp2")


def malformed_reports_change_nothing():
    with Stage() as stage:
        number = begin(stage)
        awaited(stage, number, "detached")
        for body in ("", "{}", "[]", '{"step":7}', '{"step":"gone"}', '{"step":"detached","vm":"vm1"}'):
            equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", body)[0], 400, body)
        for mode in ('"x"', "7", "true", '""'):
            equal(stage.smd.ask("POST", "/v1/migrations", f'{{"vm":"vm2","to":"hyp2","mode":{mode}}}')[0], 400, mode)
        equal(awaited(stage, number, "detached")["state"], "detaching")
        reported(stage, number, "detached", "moved", "attached")
        equal(stage.smd.wait_for(number)["outcome"], "done")


run([each_step_waits_for_its_report, a_report_is_taken_again_without_effect, while_it_looks_where_the_vm_is_it_says_so,
     a_driven_one_waits_for_no_report, a_reported_failure_leads_back,
     an_orchestrator_that_says_nothing_has_the_steps_time, killed_it_waits_for_the_report_again,
     malformed_reports_change_nothing])
