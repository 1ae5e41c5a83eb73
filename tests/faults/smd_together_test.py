#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Migrations at the same time: those that share nothing run together. The others: smd_both_ends_test.py."""
import re
import time

from crowd import Crowd, Held, Rendezvous, held_in, together
from fake_peer import Peer
from smd import equal, run, wait_until

APPLY_MS = 3000


def four_move_at_the_same_time():
    with Crowd() as stage:
        meet = Rendezvous(stage.world, 4)
        stage.world.fault("hyp1", "HOST_MOVE", meet, 4)
        for host in stage.world.hosts.values():
            together(host)
        numbers = [stage.begin(vm, host) for vm, host in (("vm1", "hyp2"), ("vm2", "hyp3"), ("vm3", "hyp2"), ("vm4", "hyp3"))]
        equal(stage.ends(*numbers), ["done"] * 4)
        equal({vm: stage.world.vms[vm]["host"] for vm in ("vm1", "vm2", "vm3", "vm4")},
              {"vm1": "hyp2", "vm2": "hyp3", "vm3": "hyp2", "vm4": "hyp3"})
        stage.all_well()


def one_is_prepared_after_the_other():
    """So that of two that are asked for at once, and share a connection, one is done."""
    with Crowd() as stage:
        for each in stage.world.hosts.values():
            together(each)
        held = Held(stage.world)
        stage.world.fault(stage.processes["vm5"].name, "STEP_PREPARE", held)
        first = stage.begin("vm1", "hyp2")
        equal(held.there.wait(20), True)
        second = stage.begin("vm9", "hyp3")
        wait_until("the second waits", lambda: f"{second}/" in stage.smd.log()
                   and "waits for another to be prepared" in stage.smd.log())
        equal(stage.smd.get(f"/v1/migrations/{second}")[1]["state"], "preparing")
        third = stage.begin("vm2", "hyp3")
        equal(stage.smd.ask("POST", f"/v1/migrations/{third}/abort")[0], 202)
        equal(stage.ends(third), ["aborted"])
        held.go.set()
        equal(stage.ends(first, second), ["done", "done"])
        log = stage.smd.log()
        entered = [log.index(text) for text in (" vm1 from hyp1 to hyp2: resuming (", " vm9 from hyp4 to hyp3: stopping (")]
        equal(entered, sorted(entered), "the gates of one at a time")
        stage.all_well()


def slots_of_those_under_way_are_theirs():
    with Crowd(slots=4) as stage:
        for vm in ("vm6", "vm7"):
            stage.world.vm(vm, "hyp2")
        stage.world.hosts["hyp2"].stop()
        stage.world.hosts["hyp2"].start()
        stage.smd.hosts_here(4)
        wait_until("vm6 and vm7 are known", lambda: len(stage.smd.get("/v1/vms")[1]["vms"]) == 8)
        number, held = held_in(stage)
        # The last slot of hyp2 is vm1's, that of hyp1 too until it has moved.
        equal(stage.smd.migrate("vm2", "hyp2")[1]["reason"], "no-free-vf")
        equal(stage.smd.migrate("vm6", "hyp1")[1]["reason"], "no-free-vf")
        held.go.set()
        equal(stage.ends(number), ["done"])
        equal(stage.smd.move("vm6", "hyp1")["outcome"], "done")
        stage.all_well()


def no_more_move_than_may():
    with Crowd(migrations_max=1) as stage:
        number, held = held_in(stage)
        answer = stage.smd.migrate("vm2", "hyp3")[1]
        equal((answer["reason"], f"one is {number} of vm1" in answer["text"]), ("busy", True))
        held.go.set()
        equal(stage.ends(number), ["done"])
        equal(stage.smd.move("vm2", "hyp3")["outcome"], "done")


def one_fails_and_the_others_go_on():
    with Crowd() as stage:
        number, held = held_in(stage, "HOST_MOVE")
        stage.world.fault("hyp3", "HOST_ATTACH", "fail")
        failing = stage.begin("vm2", "hyp3")
        stage.smd.wait_for(failing, "preparing")
        asked = Held(stage.world)
        stage.world.fault("sm", "locate", asked)
        aborted = stage.begin("vm3", "hyp2")
        equal(asked.there.wait(20), True)
        equal(stage.smd.ask("POST", f"/v1/migrations/{aborted}/abort")[0], 202)
        equal(stage.ends(failing, aborted), ["failed-at-source", "aborted"])
        asked.go.set()
        held.go.set()
        equal(stage.ends(number), ["done"])
        stage.all_well()


