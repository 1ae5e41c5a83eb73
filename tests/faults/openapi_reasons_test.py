#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Each reason that sm-side/openapi.yaml names at a path is given there by tether-smd, and no other one."""
from openapi import Description, Witness
from smd import WAL_FRAME, Locked, Stage, equal, run, wait_until

DESCRIPTION = Description()
WITNESS = Witness(DESCRIPTION)
# Nobody can take the memory of another process at one place.
NOT_FROM_OUTSIDE = {"no-memory"}
# Another user's; openapi_test.py asks as one.
ELSEWHERE = {"forbidden"}


def refused(smd, reason, method, path, body=None):
    equal(WITNESS.ask(smd, method, path, body)[1].get("reason"), reason, f"{method} {path}")


def move_refused(stage, reason, vm="vm1", to="hyp2"):
    """It is, and so is the question for its plan."""
    refused(stage.smd, reason, "POST", "/v1/migrations", {"vm": vm, "to": to})
    plan_refused(stage, reason, vm, to)


def plan_refused(stage, reason, vm="vm1", to="hyp2"):
    refused(stage.smd, reason, "POST", "/v1/plan", {"vm": vm, "to": to})
    refused(stage.smd, reason, "GET", f"/v1/plan?vm={vm}&to={to}")


def evacuation_refused(stage, reason, **wish):
    refused(stage.smd, reason, "POST", "/v1/evacuations", wish)


def host_says_anew(stage, name):
    stage.world.hosts[name].stop()
    wait_until("its going has been noticed", lambda: not connected(stage, name))
    stage.world.hosts[name].start()
    wait_until("it is back", lambda: connected(stage, name))


def connected(stage, name):
    return next(h["connected"] for h in stage.smd.get("/v1/hypervisors")[1]["hypervisors"] if h["name"] == name)


def what_cannot_be_read_is_refused():
    with Stage() as stage:
        for path in ("/v1/migrations", "/v1/evacuations", "/v1/plan", "/v1/migrations/1/steps"):
            refused(stage.smd, "bad-request", "POST", path, "{")
        for path in ("/v1/vms", "/v1/vms/vm1/release"):
            refused(stage.smd, "bad-request", "POST", path, "{")
        refused(stage.smd, "bad-request", "GET", "/v1/vms/vm1?wait=done")
        refused(stage.smd, "bad-request", "GET", "/v1/plan?vm=vm1")
        for path in ("/v1/migrations/1", "/v1/evacuations/1"):
            refused(stage.smd, "bad-request", "GET", path + "?wait=maybe")


def who_is_not_there_is_refused():
    with Stage() as stage:
        move_refused(stage, "unknown-vm", vm="vm9")
        move_refused(stage, "unknown-host", to="hyp9")
        evacuation_refused(stage, "unknown-host", host="hyp9")
        coming_refused(stage, "unknown-host", host="hyp9")
        coming_refused(stage, "unknown-slot", slot="hyp1-vf0")
        refused(stage.smd, "unknown-vm", "GET", "/v1/vms/vm9")
        refused(stage.smd, "unknown-vm", "DELETE", "/v1/vms/vm9")
        refused(stage.smd, "unknown-vm", "POST", "/v1/vms/vm9/release")
        refused(stage.smd, "unknown-host", "DELETE", "/v1/hypervisors/hyp9")
        for method, path in (("GET", ""), ("POST", "/abort")):
            refused(stage.smd, "unknown-migration", method, "/v1/migrations/9" + path)
            refused(stage.smd, "unknown-evacuation", method, "/v1/evacuations/9" + path)
        refused(stage.smd, "unknown-migration", "POST", "/v1/migrations/9/steps", {"step": "moved"})


def coming_refused(stage, reason, host="hyp2", name="vm8", **members):
    refused(stage.smd, reason, "POST", "/v1/vms", {"name": name, "host": host, **members})


