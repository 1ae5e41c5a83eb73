#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Both ends of a connection are to move: the second migration waits for the end of the first, and nobody has to ask again."""
import time

from crowd import Crowd, Held, held_in
from smd import equal, run, wait_until

STATES = ("locating", "preparing", "stopping", "settling", "releasing", "detaching", "moving", "leasing", "naming", "vacating", "applying",
          "unleasing", "attaching", "rebuilding", "reconnecting", "resuming")

def waiting(stage, number, other):
    """The migration, when it waits for @other to end, and has asked nobody."""
    def waits():
        migration = stage.smd.get(f"/v1/migrations/{number}")[1]
        return migration.get("waits_for") == other and migration

    migration = wait_until(f"{number} waits for {other}", waits)
    equal((migration["state"], migration["refusals"]), ("preparing", []))
    return migration


def one_that_shares_a_connection_waits_for_the_others_end():
    with Crowd() as stage:
        number, held = held_in(stage)
        second, third = stage.begin("vm5", "hyp3"), stage.begin("vm9", "hyp3")
        for each in (second, third):
            waiting(stage, each, number)
        equal(stage.smd.migrate("vm1", "hyp3")[1]["reason"], "vm-already-moving")
        held.go.set()
        equal(stage.ends(number, second, third), ["done"] * 3)
        equal(stage.smd.get(f"/v1/migrations/{second}")[1].get("waits_for"), None)
        stage.all_well()


def whoever_shares_nothing_with_it_goes_past_one_that_waits():
    with Crowd() as stage:
        number, held = held_in(stage)
        second = stage.begin("vm5", "hyp3")
        waiting(stage, second, number)
        equal(stage.smd.move("vm2", "hyp3")["outcome"], "done")
        waiting(stage, second, number)
        held.go.set()
        equal(stage.ends(number, second), ["done", "done"])
        stage.all_well()


def one_that_waits_is_aborted_and_nobody_has_heard_of_it():
    with Crowd() as stage:
        number, held = held_in(stage)
        second = stage.begin("vm5", "hyp3")
        waiting(stage, second, number)
        equal(stage.smd.ask("POST", f"/v1/migrations/{second}/abort")[0], 202)
        equal(stage.ends(second), ["aborted"])
        held.go.set()
        equal(stage.ends(number), ["done"])
        equal(stage.smd.move("vm5", "hyp3")["outcome"], "done")
        stage.all_well()


def however_the_first_ends_the_second_is_done():
    for order, host, then, outcome in (("HOST_ATTACH", "hyp2", "fail", "failed-at-source"), ("HOST_MOVE", "hyp1", "fail", "failed-at-source")):
        with Crowd() as stage:
            number, held = held_in(stage, order, host, then=then)
            second = stage.begin("vm5", "hyp3")
            waiting(stage, second, number)
            held.go.set()
            equal(stage.ends(number, second), [outcome, "done"])
            stage.all_well()
    with Crowd() as stage:
        held = Held(stage.world)
        stage.world.fault(stage.processes["vm5"].name, "STEP_STOP", held)
        number = stage.begin("vm1", "hyp2")
        equal(held.there.wait(20), True)
        second = stage.begin("vm5", "hyp3")
        waiting(stage, second, number)
        equal(stage.smd.ask("POST", f"/v1/migrations/{number}/abort")[0], 202)
        held.go.set()
        equal(stage.ends(number, second), ["aborted", "done"])
        stage.all_well()


def both_go_to_where_the_other_was():
    with Crowd() as stage:
        number, held = held_in(stage)
        second = stage.begin("vm5", "hyp1")
        waiting(stage, second, number)
        held.go.set()
        equal(stage.ends(number, second), ["done", "done"])
        equal((stage.world.vms["vm1"]["host"], stage.world.vms["vm5"]["host"]), ("hyp2", "hyp1"))
        stage.all_well()


def one_that_waits_for_another_is_not_timed():
    with Crowd(prepare_ms=300, plan_ms=300, detach_ms=60000) as stage:
        number, held = held_in(stage)
        second = stage.begin("vm5", "hyp3")
        waiting(stage, second, number)
        over = time.monotonic() + 1
        wait_until("its steps' time is over", lambda: time.monotonic() > over)
        waiting(stage, second, number)
        held.go.set()
        equal(stage.ends(number, second), ["done", "done"])
        stage.all_well()


def killed_while_one_waits_that_one_is_aborted_and_the_other_done():
    """Its successor brings to its end what has begun; what had asked nobody is asked for again."""
    with Crowd() as stage:
        number, held = held_in(stage, then="died")
        second = stage.begin("vm5", "hyp3")
        waiting(stage, second, number)
        stage.smd.kill()
        held.go.set()
        stage.smd.start()
        equal(stage.ends(number, second), ["done", "aborted"])
        stage.smd.all_here(4)
        equal(stage.smd.move("vm5", "hyp3")["outcome"], "done")
        stage.all_well()