def the_lease_is_held_together():
    """All come to `apply` before one of them is answered."""
    with Crowd() as stage:
        for host in stage.world.hosts.values():
            together(host)
        stage.world.fault("sm", "apply", Rendezvous(stage.world, 4), 4)
        numbers = [stage.begin(vm, host) for vm, host in (("vm1", "hyp2"), ("vm2", "hyp3"), ("vm3", "hyp2"), ("vm4", "hyp3"))]
        equal(stage.ends(*numbers), ["done"] * 4)
        equal(stage.world.sm.refused_leases, 0)
        stage.all_well()


def so_it_is_on_the_way_back():
    with Crowd() as stage:
        for host in stage.world.hosts.values():
            together(host)
        stage.world.fault("hyp3", "HOST_ATTACH", "fail", 3)
        stage.world.fault("sm", "undo", Rendezvous(stage.world, 3), 3)
        numbers = [stage.begin(vm, "hyp3") for vm in ("vm1", "vm2", "vm3")]
        equal(stage.ends(*numbers), ["failed-at-source"] * 3)
        stage.all_well()


def a_sweep_waits(stage):
    """So whoever holds the lease holds it alone."""
    stage.world.sm.sweep_waits = lambda: True


def the_lease_is_waited_for():
    with Crowd() as stage:
        a_sweep_waits(stage)
        number, held = held_in(stage, "HOST_SET_GUIDS", "hyp2")
        other = stage.begin("vm2", "hyp3")
        stage.smd.wait_for(other, "leasing")
        wait_until("it has asked twice", lambda: stage.world.sm.refused_leases >= 2)
        held.go.set()
        equal(stage.ends(number, other), ["done", "done"])
        stage.all_well()


def waits_longer_than_it_has(stage, number):
    """What asks for the lease and hears busy is asked again 20 ms later: so often that its step's time is over."""
    before = stage.world.sm.refused_leases
    wait_until("it has asked often", lambda: stage.world.sm.refused_leases >= before + 100
               or stage.smd.get(f"/v1/migrations/{number}")[1]["ended"], 60)
    return stage.smd.get(f"/v1/migrations/{number}")[1]["state"]


def who_waits_for_anothers_lease_is_not_timed():
    with Crowd(apply_ms=1500, guids_ms=60000) as stage:
        a_sweep_waits(stage)
        number, held = held_in(stage, "HOST_SET_GUIDS", "hyp2")
        other = stage.begin("vm2", "hyp3")
        stage.smd.wait_for(other, "leasing")
        equal(waits_longer_than_it_has(stage, other), "leasing")
        held.go.set()
        equal(stage.ends(number, other), ["done", "done"])
        stage.all_well()


def nor_is_who_waits_for_it_on_the_way_back():
    with Crowd(plan_ms=1500, guids_ms=60000, attach_ms=60000) as stage:
        a_sweep_waits(stage)
        failing, fails = held_in(stage, "HOST_ATTACH", "hyp3", "vm2", "hyp3", "fail")
        number, held = held_in(stage, "HOST_SET_GUIDS", "hyp2")
        fails.go.set()
        stage.smd.wait_for(failing, "back-leasing")
        equal(waits_longer_than_it_has(stage, failing), "back-leasing")
        held.go.set()
        equal(stage.ends(number, failing), ["done", "failed-at-source"])
        # It has gone on with the lease, and so did not have to ask for it again.
        steps = [s["state"] for s in stage.smd.get(f"/v1/migrations/{failing}")[1]["steps"]]
        equal(steps.count("back-leasing"), 1, steps)
        stage.all_well()


def who_waits_for_the_sm_to_work_is_not_timed():
    """What the first asks to be applied takes too long, so it goes back; the second has the whole time from then on."""
    with Crowd(apply_ms=APPLY_MS) as stage:
        for host in stage.world.hosts.values():
            together(host)
        helds = [Held(stage.world), Held(stage.world)]
        for held in helds:
            stage.world.fault("sm", "apply", held)
        first = stage.begin("vm1", "hyp2")
        equal(helds[0].there.wait(20), True)
        other = stage.begin("vm2", "hyp3")
        equal(helds[1].there.wait(20), True)
        over = time.monotonic() + APPLY_MS / 1000
        stage.smd.wait_for(first, "back-leasing")
        wait_until("the other has waited longer than its step has", lambda: time.monotonic() > over + 0.2)
        equal(stage.smd.get(f"/v1/migrations/{other}")[1]["state"], "applying")
        for held in reversed(helds):
            held.go.set()
        equal(stage.ends(first, other), ["failed-at-source", "done"])
        stage.all_well()