def a_vm_that_cannot_come_or_go_is_refused():
    with Stage() as stage:
        coming_refused(stage, "vm-exists", name="vm1")
        coming_refused(stage, "not-dynamic", lid=40)
        stage.world.slots["hyp2-vf0"]["dynamic"] = True
        host_says_anew(stage, "hyp2")
        guid = f"0x{stage.world.vms['vm1']['guid']:016x}"
        coming_refused(stage, "guid-in-use", node_guid=guid, port_guid=guid)
        for slot in ("hyp2-vf0", "hyp1-vf0"):
            stage.world.slots["x" * 200 + slot] = stage.world.slots.pop(slot)
        for host in ("hyp2", "hyp1"):
            host_says_anew(stage, host)
        stage.world.slots["hyp2-vf1"]["vm"] = "vm7"
        stage.world.vms["vm7"] = {"host": "hyp2", "lid": 0, "guid": 0}
        host_says_anew(stage, "hyp2")
        coming_refused(stage, "name-too-long")
        refused(stage.smd, "name-too-long", "DELETE", "/v1/vms/vm1")
    with Stage(fabric="none") as stage:
        stage.world.slots["hyp2-vf0"]["dynamic"] = True
        host_says_anew(stage, "hyp2")
        coming_refused(stage, "no-fabric", lid=40)


def no_more_come_and_go_than_may():
    with Stage() as stage:
        for number, host in enumerate(("hyp1", "hyp2", "hyp2", "hyp3")):
            stage.world.fault(host, "HOST_CHECK", "silent")
            equal(WITNESS.ask(stage.smd, "POST", "/v1/vms", {"name": f"vm{number + 3}", "host": host})[0], 202)
        coming_refused(stage, "busy")
        refused(stage.smd, "busy", "DELETE", "/v1/vms/vm1")
    with Stage() as stage:
        stage.world.fault("hyp1", "HOST_DETACH", "silent")
        equal(WITNESS.ask(stage.smd, "DELETE", "/v1/vms/vm1")[0], 202)
        refused(stage.smd, "vm-changing", "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2"})
        refused(stage.smd, "vm-changing", "DELETE", "/v1/vms/vm1")
        coming_refused(stage, "vm-changing", name="vm1")
        host_says_anew(stage, "hyp1")
        wait_until("it has ended", lambda: stage.smd.get("/v1/vms/vm1?wait=change&seen=9")[1]["change"]["ended"])


def a_vm_that_is_rightly_its_hosts_is_not_released():
    with Stage() as stage:
        refused(stage.smd, "vm-not-disputed", "POST", "/v1/vms/vm1/release")
        heard = []
        stage.world.fault("vm2/21.147", "STEP_STOP",
                          lambda: heard.append(WITNESS.ask(stage.smd, "POST", "/v1/vms/vm1/release")[1]["reason"]))
        stage.smd.move("vm1", "hyp2")
        equal(heard, ["vm-already-moving"])


def a_host_that_is_here_or_needed_is_not_forgotten():
    with Stage() as stage:
        refused(stage.smd, "host-connected", "DELETE", "/v1/hypervisors/hyp1")
        heard = []

        def gone_in_the_middle():
            stage.world.hosts["hyp2"].stop()
            wait_until("its going has been noticed", lambda: not connected(stage, "hyp2"))
            heard.append(WITNESS.ask(stage.smd, "DELETE", "/v1/hypervisors/hyp2")[1]["reason"])
            stage.world.hosts["hyp2"].start()

        stage.world.fault("vm2/21.147", "STEP_STOP", gone_in_the_middle)
        stage.smd.move("vm1", "hyp2")
        equal(heard, ["busy"])


def hosts_that_cannot_be_meant_are_refused():
    with Stage() as stage:
        move_refused(stage, "same-host", to="hyp1")
        evacuation_refused(stage, "same-host", host="hyp1", to=["hyp1"])
        stage.world.hosts["hyp2"].stop()
        wait_until("its going has been noticed", lambda: not connected(stage, "hyp2"))
        move_refused(stage, "host-not-connected")
        evacuation_refused(stage, "host-not-connected", host="hyp2")
        coming_refused(stage, "host-not-connected")
        stage.world.hosts["hyp1"].stop()
        wait_until("its going has been noticed", lambda: not connected(stage, "hyp1"))
        refused(stage.smd, "host-not-connected", "DELETE", "/v1/vms/vm1")