def killed_at_each_step_of_either_it_brings_both_to_their_end():
    """The first time that it asks in a state is the first migration's, the second time the other's."""
    for state in STATES:
        for count in (1, 2):
            what = f"{state} {count}"
            with Crowd(env={"TETHER_DIE_AT": f"smd-asked:{state}:{count}"}) as stage:
                for vm, host in (("vm1", "hyp2"), ("vm5", "hyp3")):
                    try:
                        stage.smd.migrate(vm, host)
                    except OSError:
                        break  # it has died already
                equal(stage.smd.wait(), -9, f"{what}: tether-smd died by itself")
                stage.smd.start()
                known = stage.smd.get("/v1/migrations")[1]["migrations"]
                equal(set(stage.ends(*(m["id"] for m in known))) <= {"done", "aborted"}, True, what)
                wait_until(f"{what}: {stage.world.complaints()}", lambda: not stage.world.complaints())
                stage.smd.all_here(4)
                again = [stage.begin(vm, "hyp4") for vm in ("vm1", "vm5")]
                equal(stage.ends(*again), ["done", "done"], what)
                stage.all_well()


def held_at(stage, who, passes):
    """Whoever is asked after @passes others is held."""
    held = Held(stage.world)
    if passes:
        stage.world.fault(*who, None, passes)
    stage.world.fault(*who, held)
    return held


def aborted_at_each_step_of_either_the_other_is_done():
    for asked in (("sm", "locate"), ("vm5", "STEP_PREPARE"), ("vm5", "STEP_STOP"), ("vm5", "STEP_SETTLE")):
        for passes in (0, 1):
            with Crowd() as stage:
                who = (asked[0] if asked[0] == "sm" else stage.processes[asked[0]].name, asked[1])
                held = held_at(stage, who, passes)
                numbers = [stage.begin("vm1", "hyp2"), stage.begin("vm5", "hyp3")]
                equal(held.there.wait(20), True)
                states = {stage.smd.get(f"/v1/migrations/{n}")[1]["state"]: n for n in numbers}
                state = {"locate": "locating", "STEP_PREPARE": "preparing", "STEP_STOP": "stopping", "STEP_SETTLE": "settling"}[who[1]]
                # Which is the first depends on whom the SM answers first; where both are there one waits for the other.
                number = states[state] if len(states) == 2 else numbers[passes]
                equal(stage.smd.ask("POST", f"/v1/migrations/{number}/abort")[0], 202)
                held.go.set()
                equal(sorted(stage.ends(*numbers)), ["aborted", "done"], f"{who} {passes}")
                equal(stage.smd.get(f"/v1/migrations/{number}")[1]["outcome"], "aborted", f"{who} {passes}")
                stage.all_well()


def seen_one_way_only(stage):
    """As datagrams do: a process of vm1 is concerned by a move of vm3, and not the other way round."""
    stage.processes["vm1"].hears = {stage.world.vms["vm3"]["lid"]}
    stage.world.hosts["hyp1"].stop()
    wait_until("hyp1 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
    stage.world.hosts["hyp1"].start()
    stage.smd.hosts_here(4)


def what_shares_a_connection_only_one_way_is_given_back_and_waits():
    """That is found when it is prepared; whoever was asked is told to drop it, and asked again under another epoch."""
    with Crowd() as stage:
        seen_one_way_only(stage)
        number, held = held_in(stage)
        second = stage.begin("vm3", "hyp2")
        epoch = stage.smd.get(f"/v1/migrations/{second}")[1]["epoch"]
        again = waiting(stage, second, number)
        equal(again["epoch"] > epoch, True)
        equal([s["state"] for s in again["steps"]], ["locating", "preparing", "dropping", "locating", "preparing"])
        held.go.set()
        equal(stage.ends(number, second), ["done", "done"])
        equal(stage.smd.get(f"/v1/migrations/{second}")[1]["refusals"], [])
        stage.all_well()


def aborted_while_it_is_given_back_it_has_ended():
    with Crowd() as stage:
        seen_one_way_only(stage)
        number, held = held_in(stage)
        dropped = Held(stage.world)
        stage.world.fault(stage.processes["vm1"].name, "STEP_ABORT", dropped)
        second = stage.begin("vm3", "hyp2")
        equal(dropped.there.wait(20), True)
        equal(stage.smd.ask("POST", f"/v1/migrations/{second}/abort")[0], 202)
        dropped.go.set()
        equal(stage.ends(second), ["aborted"])
        held.go.set()
        equal(stage.ends(number), ["done"])
        stage.all_well()


run([one_that_shares_a_connection_waits_for_the_others_end, whoever_shares_nothing_with_it_goes_past_one_that_waits,
     one_that_waits_is_aborted_and_nobody_has_heard_of_it, however_the_first_ends_the_second_is_done,
     both_go_to_where_the_other_was, one_that_waits_for_another_is_not_timed,
     killed_while_one_waits_that_one_is_aborted_and_the_other_done,
     killed_at_each_step_of_either_it_brings_both_to_their_end, aborted_at_each_step_of_either_the_other_is_done,
     what_shares_a_connection_only_one_way_is_given_back_and_waits,
     aborted_while_it_is_given_back_it_has_ended])
