#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd with signal = mad, among fakes: whatever the SM makes of what it is asked to report, hosts get what is for them, once and in order."""
from fake_hearers import HearingWorld
from roads import all_running, checked
from smd import Stage, equal, run, wait_until

from lab.metrics import Metrics

STEPS = ["STEP_PREPARE", "STEP_STOP", "STEP_SETTLE", "STEP_RELEASE", "STEP_ATTACH", "STEP_RECONNECT", "STEP_RESUME"]


def stage_of(**settings):
    return Stage(world=HearingWorld, signal="mad", **settings)


def moved(stage):
    checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
    all_running(stage)
    for shim in stage.world.shims.values():
        equal(shim.history, [step for step in STEPS if step != "STEP_ATTACH" or shim.vm == "vm1"], shim.name)


def each_host_that_is_concerned_is_reported_each_number_once():
    with stage_of(notice_ms=10000) as stage:
        moved(stage)
        reported = stage.world.sm.reported
        equal(set(reported.values()), {1})
        equal({host for host, _ in reported}, {"hyp1", "hyp2", "hyp3"})
        for host in stage.world.hosts:
            numbers = sorted(number for name, number in reported if name == host)
            equal(numbers, list(range(1, len(numbers) + 1)), host)
        equal({host.hints[0]["signal"] for host in stage.world.hosts.values()}, {stage.world.hosts["hyp1"].signal})


def an_sm_that_cannot_report_is_done_without():
    for kind in ("not-master", "bad-request"):
        with stage_of(notice_ms=10000) as stage:
            stage.world.fault("sm", "report", kind, times=1000)
            moved(stage)


def an_sm_that_does_not_answer_is_not_waited_for():
    with stage_of(notice_ms=20) as stage:
        stage.world.fault("sm", "report", "silent", times=1000)
        moved(stage)


def an_sm_that_dies_is_done_without_and_its_successor_is_to_be_subscribed_to():
    with stage_of(notice_ms=10000) as stage:
        before = {name: len(host.hints) for name, host in stage.world.hosts.items()}
        stage.world.sm_another()
        wait_until("all are told to subscribe", lambda: all(any(hint["subscribe"] for hint in host.hints[before[name]:])
                                                            for name, host in stage.world.hosts.items()))
        moved(stage)


def who_is_not_subscribed_is_told_so_and_asks():
    with stage_of(notice_ms=10000) as stage:
        stage.world.sm.deaf = {"hyp3"}
        moved(stage)
        equal(any(hint["subscribe"] for hint in stage.world.hosts["hyp3"].hints[1:]), True)


def lost_notices_are_told_again():
    with stage_of(notice_ms=20) as stage:
        for host in stage.world.hosts.values():
            host.hear = lambda sequence: None
        moved(stage)


def who_hears_nowhere_is_sent_everything():
    with stage_of(notice_ms=10000) as stage:
        hosts = stage.world.hosts
        hosts["hyp3"].stop()
        hosts["hyp3"].lid = 0
        hosts["hyp3"].start()
        stage.smd.hosts_here(3)
        wait_until("hyp3 hears nowhere", lambda: stage.smd.log().count("host hyp3 is here") == 2)
        hints = len(hosts["hyp3"].hints)
        moved(stage)
        equal((len(hosts["hyp3"].hints), {host for host, _ in stage.world.sm.reported}), (hints, {"hyp1", "hyp2"}))


def who_never_asks_costs_the_step_and_nobody_else():
    with stage_of(notice_ms=20, prepare_ms=300) as stage:
        stage.world.hosts["hyp3"].asks = False
        migration = stage.smd.move("vm1", "hyp2")
        equal(migration["outcome"], "refused")
        stage.world.hosts["hyp3"].asks = True
        stage.world.hosts["hyp3"].ask()
        wait_until("all run", lambda: {s.state for s in stage.world.shims.values()} == {"running"})


def who_asks_without_end_is_answered_and_gets_nothing_twice():
    with stage_of(notice_ms=10000, metrics="unix:metrics.sock") as stage:
        host = stage.world.hosts["hyp3"]
        for number in range(3000):
            host.ask(sequence=1000000 + number)
        moved(stage)
        wait_until("all are answered", lambda: len(host.told) == host.asked)
        counted = Metrics(f"unix:{stage.temporary.name}/metrics.sock").values()
        equal(counted["tether_smd_forged_pulls_total"], 3000)
        equal(counted["tether_smd_pulls_total"] >= host.asked, True)
        lines = stage.smd.log().count("forged notices")
        equal(1 <= lines < host.asked / 10, True, f"{lines} lines in the log, for {host.asked} questions")


run([each_host_that_is_concerned_is_reported_each_number_once, an_sm_that_cannot_report_is_done_without,
     an_sm_that_does_not_answer_is_not_waited_for, an_sm_that_dies_is_done_without_and_its_successor_is_to_be_subscribed_to,
     who_is_not_subscribed_is_told_so_and_asks, lost_notices_are_told_again, who_hears_nowhere_is_sent_everything,
     who_never_asks_costs_the_step_and_nobody_else, who_asks_without_end_is_answered_and_gets_nothing_twice])
