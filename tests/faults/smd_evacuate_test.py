#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether evacuate and /v1/evacuations, with fake hosts, shims and SM at the other ends of tether-smd's sockets."""
import json
import subprocess

from command import TETHER, tether
from crowd import Crowd, Held, Rendezvous, together
from smd import Locked, Stage, equal, run, wait_until
from vm_requests import create, destroy


def begin(stage, host="hyp1", **more):
    status, answer = stage.smd.ask("POST", "/v1/evacuations", {"host": host, **more})
    equal(status, 202, answer)
    return answer["id"]


def ended(stage, number):
    seen = 0
    while True:
        status, evacuation = stage.smd.get(f"/v1/evacuations/{number}?wait=change&seen={seen}")
        equal(status, 200, evacuation)
        if evacuation["ended"]:
            return evacuation
        seen = evacuation["changes"]


def states(evacuation):
    return {vm["vm"]: vm["state"] for vm in evacuation["vms"]}


def where(stage, *vms):
    return {stage.world.vms[vm]["host"] for vm in vms}


def talk_to_each_other(stage, *vms):
    for i, vm in enumerate(vms):
        for other in vms[:i]:
            stage.world.connect(stage.processes[vm], stage.processes[other])
    host = stage.world.hosts["hyp1"]
    host.stop()
    wait_until("hyp1 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
    host.start()
    stage.smd.hosts_here(4)


def a_host_is_emptied_several_vms_at_a_time():
    with Crowd() as stage:
        for host in stage.world.hosts.values():
            together(host)
        stage.world.fault("hyp1", "HOST_MOVE", Rendezvous(stage.world, 4), 4)
        status, out, err = tether(stage, "evacuate", "hyp1")
        equal((status, out), (0, "evacuation 1: done: 4 of 4 VMs have left hyp1\n"), err)
        equal([line.split()[1:3] for line in err.splitlines() if line.split()[0] == "4/4"][-1][1], "done", err)
        equal("hyp1" in where(stage, "vm1", "vm2", "vm3", "vm4"), False)
        stage.all_well()
        # By the room that they have: hyp3 has six free slots, hyp2 and hyp4 five.
        equal(sorted(list(vm["host"] for vm in stage.world.vms.values()).count(h) for h in ("hyp2", "hyp3", "hyp4")),
              [2, 2, 2])
        status, out, _ = tether(stage, "evacuate", "hyp1", "--json")
        equal((status, json.loads(out)["total"]), (0, 0))


def only_named_hosts_take_them():
    with Crowd() as stage:
        status, out, err = tether(stage, "evacuate", "hyp1", "--to", "hyp2", "hyp3", "--json")
        equal((status, json.loads(out)["to"]), (0, ["hyp2", "hyp3"]), err)
        equal(where(stage, "vm1", "vm2", "vm3", "vm4"), {"hyp2", "hyp3"})
        equal(tether(stage, "evacuate", "hyp3", "--to", "hyp1", "--to", "hyp4")[0], 0)
        equal("hyp3" in where(stage, "vm1", "vm2", "vm3", "vm4"), False)
        stage.all_well()


def vms_that_talk_to_each_other_go_one_after_the_other():
    with Crowd() as stage:
        talk_to_each_other(stage, "vm1", "vm2", "vm3")
        equal(ended(stage, begin(stage))["outcome"], "done")
        equal([m["outcome"] for m in stage.smd.get("/v1/migrations")[1]["migrations"]], ["done"] * 4)
        stage.all_well()


def where_there_is_no_room_for_all_nobody_moves():
    with Crowd(slots=4) as stage:
        status, out, err = tether(stage, "evacuate", "hyp1", "--to", "hyp2")
        equal((status, out), (1, ""))
        equal("no-capacity: 4 VMs would have to leave and there are 3 free VFs; no place for vm4" in err, True, err)
        for reason, words in (("unknown-host", ["hyp9"]), ("unknown-host", ["hyp1", "--to", "hyp9"]),
                              ("same-host", ["hyp1", "--to", "hyp1"])):
            status, _, err = tether(stage, "evacuate", *words)
            equal((status, f"{reason}: " in err), (1, True), err)
        for words in ([], ["hyp1", "hyp2"], ["--abort", "x"], ["hyp1", "--abort", "1"]):
            equal(tether(stage, "evacuate", *words)[0], 2, words)
        for body in ("", "[]", '{"host":7}', '{"host":"hyp1","to":"hyp2"}', '{"host":"hyp1","to":[7]}', '{"host":"a b"}',
                     '{"host":"hyp1","to":["a","b","c d"]}', '{"host":"hyp1","force":1}', '{"host":"hyp1","vm":"vm1"}', '{}'):
            equal(stage.smd.ask("POST", "/v1/evacuations", body)[0], 400, body)
        equal(stage.smd.get("/v1/evacuations")[1]["evacuations"], [])
        equal(stage.smd.get("/v1/migrations")[1]["migrations"], [])


def who_cannot_go_is_named_and_the_others_go():
    with Crowd() as stage:
        stage.world.vms["vm7"] = {"host": "hyp1", "lid": 0, "guid": 0}
        stage.world.hosts["hyp1"].stop()
        wait_until("hyp1 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
        stage.world.hosts["hyp1"].start()
        stage.smd.hosts_here(4)
        stage.world.fault(stage.processes["vm2"].name, "STEP_PREPARE", "refuse")
        status, out, err = tether(stage, "evacuate", "hyp1")
        equal((status, out), (1, "evacuation 1: incomplete: 3 of 5 VMs have left hyp1\n"), err)
        equal("vm2              failed: test-refuse: as asked" in err, True, err)
        equal("vm7              failed: vm-without-vf: " in err, True, err)
        equal(stage.world.vms["vm2"]["host"], "hyp1")
        del stage.world.vms["vm7"]
        stage.all_well()


def a_connection_that_is_being_made_is_waited_for_and_one_that_never_is_is_named():
    with Crowd() as stage:
        shim, never = stage.processes["vm2"], stage.processes["vm3"]
        for each in (shim, never):
            each.qps[0x500] = {"remote_lid": 99, "remote_qpn": 0x501, "real": 0x500}
        stage.world.fault(shim.name, "STEP_PREPARE", lambda: None)
        stage.world.fault(shim.name, "STEP_PREPARE", lambda: shim.qps.pop(0x500) and None)
        evacuation = ended(stage, begin(stage))
        equal((evacuation["outcome"], states(evacuation)),
              ("incomplete", {"vm1": "done", "vm2": "done", "vm3": "failed", "vm4": "done"}))
        equal([vm["reason"] for vm in evacuation["vms"] if vm["vm"] == "vm3"], ["peer-without-shim"])
        stage.all_well()


def without_an_sm_nobody_begins_and_one_that_is_not_the_master_is_asked_again():
    with Crowd() as stage:
        stage.world.sm.stop()
        wait_until("the SM is away", lambda: not stage.smd.get("/v1/health")[1]["sm_connected"])
        number = begin(stage)
        equal(states(stage.smd.get(f"/v1/evacuations/{number}")[1]), {f"vm{i}": "waiting" for i in (1, 2, 3, 4)})
        stage.world.fault("sm", "locate", "not-master")
        stage.world.sm.start()
        evacuation = ended(stage, number)
        equal(evacuation["outcome"], "done", evacuation)
        equal(sorted(m["outcome"] for m in stage.smd.get("/v1/migrations")[1]["migrations"]), ["done"] * 4 + ["refused"])
        stage.all_well()


def an_sm_that_has_not_swept_yet_is_asked_again():
    with Stage() as stage:
        port = stage.world.fabric[stage.world.vms["vm1"]["guid"]]
        lid, place = port["lid"], port["place"]
        stage.world.fault("sm", "locate", "unknown-port")
        stage.world.fault("sm", "locate", lambda: port.update(lid=0))
        stage.world.fault("sm", "locate", lambda: port.update(lid=lid, place=(1, 1)))
        stage.world.fault("sm", "locate", lambda: port.update(place=place))
        stage.world.fault("sm", "plan", "not-routed")
        equal(ended(stage, begin(stage))["outcome"], "done")
        equal([[r["reason"] for r in stage.smd.get(f"/v1/migrations/{n}")[1]["refusals"]] for n in (1, 2, 3, 4, 5)],
              [["unknown-port"], ["port-without-lid"], ["place-differs"], ["not-routed"], []])
        equal(stage.world.complaints(), [])


def whom_the_sm_does_not_know_keeps_nobody_waiting():
    with Crowd(migrations_max=1) as stage:
        stage.world.fault("sm", "locate", "unknown-port", 2)
        evacuation = ended(stage, begin(stage))
        equal(evacuation["outcome"], "done", evacuation)
        equal([m["vm"] for m in reversed(stage.smd.get("/v1/migrations")[1]["migrations"])],
              ["vm1", "vm2", "vm3", "vm4", "vm1", "vm2"])
        stage.all_well()


def held_in_the_first_move(stage, **more):
    """Where the first VM of an evacuation stands still, and the evacuation's number."""
    for host in stage.world.hosts.values():
        together(host)
    held = Held(stage.world)
    stage.world.fault("hyp1", "HOST_MOVE", held)
    number = begin(stage, **more)
    equal(held.there.wait(20), True)
    return held, number


def hosts_that_are_emptied_at_the_same_time_take_nobody():
    with Crowd() as stage:
        held, first = held_in_the_first_move(stage, to=["hyp2"])
        wait_until("all four have begun", lambda: all(
            stage.smd.get(f"/v1/migrations/{n}")[1].get("state") not in (None, "locating", "preparing") for n in (1, 2, 3, 4)))
        # Of the second one nobody else begins meanwhile.
        silent = Held(stage.world)
        stage.world.fault("sm", "locate", silent)
        second = begin(stage, "hyp2")
        equal(set(states(stage.smd.get(f"/v1/evacuations/{second}")[1])), {"vm1", "vm2", "vm3", "vm4", "vm5"})
        equal(silent.there.wait(20), True)
        for host in ("hyp1", "hyp2"):
            equal(stage.smd.migrate("vm9", host)[1]["reason"], "host-evacuating")
            equal(stage.smd.ask("POST", "/v1/evacuations", {"host": "hyp4", "to": [host]})[1]["reason"], "host-evacuating")
        held.go.set()
        equal(ended(stage, first)["outcome"], "done")
        # hyp1 has most room now, and is to be empty when both have ended.
        silent.go.set()
        equal(ended(stage, second)["outcome"], "done")
        equal(where(stage, *stage.world.vms), {"hyp3", "hyp4"})
        equal(stage.smd.move("vm9", "hyp1")["outcome"], "done")
        stage.all_well()


def room_that_another_evacuation_needs_is_not_free():
    with Crowd(slots=4, migrations_max=1) as stage:
        held, first = held_in_the_first_move(stage, to=["hyp3"])
        status, _, err = tether(stage, "evacuate", "hyp2", "--to", "hyp3")
        equal((status, "no-capacity: 1 VMs would have to leave and there are 0 free VFs; no place for vm5" in err), (1, True), err)
        answer = stage.smd.ask("POST", "/v1/evacuations", {"host": "hyp3"})[1]
        equal((answer["reason"], "need the free VFs of hyp3" in answer["text"]), ("no-capacity", True), answer)
        # hyp3 and hyp4 have as much room then, and only hyp4's is nobody else's.
        second = begin(stage, "hyp2", to=["hyp3", "hyp4"])
        held.go.set()
        equal([ended(stage, number)["outcome"] for number in (first, second)], ["done", "done"])
        equal((where(stage, "vm1", "vm2", "vm3", "vm4"), where(stage, "vm5")), ({"hyp3"}, {"hyp4"}))
        stage.all_well()


def vms_that_come_or_go_meanwhile(stage, guest_ends):
    for host in stage.world.hosts.values():
        together(host)
    stage.world.guest("vm7", "hyp1")
    coming, going = Held(stage.world), Held(stage.world)
    stage.world.fault("hyp1", "HOST_ATTACH", coming)
    create(stage.smd, "vm7", "hyp1")
    equal(coming.there.wait(20), True)
    stage.world.fault("hyp1", "HOST_DETACH", going)
    destroy(stage.smd, "vm3")
    equal(going.there.wait(20), True)
    number = begin(stage)
    wait_until("the others have left", lambda: states(stage.smd.get(f"/v1/evacuations/{number}")[1]) == {
        "vm1": "done", "vm2": "done", "vm3": "waiting", "vm4": "done", "vm7": "waiting"})
    if guest_ends:
        with stage.world.lock:
            del stage.world.vms["vm3"], stage.world.shims[stage.processes["vm3"].name]
    going.go.set()
    coming.go.set()
    evacuation = ended(stage, number)
    equal((evacuation["outcome"], "hyp1" in where(stage, *set(stage.world.vms) - {"vm3"})), ("done", False), evacuation)
    equal([vm.get("migration", 0) > 0 for vm in evacuation["vms"] if vm["vm"] in ("vm3", "vm7")], [False, True])
    equal((ended(stage, begin(stage))["vms"], "vm3" in stage.world.vms), ([], not guest_ends))


def vms_that_come_or_go_meanwhile_leave_or_are_gone():
    """Whose guest stays has nothing left that could move."""
    for guest_ends in (True, False):
        with Crowd() as stage:
            vms_that_come_or_go_meanwhile(stage, guest_ends)


def who_finds_no_room_any_more_says_so_and_waits_for_it():
    with Crowd(slots=5, migrations_max=1) as stage:
        held, number = held_in_the_first_move(stage, to=["hyp2"])
        with stage.world.lock:
            stage.world.vms["vm8"] = {"host": "hyp2", "lid": 0, "guid": 0}
            stage.world.slots["hyp2-vf4"]["vm"] = "vm8"
        held.go.set()
        seen = lambda: {vm["vm"]: vm.get("reason") for vm in stage.smd.get(f"/v1/evacuations/{number}")[1]["vms"]}
        wait_until("vm4 waits", lambda: seen()["vm4"] == "no-free-vf")
        with stage.world.lock:
            del stage.world.vms["vm8"]
            stage.world.slots["hyp2-vf4"]["vm"] = ""
        stage.world.hosts["hyp2"].stop()
        stage.world.hosts["hyp2"].start()
        evacuation = ended(stage, number)
        equal((evacuation["outcome"], set(seen().values())), ("done", {None}), evacuation)
        stage.all_well()


def whom_a_host_cannot_take_another_one_takes():
    with Crowd(migrations_max=1) as stage:
        # hyp3 has the most room, then hyp2, then hyp4.
        stage.world.fault("hyp3", "HOST_CHECK", "refuse")
        stage.world.fault("hyp2", "HOST_CHECK", "fail")
        equal(ended(stage, begin(stage))["outcome"], "done")
        moves = [(m["vm"], m["to"], m["outcome"]) for m in reversed(stage.smd.get("/v1/migrations")[1]["migrations"])]
        equal([move for move in moves if move[2] == "refused"], [("vm1", "hyp3", "refused"), ("vm3", "hyp2", "refused")])
        equal([("vm1", "hyp3", "done") in moves, ("vm3", "hyp2", "done") in moves, len(moves)], [False, False, 6])
        stage.all_well()
    with Crowd(migrations_max=1, env={"TETHER_DIE_AT": "smd-recorded:refused"}) as stage:
        stage.world.fault("hyp3", "HOST_CHECK", "refuse")
        number = begin(stage)
        equal(stage.smd.wait(), -9)
        stage.smd.start()
        equal(ended(stage, number)["outcome"], "done")
        equal("hyp3" in where(stage, "vm1"), False)
        stage.all_well()
    with Stage() as stage:
        for host in ("hyp2", "hyp3"):
            stage.world.fault(host, "HOST_CHECK", "refuse")
        status, _, err = tether(stage, "evacuate", "hyp1", "--to", "hyp2", "hyp3")
        equal((status, "failed: test-host_check: as asked" in err), (1, True), err)
        equal({m["to"] for m in stage.smd.get("/v1/migrations")[1]["migrations"]}, {"hyp2", "hyp3"})
        equal(stage.world.complaints(), [])


def an_abort_lets_nobody_begin_and_aborts_what_is_not_committed():
    with Crowd(migrations_max=1) as stage:
        held, number = held_in_the_first_move(stage)
        equal(stage.smd.ask("POST", "/v1/evacuations", {"host": "hyp1"})[1]["reason"], "already-evacuating")
        equal(stage.smd.ask("POST", f"/v1/evacuations/{number}/abort")[0], 202)
        held.go.set()
        evacuation = ended(stage, number)
        equal((evacuation["outcome"], states(evacuation)),
              ("aborted", {"vm1": "done", "vm2": "left", "vm3": "left", "vm4": "left"}))
        equal(stage.smd.ask("POST", f"/v1/evacuations/{number}/abort")[1]["reason"], "ended")
        equal(stage.smd.ask("POST", "/v1/evacuations/9/abort")[1]["reason"], "unknown-evacuation")
        held = Held(stage.world)
        stage.world.fault(stage.processes["vm9"].name, "STEP_STOP", held)
        number = begin(stage)
        equal(held.there.wait(20), True)
        aborting = subprocess.Popen([TETHER, "--api", stage.smd.api_path, "evacuate", "--abort", str(number)])
        wait_until("it is aborted", lambda: states(stage.smd.get(f"/v1/evacuations/{number}")[1])["vm4"] == "left")
        held.go.set()
        evacuation = ended(stage, number)
        equal((aborting.wait(60), evacuation["outcome"], states(evacuation)),
              (0, "aborted", {"vm2": "left", "vm3": "left", "vm4": "left"}))
        equal(where(stage, "vm2", "vm3", "vm4"), {"hyp1"})
        stage.all_well()


def an_abort_that_cannot_be_written_is_refused():
    with Crowd(migrations_max=1) as stage:
        held, number = held_in_the_first_move(stage)
        locked = Locked(stage.smd)
        locked()
        status, answer = stage.smd.ask("POST", f"/v1/evacuations/{number}/abort")
        equal((status, answer["reason"]), (503, "journal-failed"))
        locked.unlock()
        held.go.set()
        equal(ended(stage, number)["outcome"], "done")
        stage.all_well()


def it_has_ended_when_that_is_written():
    with Crowd(migrations_max=1) as stage:
        locked = Locked(stage.smd)
        stage.world.fault(stage.processes["vm9"].name, "STEP_RESUME", lambda: None, 3)
        stage.world.fault(stage.processes["vm9"].name, "STEP_RESUME", locked)
        number = begin(stage)
        wait_until("all have left", lambda: stage.smd.get(f"/v1/evacuations/{number}")[1]["done"] == 4)
        equal(stage.smd.get(f"/v1/evacuations/{number}")[1]["ended"], False)
        equal(stage.smd.migrate("vm9", "hyp1")[1]["reason"], "host-evacuating")
        locked.unlock()
        equal(ended(stage, number)["outcome"], "done")
        stage.all_well()


def what_became_of_each_vm_is_told_after_a_restart():
    with Crowd(migrations_max=1) as stage:
        stage.world.vms["vm7"] = {"host": "hyp1", "lid": 0, "guid": 0}
        stage.world.hosts["hyp1"].stop()
        wait_until("hyp1 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
        stage.world.hosts["hyp1"].start()
        stage.smd.hosts_here(4)
        stage.world.fault(stage.processes["vm2"].name, "STEP_PREPARE", "refuse")
        held, number = held_in_the_first_move(stage)
        with stage.world.lock:
            # It ends by itself, before its turn.
            del stage.world.vms["vm4"]
            del stage.world.shims[stage.processes["vm4"].name]
            stage.world.slots["hyp1-vf3"]["vm"] = ""
        tell = lambda: stage.smd.get(f"/v1/evacuations/{number}")[1]
        before = tell()
        stage.smd.kill()
        stage.smd.start()
        equal(tell()["changes"] > before["changes"], True, "who has seen so many would hear nothing")
        held.go.set()
        evacuation = ended(stage, number)
        equal([(vm["vm"], vm["state"], vm.get("migration"), vm.get("reason")) for vm in evacuation["vms"]],
              [("vm1", "done", 1, None), ("vm2", "failed", 2, "test-refuse"), ("vm3", "done", 3, None),
               ("vm4", "done", None, None), ("vm7", "failed", None, "vm-without-vf")])
        stage.smd.kill()
        stage.smd.start()
        equal({**tell(), "changes": 0}, {**evacuation, "changes": 0})


def killed_in_the_middle_it_goes_on_with_the_rest():
    for state in ("locating", "stopping", "moving", "attaching", "done"):
        with Crowd(env={"TETHER_DIE_AT": f"smd-recorded:{state}:2"}) as stage:
            try:
                begin(stage)
            except OSError:
                pass  # it has died already
            equal(stage.smd.wait(), -9, f"{state}: tether-smd died by itself")
            stage.smd.start()
            evacuation = ended(stage, 1)
            equal(evacuation["outcome"], "done", f"{state}: {evacuation}")
            equal("hyp1" in where(stage, "vm1", "vm2", "vm3", "vm4"), False)
            wait_until(f"{state}: {stage.world.complaints()}", lambda: not stage.world.complaints())
            stage.smd.kill()
            stage.smd.start()
            equal((ended(stage, 1)["outcome"], len(stage.smd.get("/v1/evacuations")[1]["evacuations"])), ("done", 1))


def ended_it_goes_on_with_the_rest_when_it_is_started_again():
    with Crowd(migrations_max=1) as stage:
        held, number = held_in_the_first_move(stage)
        stage.smd.child.terminate()
        wait_until("it has heard of it", lambda: "signal 15" in stage.smd.log())
        held.go.set()
        equal(stage.smd.wait(), 0)
        stage.smd.start()
        equal(ended(stage, number)["outcome"], "done")
        stage.all_well()


def ended_while_the_sm_is_silent_it_goes_on_when_it_is_started_again():
    with Crowd(migrations_max=1) as stage:
        held = Held(stage.world)
        stage.world.fault("sm", "locate", held)
        number = begin(stage)
        equal(held.there.wait(20), True)
        stage.smd.child.terminate()
        equal(stage.smd.wait(), 0)
        held.go.set()
        stage.smd.start()
        evacuation = ended(stage, number)
        equal(evacuation["outcome"], "done", evacuation)
        stage.all_well()


run([a_host_is_emptied_several_vms_at_a_time, only_named_hosts_take_them,
     vms_that_talk_to_each_other_go_one_after_the_other, where_there_is_no_room_for_all_nobody_moves,
     who_cannot_go_is_named_and_the_others_go,
     a_connection_that_is_being_made_is_waited_for_and_one_that_never_is_is_named,
     without_an_sm_nobody_begins_and_one_that_is_not_the_master_is_asked_again,
     an_sm_that_has_not_swept_yet_is_asked_again, whom_the_sm_does_not_know_keeps_nobody_waiting,
     hosts_that_are_emptied_at_the_same_time_take_nobody, room_that_another_evacuation_needs_is_not_free,
     vms_that_come_or_go_meanwhile_leave_or_are_gone, who_finds_no_room_any_more_says_so_and_waits_for_it, whom_a_host_cannot_take_another_one_takes,
     an_abort_lets_nobody_begin_and_aborts_what_is_not_committed,
     an_abort_that_cannot_be_written_is_refused, it_has_ended_when_that_is_written,
     what_became_of_each_vm_is_told_after_a_restart, killed_in_the_middle_it_goes_on_with_the_rest, ended_it_goes_on_with_the_rest_when_it_is_started_again,
     ended_while_the_sm_is_silent_it_goes_on_when_it_is_started_again])