def an_sm_that_says_nothing_has_the_steps_time_after_the_other_has_ended():
    with Crowd(apply_ms=1500, guids_ms=60000) as stage:
        number, held = held_in(stage, "HOST_SET_GUIDS", "hyp2")
        stage.world.fault("sm", "lease", "silent")
        other = stage.begin("vm2", "hyp3")
        stage.smd.wait_for(other, "leasing")
        held.go.set()
        equal(stage.ends(number, other), ["done", "failed-at-source"])
        stage.all_well()


def an_sm_that_dies_is_waited_for_by_all():
    with Crowd() as stage:
        for host in stage.world.hosts.values():
            together(host)

        def restart():
            stage.world.sm.stop()
            stage.world.sm.start()
            return "silent"

        stage.world.fault("sm", "apply", restart)
        numbers = [stage.begin(vm, "hyp3") for vm in ("vm1", "vm2", "vm3")]
        equal(stage.ends(*numbers), ["done"] * 3)
        stage.all_well()


def killed_in_the_middle_of_several_it_brings_all_to_their_end():
    for state in ("stopping", "detaching", "moving", "naming", "vacating", "applying", "attaching", "resuming"):
        for count in (1, 2, 3):
            with Crowd(env={"TETHER_DIE_AT": f"smd-asked:{state}:{count}"}) as stage:
                for vm, host in (("vm1", "hyp2"), ("vm2", "hyp3"), ("vm3", "hyp2")):
                    try:
                        stage.smd.migrate(vm, host)
                    except OSError:
                        break  # it has died already
                equal(stage.smd.wait(), -9, f"{state} {count}: tether-smd died by itself")
                stage.smd.start()
                known = stage.smd.get("/v1/migrations")[1]["migrations"]
                outcomes = stage.ends(*(m["id"] for m in known))
                equal(set(outcomes) <= {"done", "aborted"}, True, f"{state} {count}: {outcomes}")
                wait_until(f"{state} {count}: {stage.world.complaints()}", lambda: not stage.world.complaints())
                stage.smd.all_here(4)
                for m in known:
                    to = "hyp4" if stage.world.vms[m["vm"]]["host"] != "hyp4" else "hyp1"
                    equal(stage.smd.move(m["vm"], to)["outcome"], "done", f"{state} {count}: again")
                stage.all_well()


def killed_while_guids_are_set(moves, hosts, passes, then, first, outcome):
    """Of the orders that set GUIDs on each of @hosts @passes pass; those after them, one of each of @moves, are under way when
    tether-smd is killed, and are carried out or (@then) not. Its successor goes through @first before it asks for a lease."""
    with Crowd(guids_ms=60000, detach_ms=60000) as stage:
        for each in stage.world.hosts.values():
            together(each)
        all_are_there = Rendezvous(stage.world, len(moves), "fail")  # none sets GUIDs on its way back before each has on its way
        for _, to in moves if outcome != "done" else ():
            stage.world.fault(to, "HOST_ATTACH", all_are_there)
        helds = [Held(stage.world, then) for _ in moves]
        for host in set(hosts):
            stage.world.fault(host, "HOST_SET_GUIDS", None, passes)
        for host, held in zip(hosts, helds):
            stage.world.fault(host, "HOST_SET_GUIDS", held)
        numbers = [stage.begin(vm, to) for vm, to in moves]
        for held in helds:
            equal(held.there.wait(30), True, "it sets GUIDs")
        stage.smd.kill()
        for held in helds:
            held.go.set()
        stage.smd.start()
        equal(stage.ends(*numbers), [outcome] * len(moves))
        for number in numbers:
            states = [step["state"] for step in stage.smd.get(f"/v1/migrations/{number}")[1]["steps"]]
            states = states[states.index("recovering") + 1:]
            equal(states[:len(first) + 1], first + ["leasing-again" if outcome == "done" else "back-leasing"])
        stage.all_well()


ONE_MOVE = (("vm1", "hyp2"),)
TWO_MOVES = (("vm1", "hyp2"), ("vm2", "hyp3"))