def who_has_no_vf_and_where_there_is_none_is_refused():
    with Stage() as stage:
        for name, host in (("vm3", "hyp2"), ("vm4", "hyp2"), ("vm5", "hyp1"), ("vm6", "hyp3")):
            stage.world.vm(name, host)
        stage.world.vms["vm7"] = {"host": "hyp1", "lid": 0, "guid": 0}
        for host in ("hyp1", "hyp2", "hyp3"):
            host_says_anew(stage, host)
        move_refused(stage, "no-free-vf")
        move_refused(stage, "vm-without-vf", vm="vm7")
        evacuation_refused(stage, "no-capacity", host="hyp1")
        coming_refused(stage, "no-free-vf")
        coming_refused(stage, "slot-in-use", slot="hyp2-vf1")
        refused(stage.smd, "vm-without-vf", "DELETE", "/v1/vms/vm7")


def who_has_two_vfs_that_cannot_go_together_is_refused():
    with Stage() as stage:
        stage.world.slots["hyp1-vf1"].update(vm="vm1", dynamic=True)
        host_says_anew(stage, "hyp1")
        before = [dict(slot) for slot in stage.world.slots.values()]
        move_refused(stage, "several-vfs")
        refused(stage.smd, "several-vfs", "DELETE", "/v1/vms/vm1")
        text = stage.smd.migrate("vm1", "hyp2")[1]["text"]
        equal("hyp1-vf0" in text and "hyp1-vf1" in text and "take that one away" in text, True, text)
        equal([dict(slot) for slot in stage.world.slots.values()], before)
        stage.world.slots["hyp1-vf1"]["vm"] = ""
        host_says_anew(stage, "hyp1")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def slots_that_do_not_fit_are_refused():
    for host, member, value, reason in (
            ("hyp2", "shared_port", True, "endpoint-differs"),
            ("hyp2", "name", "x" * 200, "name-too-long"),
            ("hyp1", "address", {"lid": 7, "gid": b"short"}, "bad-address")):
        with Stage() as stage:
            for slot in stage.world.slots.values():
                if slot["host"] == host:
                    slot[member] = value
            host_says_anew(stage, host)
            move_refused(stage, reason)


def guids_that_nobody_or_another_has_are_refused():
    with Stage() as stage:
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        slot = stage.world.slots[stage.world.slot_of("vm1")[0]]
        slot["vm"], stage.world.vms["vm8"] = "vm8", {"host": "hyp2", "lid": 0, "guid": 0}
        host_says_anew(stage, "hyp2")
        refused(stage.smd, "guids-in-use", "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2"})
        slot["vm"], slot["port_guid"] = "", 0x2999
        host_says_anew(stage, "hyp2")
        refused(stage.smd, "guids-not-found", "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2"})


def what_is_under_way_is_left_alone():
    with Stage(migrations_max=1) as stage:
        def before_the_commit():
            refused(stage.smd, "vm-already-moving", "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp3"})
            refused(stage.smd, "busy", "POST", "/v1/migrations", {"vm": "vm2", "to": "hyp1"})
            refused(stage.smd, "vm-already-moving", "DELETE", "/v1/vms/vm1")
            coming_refused(stage, "vm-already-moving", name="vm1")

        def after_it():
            refused(stage.smd, "too-late", "POST", "/v1/migrations/1/abort")
            refused(stage.smd, "not-awaited", "POST", "/v1/migrations/1/steps", {"step": "detached"})

        stage.world.fault("vm2/21.147", "STEP_STOP", before_the_commit)
        stage.world.fault("hyp1", "HOST_DETACH", after_it)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        refused(stage.smd, "ended", "POST", "/v1/migrations/1/abort")
        refused(stage.smd, "ended", "POST", "/v1/migrations/1/steps", {"step": "moved"})


def a_host_leaves_once_and_takes_nobody_meanwhile():
    with Stage() as stage:
        def while_it_leaves():
            evacuation_refused(stage, "already-evacuating", host="hyp1")
            evacuation_refused(stage, "host-evacuating", host="hyp3", to=["hyp1"])
            refused(stage.smd, "host-evacuating", "POST", "/v1/migrations", {"vm": "vm2", "to": "hyp1"})
            coming_refused(stage, "host-evacuating", host="hyp1")
            locked = Locked(stage.smd)
            locked()
            refused(stage.smd, "journal-failed", "POST", "/v1/evacuations/1/abort")
            locked.unlock()

        stage.world.fault("vm2/21.147", "STEP_STOP", while_it_leaves)
        equal(WITNESS.ask(stage.smd, "POST", "/v1/evacuations", {"host": "hyp1"})[0], 202)
        wait_until("it has ended", lambda: stage.smd.get("/v1/evacuations/1?wait=change")[1]["ended"])
        refused(stage.smd, "ended", "POST", "/v1/evacuations/1/abort")


