#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that get and give up a VF where LIDs are dynamic, in a world of fakes: the SM promises a LID before the link comes up
and takes it back when it has gone down, whatever happens in between."""

from crowd import Held
from fake_vms import LID_FIRST, LID_LAST, World
from smd import Locked, Stage, equal, run, wait_until
from vm_requests import change_of, create, created, destroy, destroyed


def dynamic(**settings):
    stage = Stage(world=World, **settings)
    stage.world.guest("vm7", "hyp2")
    return stage


def is_in_order(stage):
    wait_until(f"complaints: {stage.world.complaints()}", lambda: not stage.world.complaints())


def is_there(stage, change):
    equal(change["outcome"], "done", change)
    equal(stage.world.vms["vm7"]["lid"], change["lid"])
    is_in_order(stage)


def is_not_there(stage):
    stage.world.left("vm7")
    is_in_order(stage)
    equal(stage.world.slot_of("vm7"), [])


def goes(stage):
    equal(destroyed(stage.smd, "vm7")["outcome"], "done")
    is_not_there(stage)


def a_vm_gets_the_lowest_free_lid_and_gives_it_back():
    with dynamic() as stage:
        for _ in range(2):
            change = created(stage.smd, "vm7", "hyp2")
            is_there(stage, change)
            equal((change["lid"], change["dynamic"]), (LID_FIRST, True))
            goes(stage)


def it_moves_meanwhile_and_gives_it_back_where_it_is():
    with dynamic() as stage:
        is_there(stage, created(stage.smd, "vm7", "hyp2"))
        equal(stage.smd.move("vm7", "hyp3")["outcome"], "done")
        is_in_order(stage)
        goes(stage)


def guids_that_were_chosen_leave_the_slot_with_their_vm():
    with dynamic() as stage:
        before = sorted(slot["port_guid"] for slot in stage.world.slots.values())
        change = created(stage.smd, "vm7", "hyp2", node_guid="0x77", port_guid="0x78", lid=LID_LAST)
        is_there(stage, change)
        equal((change["lid"], stage.world.vms["vm7"]["guid"]), (LID_LAST, 0x78))
        displaced = f"0x{(set(before) - {s['port_guid'] for s in stage.world.slots.values()}).pop():016x}"
        status, answer = stage.smd.ask("POST", "/v1/vms", {"name": "vm8", "host": "hyp3", "node_guid": "0x1", "port_guid": displaced})
        equal((status, answer["reason"]), (409, "guid-in-use"))
        equal(stage.smd.move("vm7", "hyp3")["outcome"], "done")
        goes(stage)
        equal(sorted(slot["port_guid"] for slot in stage.world.slots.values()), before)


def what_the_sm_refuses_is_told_and_nothing_has_changed():
    with dynamic() as stage:
        is_there(stage, created(stage.smd, "vm7", "hyp2"))
        stage.world.guest("vm8", "hyp3")
        change = created(stage.smd, "vm8", "hyp3", lid=LID_FIRST)
        equal((change["outcome"], change["who"], change["reason"]), ("refused", "sm", "lid-in-use"))
        for lid in range(LID_FIRST + 1, LID_LAST + 1):
            stage.world.sm.lids[lid << 32] = lid
        change = created(stage.smd, "vm8", "hyp3")
        equal((change["outcome"], change["reason"]), ("refused", "no-free-lid"))
        for lid in range(LID_FIRST + 1, LID_LAST + 1):
            del stage.world.sm.lids[lid << 32]
        is_in_order(stage)


def fails(stage, reason):
    change = created(stage.smd, "vm7", "hyp2")
    equal((change["outcome"], change["reason"]), ("failed", reason), change)
    is_not_there(stage)
    is_there(stage, created(stage.smd, "vm7", "hyp2"))


def one_that_does_not_come_leaves_nothing():
    for who, what, kind, reason, settings in (
            ("hyp2", "HOST_SET_GUIDS", "fail", "test-host_set_guids", {}),
            ("hyp2", "HOST_ATTACH", "fail", "test-host_attach", {}),
            ("hyp2", "HOST_ATTACH", "silent", "order-not-done", {"attach_ms": 300}),
            ("sm", "lease", "not-here", "not-here", {}),
            ("sm", "apply", "not-acknowledged", "not-acknowledged", {}),
            ("sm", "apply", "silent", "timeout", {"apply_ms": 300})):
        with dynamic(**settings) as stage:
            stage.world.fault(who, what, kind)
            fails(stage, reason)


def nor_does_one_whose_link_does_not_come_up():
    with dynamic() as stage:
        # The second time that it is asked for GUIDs, they are there and the link is to come up.
        stage.world.fault("hyp2", "HOST_SET_GUIDS", lambda: stage.world.fault("hyp2", "HOST_SET_GUIDS", "fail"))
        fails(stage, "test-host_set_guids")


def a_plan_that_is_stale_or_a_lease_that_is_lost_is_made_anew():
    for what in ("stale-plan", "unknown-plan", "no-lease"):
        with dynamic() as stage:
            stage.world.fault("sm", "apply", what, times=3)
            is_there(stage, created(stage.smd, "vm7", "hyp2"))
            stage.world.fault("sm", "apply", what, times=3)
            goes(stage)


def a_lid_that_another_was_promised_meanwhile_is_another():
    with dynamic() as stage:
        def another_comes():
            stage.world.sm.lids[0x99] = LID_FIRST

        stage.world.fault("sm", "apply", another_comes)
        change = created(stage.smd, "vm7", "hyp2")
        equal(change["lid"], LID_FIRST + 1)
        del stage.world.sm.lids[0x99]
        is_there(stage, change)


class AnothersLease:
    """Once it is asked to apply something the SM says that another one holds the lease to move some of that, and so it is
    until it has refused the lease more often than a change is set back."""
    BUSY = 30

    def __init__(self, stage):
        self.sm, self.world = stage.world.sm, stage.world
        stage.world.fault("sm", "apply", self.comes)

    def comes(self):
        self.refused = self.sm.refused_leases
        self.sm.leases["another"] = ("another", "not known")
        for _ in range(self.BUSY):
            self.world.fault("sm", "lease", None)
        self.world.fault("sm", "lease", self.goes)
        return "busy"

    def goes(self):
        del self.sm.leases["another"]


def what_is_under_anothers_lease_is_waited_for():
    with dynamic() as stage:
        another = AnothersLease(stage)
        is_there(stage, created(stage.smd, "vm7", "hyp2"))
        equal(stage.world.sm.refused_leases - another.refused, AnothersLease.BUSY)
        another = AnothersLease(stage)
        goes(stage)
        equal(stage.world.sm.refused_leases - another.refused, AnothersLease.BUSY)


def dies(stage):
    def die():
        stage.world.sm.stop()
        stage.world.sm.start()
        return "silent"
    return die


def an_sm_that_dies_is_asked_again():
    for op in ("plan", "lease", "apply", "release_lease", "locate"):
        with dynamic() as stage:
            stage.world.fault("sm", op, dies(stage))
            is_there(stage, created(stage.smd, "vm7", "hyp2"))
            if op != "locate":
                stage.world.fault("sm", op, dies(stage))
            goes(stage)


def an_sm_that_is_away_is_waited_for_when_a_vm_has_gone():
    with dynamic(plan_ms=200, apply_ms=200) as stage:
        is_there(stage, created(stage.smd, "vm7", "hyp2"))

        def away():
            stage.world.sm.stop()
            return "silent"

        stage.world.fault("sm", "apply", away)
        destroy(stage.smd, "vm7")
        wait_until("it has been asked for in vain", lambda: state_of(stage, "vm7") == "end-leasing"
                   and not stage.smd.get("/v1/health")[1]["sm_connected"])
        stage.world.sm.start()
        equal(change_of(stage.smd, "vm7")["outcome"], "done")
        is_not_there(stage)


def what_cannot_be_announced_is_not_begun():
    with dynamic() as stage:
        slots = {name: dict(slot) for name, slot in stage.world.slots.items()}
        locked = Locked(stage.smd)
        stage.world.fault("hyp2", "HOST_CHECK", locked)
        change = created(stage.smd, "vm7", "hyp2", node_guid="0x77", port_guid="0x78")
        equal((change["outcome"], change["reason"], stage.world.slots), ("refused", "journal-failed", slots))
        locked.unlock()
        is_there(stage, created(stage.smd, "vm7", "hyp2"))
        stage.world.fault("sm", "plan", locked)
        change = destroyed(stage.smd, "vm7")
        equal((change["outcome"], change["reason"], len(stage.world.slot_of("vm7"))), ("refused", "journal-failed", 1))
        locked.unlock()
        goes(stage)


def state_of(stage, name):
    return stage.smd.get(f"/v1/vms/{name}")[1]["change"]["state"]


def ignores_links(host):
    """Whatever it is told of a link it does not answer. What it does otherwise."""
    order = host.order
    host.order = lambda event: None if event["order"]["link"] in ("LINK_UP", "LINK_DOWN") else order(event)
    return order


def roomy(directory):
    return World(directory, slots=5)


def while_the_host_of_four_is_away_others_come_and_go():
    with Stage(world=roomy) as stage:
        host, names = stage.world.hosts["hyp2"], [f"vm1{number}" for number in range(4)]
        order = ignores_links(host)
        for name in names:
            stage.world.guest(name, "hyp2")
            create(stage.smd, name, "hyp2")
        wait_until("all have heard nothing", lambda: {state_of(stage, name) for name in names} <= {"awaiting", "end-leasing", "unlinking"})
        host.stop()
        wait_until("all wait for their host", lambda: {state_of(stage, name) for name in names} == {"awaiting"})
        stage.world.guest("vm7", "hyp3")
        equal(created(stage.smd, "vm7", "hyp3", lid=LID_LAST + 1)["outcome"], "done")
        equal(stage.smd.move("vm1", "hyp3")["outcome"], "done")
        equal(destroyed(stage.smd, "vm7")["outcome"], "done")
        stage.world.left("vm7")
        host.order = order
        host.start()
        for name in names:
            change = change_of(stage.smd, name)
            equal((change["outcome"], change["host"]), ("failed", "hyp2"))
        is_in_order(stage)


def a_host_that_never_answers_is_named_and_asked_again():
    with dynamic(guids_ms=300, change_ms=3000) as stage:
        host = stage.world.hosts["hyp2"]
        order = ignores_links(host)
        equal(created(stage.smd, "vm7", "hyp2")["outcome"], "incomplete")
        host.order = order
        goes(stage)


def an_sm_that_is_told_to_end_is_waited_for():
    for op in ("plan", "lease", "apply"):
        with dynamic() as stage:
            for asked in (create, destroy):
                heard = stage.world.sm_told_to_end(op)
                asked(stage.smd, "vm7", *(["hyp2"] if asked is create else []))
                wait_until("it is told", heard.is_set)
                stage.world.sm_another()
                equal(change_of(stage.smd, "vm7")["outcome"], "done", (op, asked.__name__))
            is_not_there(stage)


def an_sm_that_does_not_give_back_is_named_and_asked_again():
    with dynamic() as stage:
        is_there(stage, created(stage.smd, "vm7", "hyp2"))
        stage.world.fault("sm", "apply", "sl-by-path", times=100)
        change = destroyed(stage.smd, "vm7")
        equal((change["outcome"], change["reason"]), ("incomplete", "sl-by-path"))
        stage.world.faults.clear()
        goes(stage)


def what_is_left_of_one_with_guids_of_its_own_is_asked_for_again():
    for step in ("lease", "apply"):
        with dynamic() as stage:
            before = sorted(slot["port_guid"] for slot in stage.world.slots.values())
            is_there(stage, created(stage.smd, "vm7", "hyp2", node_guid="0x77", port_guid="0x78"))
            stage.world.fault("sm", step, "sl-by-path", times=100)
            equal(destroyed(stage.smd, "vm7")["outcome"], "incomplete")
            stage.world.faults.clear()
            stage.world.guest("vm8", "hyp2")
            change = created(stage.smd, "vm8", "hyp2")
            equal(change["outcome"], "done", change)
            equal(destroyed(stage.smd, "vm7")["outcome"], "done", step)
            equal(destroyed(stage.smd, "vm8")["outcome"], "done")
            stage.world.left("vm8")
            is_not_there(stage)
            equal(sorted(slot["port_guid"] for slot in stage.world.slots.values()), before)


def what_a_migration_has_a_slot_show_is_believed_after_a_restart_whoever_was_there_before():
    """Its GUIDs are ours, and not those of the VMs that came and went in both slots earlier."""
    with dynamic() as stage:
        equal(created(stage.smd, "vm7", "hyp2")["outcome"], "done")
        slot = stage.world.slot_of("vm7")[0]
        goes(stage)
        stage.world.guest("vm8", "hyp1")
        equal(created(stage.smd, "vm8", "hyp1")["outcome"], "done")
        held = Held(stage.world, "died")
        stage.world.fault("hyp1", "HOST_MOVE", held)
        number = stage.smd.migrate("vm8", "hyp2")[1]["id"]
        equal(stage.smd.get(f"/v1/migrations/{number}")[1]["to_slot"], slot)
        equal(held.there.wait(20), True)
        stage.smd.kill()
        held.go.set()
        stage.smd.start()
        equal(stage.smd.wait_for(number)["outcome"], "done")
        said = {row["name"]: row["vm"] for host in stage.smd.get("/v1/hypervisors")[1]["hypervisors"] for row in host["slots"]}
        equal(said.get(slot), "vm8", said)
        is_in_order(stage)


run([what_a_migration_has_a_slot_show_is_believed_after_a_restart_whoever_was_there_before,
     a_vm_gets_the_lowest_free_lid_and_gives_it_back, it_moves_meanwhile_and_gives_it_back_where_it_is,
     guids_that_were_chosen_leave_the_slot_with_their_vm, what_the_sm_refuses_is_told_and_nothing_has_changed,
     one_that_does_not_come_leaves_nothing, nor_does_one_whose_link_does_not_come_up,
     a_plan_that_is_stale_or_a_lease_that_is_lost_is_made_anew, a_lid_that_another_was_promised_meanwhile_is_another,
     what_is_under_anothers_lease_is_waited_for, an_sm_that_dies_is_asked_again,
     what_cannot_be_announced_is_not_begun, while_the_host_of_four_is_away_others_come_and_go, a_host_that_never_answers_is_named_and_asked_again,
     an_sm_that_is_away_is_waited_for_when_a_vm_has_gone, an_sm_that_is_told_to_end_is_waited_for, an_sm_that_does_not_give_back_is_named_and_asked_again,
     what_is_left_of_one_with_guids_of_its_own_is_asked_for_again])