def killed_while_it_sets_guids_it_sets_them_right_before_it_asks_for_a_lease():
    """Each leaves a GUID at two slots, and as long as one does no lease is given."""
    first = ["renaming", "revacating"]
    for moves in (ONE_MOVE, TWO_MOVES):
        sources, destinations = ["hyp1"] * len(moves), [to for _, to in moves]
        killed_while_guids_are_set(moves, destinations, 0, None, first, "done")  # naming
        killed_while_guids_are_set(moves, sources, 0, "died", first, "done")  # vacating


def so_it_does_on_the_way_back():
    first = ["back-renaming", "back-revacating"]
    for moves in (ONE_MOVE, TWO_MOVES):
        sources, destinations = ["hyp1"] * len(moves), [to for _, to in moves]
        killed_while_guids_are_set(moves, sources, len(moves), None, first, "failed-at-source")  # back-naming
        killed_while_guids_are_set(moves, destinations, 1, "died", first[1:], "failed-at-source")  # back-vacating


def who_missed_the_end_of_one_move_is_told_beside_the_next():
    """Of no later epoch than what moves the VM now, whose steps would be old otherwise."""
    with Crowd() as stage:
        first = stage.begin("vm1", "hyp3")
        equal(stage.ends(first), ["done"])
        host = stage.world.hosts["hyp2"]
        number, held = held_in(stage, host="hyp3", to="hyp2")
        equal(stage.smd.move("vm2", "hyp3")["outcome"], "done")
        hello, host.hello = host.hello, lambda: {**hello(), "open": [first, number]}
        host.stop()
        wait_until("hyp2 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
        host.start()
        stage.smd.hosts_here(4)
        wait_until("it is told", lambda: re.search(rf" {first}/[0-9]+ ended done; hyp2, which has it open, is told", stage.smd.log()))
        host.hello = hello
        held.go.set()
        equal(stage.ends(number), ["done"])
        stage.all_well()


def ended_it_brings_all_to_their_end():
    with Crowd() as stage:
        number, held = held_in(stage)
        other, other_held = stage.begin("vm2", "hyp3"), Held(stage.world)
        equal(stage.ends(other), ["done"])
        stage.world.fault("hyp4", "STEP_STOP", other_held)
        last = stage.begin("vm3", "hyp3")
        followers = [Peer(stage.ends, n) for n in (number, last)]
        stage.smd.wait_for(last, "moving")
        stage.smd.child.terminate()
        wait_until("it has heard of it", lambda: "signal 15" in stage.smd.log())
        held.go.set()
        equal(stage.smd.wait(), 0)
        for follower in followers:
            follower.join(20)
        equal(stage.world.vms["vm1"]["host"], "hyp2")
        stage.all_well()
        stage.smd.start()
        equal(stage.ends(number)[0], "done")


def keep_the_guids(stage, *moves):
    """All fail on their way and go back, and the hosts that were to have them do not let go of their GUIDs."""
    all_there = Rendezvous(stage.world, len(moves))

    def cut_off(to):
        all_there()
        stage.world.fault(to, "HOST_SET_GUIDS", "fail", times=1000)
        return "fail"

    for _, to in moves:
        stage.world.fault(to, "HOST_ATTACH", lambda to=to: cut_off(to))
    equal(stage.ends(*[stage.begin(vm, to) for vm, to in moves]), ["lost"] * len(moves))
    wait_until("each has said that it cannot let go", lambda: stage.smd.log().count("it is given its own") ==
               stage.smd.log().count("could not set the GUIDs") >= len(moves))


def slots_that_show_others_guids(stage):
    slots = [slot for host in stage.smd.get("/v1/hypervisors")[1]["hypervisors"] for slot in host["slots"]]
    guids = [slot["port_guid"] for slot in slots]
    return sorted(slot["name"] for slot in slots if guids.count(slot["port_guid"]) > 1 and not slot["vm"])


def guids_at_two_slots_are_set_right_on_all_hosts_whatever_else_is_under_way():
    with Crowd(detach_ms=3000) as stage:
        for vm, host in (("vm6", "hyp4"), ("vm7", "hyp4")):
            stage.world.vm(vm, host)
        stage.world.hosts["hyp4"].stop()
        wait_until("hyp4 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
        stage.world.hosts["hyp4"].start()
        stage.smd.hosts_here(4)
        together(stage.world.hosts["hyp4"])
        keep_the_guids(stage, ("vm1", "hyp2"), ("vm2", "hyp3"))
        equal(len(slots_that_show_others_guids(stage)), 2)
        held = Held(stage.world)
        stage.world.fault("hyp4", "HOST_MOVE", held)
        under_way = stage.begin("vm6", "hyp1")
        equal(held.there.wait(20), True)
        # Whoever needs the lease has to wait until they are set right.
        stage.world.fault("hyp1", "HOST_CHECK", lambda: stage.world.faults.clear() or "refuse")
        equal(stage.smd.move("vm7", "hyp1")["outcome"], "refused")
        wait_until("all show their own", lambda: not slots_that_show_others_guids(stage))
        equal(stage.smd.move("vm7", "hyp1")["outcome"], "done")
        equal(stage.smd.get(f"/v1/migrations/{under_way}")[1]["ended"], False)
        held.go.set()
        equal(stage.ends(under_way), ["done"])
        stage.world.sm.sweep()
        for shim in stage.world.shims.values():
            shim.state = "running"  # programs that were started again
        stage.all_well()


def fails_once_more(stage, host):
    with stage.world.lock:
        stage.world.faults.clear()
    stage.world.fault(host, "HOST_SET_GUIDS", "fail")


def moves_into(stage, vm, slot):
    """On a fabric that has been swept meanwhile, with programs that were started again."""
    stage.world.sm.sweep()
    for shim in stage.world.shims.values():
        shim.state = "running"
    equal(stage.smd.move(vm, stage.world.slots[slot]["host"])["outcome"], "done")
    equal(stage.world.slot_of(vm), [slot])
    stage.all_well()


def a_slot_left_with_anothers_guid_is_asked_for_again_by_time():
    """Without a HELLO and without a migration that ends: none can, as nobody gets a lease before."""
    with Crowd(detach_ms=3000) as stage:
        host, link = stage.world.hosts["hyp2"], stage.world.hosts["hyp2"].sock
        keep_the_guids(stage, ("vm1", "hyp2"))
        slot, = slots_that_show_others_guids(stage)
        fails_once_more(stage, "hyp2")
        wait_until("it shows its own", lambda: not slots_that_show_others_guids(stage))
        equal(stage.smd.log().count("hyp2 could not set the GUIDs") >= 2, True)
        equal((host.sock is link, len(stage.smd.get("/v1/migrations")[1]["migrations"])), (True, 1))
        moves_into(stage, "vm2", slot)


def and_when_the_host_of_the_vm_is_here_after_it():
    """Before that nobody knows whose GUID the slot shows."""
    with Crowd(detach_ms=3000) as stage:
        keep_the_guids(stage, ("vm1", "hyp2"))
        slot, = slots_that_show_others_guids(stage)
        stage.smd.kill()
        stage.world.hosts["hyp1"].stop()
        with stage.world.lock:
            stage.world.faults.clear()
        stage.smd.start()
        stage.smd.hosts_here(3)
        stage.world.hosts["hyp1"].start()
        stage.smd.all_here(4)
        wait_until("it shows its own", lambda: not slots_that_show_others_guids(stage))
        moves_into(stage, "vm2", slot)


run([four_move_at_the_same_time, one_is_prepared_after_the_other,
     slots_of_those_under_way_are_theirs, no_more_move_than_may, one_fails_and_the_others_go_on, the_lease_is_held_together,
     so_it_is_on_the_way_back, the_lease_is_waited_for,
     who_waits_for_anothers_lease_is_not_timed, nor_is_who_waits_for_it_on_the_way_back,
     who_waits_for_the_sm_to_work_is_not_timed, an_sm_that_says_nothing_has_the_steps_time_after_the_other_has_ended,
     an_sm_that_dies_is_waited_for_by_all, killed_in_the_middle_of_several_it_brings_all_to_their_end,
     killed_while_it_sets_guids_it_sets_them_right_before_it_asks_for_a_lease, so_it_does_on_the_way_back,
     who_missed_the_end_of_one_move_is_told_beside_the_next, ended_it_brings_all_to_their_end,
     guids_at_two_slots_are_set_right_on_all_hosts_whatever_else_is_under_way,
     a_slot_left_with_anothers_guid_is_asked_for_again_by_time, and_when_the_host_of_the_vm_is_here_after_it])