def while_it_looks_where_a_vm_is_it_says_so():
    with Stage() as stage:
        stage.smd.migrate("vm1", "hyp2", mode="called")
        wait_until("a report is awaited", lambda: stage.smd.get("/v1/migrations/1")[1].get("awaits"))
        stage.smd.kill()
        stage.world.hosts["hyp2"].stop()
        stage.smd.start()
        refused(stage.smd, "recovering", "POST", "/v1/migrations/1/steps", {"step": "detached"})
        refused(stage.smd, "recovering", "POST", "/v1/migrations/1/abort")
        stage.world.hosts["hyp2"].start()
        wait_until("a report is awaited", lambda: stage.smd.get("/v1/migrations/1")[1].get("awaits"))
        stage.smd.ask("POST", "/v1/migrations/1/steps", {"step": "failed"})
        equal(stage.smd.wait_for(1)["outcome"], "failed-at-source")


def a_daemon_that_ends_says_so():
    with Stage() as stage:
        def told_to_end():
            stage.smd.child.terminate()
            wait_until("it is ending", lambda: "signal 15: ending with" in stage.smd.log())
            refused(stage.smd, "shutting-down", "POST", "/v1/migrations", {"vm": "vm2", "to": "hyp2"})
            evacuation_refused(stage, "shutting-down", host="hyp3")
            coming_refused(stage, "shutting-down")
            refused(stage.smd, "shutting-down", "DELETE", "/v1/vms/vm2")

        stage.world.fault("vm2/21.147", "STEP_STOP", told_to_end)
        stage.smd.move("vm1", "hyp2")
        equal(stage.smd.wait(), 0)


def a_daemon_without_room_says_so():
    with Stage() as stage:
        stage.smd.move("vm1", "hyp2")
        stage.smd.kill()
        # For the epoch of the start, which is one page.
        stage.smd.start(room=WAL_FRAME + WAL_FRAME // 2)
        stage.smd.all_here(3)
        refused(stage.smd, "journal-failed", "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp1"})
        evacuation_refused(stage, "journal-failed", host="hyp2")
        coming_refused(stage, "journal-failed")
        refused(stage.smd, "journal-failed", "DELETE", "/v1/vms/vm2")
        stage.smd.make_room()


def what_the_sm_does_not_plan_is_not_planned():
    with Stage() as stage:
        for said, reason in (("not-routed", "not-routed"), (7, "bad-answer")):
            stage.world.fault("sm", "plan", said, times=2)
            plan_refused(stage, reason)
        stage.world.sm.stop()
        wait_until("the SM is away", lambda: not stage.smd.get("/v1/health")[1]["sm_connected"])
        plan_refused(stage, "sm-not-connected")
    with Stage(fabric="none") as stage:
        plan_refused(stage, "no-fabric")


def every_reason_that_is_described_has_been_given_at_its_path():
    equal({row for row in WITNESS.reasons_ungiven() if row[-1] not in NOT_FROM_OUTSIDE | ELSEWHERE}, set())


run([what_cannot_be_read_is_refused, who_is_not_there_is_refused, a_vm_that_cannot_come_or_go_is_refused,
     no_more_come_and_go_than_may, a_vm_that_is_rightly_its_hosts_is_not_released, a_host_that_is_here_or_needed_is_not_forgotten,
     hosts_that_cannot_be_meant_are_refused,
     who_has_no_vf_and_where_there_is_none_is_refused, who_has_two_vfs_that_cannot_go_together_is_refused, slots_that_do_not_fit_are_refused,
     guids_that_nobody_or_another_has_are_refused, what_is_under_way_is_left_alone, a_host_leaves_once_and_takes_nobody_meanwhile,
     while_it_looks_where_a_vm_is_it_says_so, a_daemon_that_ends_says_so,
     a_daemon_without_room_says_so, what_the_sm_does_not_plan_is_not_planned,
     every_reason_that_is_described_has_been_given_at_its_path])
