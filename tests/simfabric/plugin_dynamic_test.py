#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Dynamic LIDs under a real OpenSM with libosmtether.so: VFs without a VM are down and have no LID. VMs are created,
move to empty slots and end; the test plays the host agents, who pull a VF's link up and down. What the sweep that follows
writes is counted, and SA has to say where the fabric carries whom."""
import itertools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import findings, shown  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.dynamic_lab import DynamicLab  # noqa: E402
from simfabric.plugin_lab import UP_S  # noqa: E402

ROUNDS = 10 if FULL else 1
HIGH = 1100
NO_PORT = 255
ACTIVE = 4  # PortInfo's PortState
MEMBER = "hyp1_vf1"  # where the partition's one member is at first
SHORT = "0xc"  # a LID does not rest for longer than a sweep takes
BLUE, DEFAULT = 0x8001, 0xffff


def settle(lab, sa, what):
    """A link that goes up or down makes OpenSM sweep and choose all routes anew (its switch says PortStateChange); what
    that writes is counted. Then all is right, and the next sweep writes nothing."""
    wrote = lab.heavy_sweep()
    found = findings(lab.truth(), sa)
    assert not found, shown(found)
    again = lab.heavy_sweep()
    assert not any(again.values()), f"the second sweep wrote {again}"
    print(f"# {what}: the sweep wrote {wrote['LFT blocks']} LFT blocks")


def a_vm_that_moves_often_is_active_each_time():
    """OpenSM heeds no more than ten traps of one switch in a while."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1")) as lab:
        for source, destination in (("hyp1_vf1", "hyp4_vf4"), ("hyp4_vf4", "hyp1_vf1")) * 7:
            lab.copy([(source, destination)], sweep=True)
            wait_until(f"the port in {destination} is active",
                       lambda: lab.ask("locate", port_guid=lab.guid_at(destination))["state"] == ACTIVE, UP_S)


def lid_at(lab, slot):
    return lab.slot_row(slot)["lid"]


def vms_come_move_and_end(lab):
    with lab.sa() as sa:
        settle(lab, sa, "nothing yet")
        for _ in range(ROUNDS):
            lid = lab.create("hyp1_vf2")
            settle(lab, sa, "created")
            assert lid_at(lab, "hyp1_vf2") == lid
            lab.copy([("hyp1_vf2", "hyp4_vf4")])
            assert lid_at(lab, "hyp4_vf4") == lid, "the LID came only with the sweep"
            settle(lab, sa, "moved")
            assert lid_at(lab, "hyp4_vf4") == lid
            lab.destroy("hyp4_vf4")
            settle(lab, sa, "ended")


def several_move_at_once(lab):
    slots = ("hyp1_vf2", "hyp1_vf3", "hyp1_vf4")
    targets = ("hyp2_vf1", "hyp3_vf2", "hyp4_vf1")
    with lab.sa() as sa:
        lids = [lab.create(slot) for slot in slots]
        settle(lab, sa, "three created")
        plan = lab.copy(list(zip(slots, targets)), "consistent")
        assert plan["waves"] > 1
        assert [lid_at(lab, target) for target in targets] == lids
        settle(lab, sa, "three moved")
        for target in targets:
            lab.destroy(target)
        settle(lab, sa, "three ended")


def a_lid_rests_before_it_is_given_again(lab):
    lid = lab.create("hyp2_vf2")
    lab.heavy_sweep()
    lab.destroy("hyp2_vf2")
    lab.heavy_sweep()
    assert lab.create("hyp2_vf2") != lid
    lab.heavy_sweep()
    move = {"kind": "create", "vm_port_guid": "0xe1", "vm_node_guid": "0xe0", **lab.place_of("hyp2_vf3")}
    refused("lid-in-use", lab.ask, "plan", moves=[{**move, "lid": lid}])
    refused("lid-in-use", lab.ask, "plan", moves=[{**move, "lid": lid_at(lab, "hyp1_vf1")}])
    refused("slot-in-use", lab.ask, "plan", moves=[{**move, **lab.place_of("hyp2_vf2")}])
    refused("guid-in-use", lab.ask, "plan", moves=[{**move, "vm_port_guid": lab.guid_at("hyp1_vf1")}])


def coming(lab, slot):
    """Somebody new in @slot, whose link is down: what a plan is asked for."""
    node_guid, port_guid = lab.new_guids(slot)
    return {"kind": "create", "vm_node_guid": f"0x{node_guid:016x}", "vm_port_guid": f"0x{port_guid:016x}",
            **lab.place_of(slot)}


def as_created(lab, slot):
    """Who is in @slot, to be created there again."""
    row = lab.slot_row(slot)
    return {"kind": "create", "vm_node_guid": row["node_guid"], "vm_port_guid": row["port_guid"], **lab.place_of(slot)}


def applied(lab, plan):
    sm, migration = lab.leased()
    with sm:
        return sm.ask("apply", hash=plan["hash"], migration=migration)


def planned_lids(plan):
    return [move["vm"]["lid"] for move in plan["moves"]]


def a_lid_is_promised_to_one_only(lab):
    """Two are planned before either is applied, so both plans have chosen the same LID; a sweep in between takes away the
    routes of the first, who has not come yet."""
    slots = ("hyp1_vf3", "hyp2_vf4")
    moves = [coming(lab, slot) for slot in slots]
    plans = [lab.ask("plan", moves=[move]) for move in moves]
    assert planned_lids(plans[0]) == planned_lids(plans[1])
    applied(lab, plans[0])
    lab.heavy_sweep()
    refused("stale-plan", applied, lab, plans[1])
    again = lab.ask("plan", moves=[moves[1]])
    applied(lab, again)
    for slot in slots:
        lab.fabric.link(slot, 1, "up")
    lab.heavy_sweep()
    with lab.sa() as sa:
        settle(lab, sa, "two that were planned at once")
    assert [lid_at(lab, slot) for slot in slots] == planned_lids(plans[0]) + planned_lids(again)


def a_top_that_a_sweep_has_lowered_is_raised_again():
    """A creation is planned while LinearFDBTop is high for another one, who does not come; a sweep lowers it before apply."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1")) as lab:
        lab.heavy_sweep()
        applied(lab, lab.ask("plan", moves=[coming(lab, "hyp1_vf2")]))
        plan = lab.ask("plan", moves=[coming(lab, "hyp2_vf2")])
        lid = planned_lids(plan)[0]
        assert not plan["switchinfo_sets"]
        lab.heavy_sweep()
        assert all(len(table) <= lid for table in lab.fabric.lft_dump().values())
        assert applied(lab, plan)["switchinfo_sets"] == len(lab.fabric.lft_dump())
        short = {switch for switch, table in lab.fabric.lft_dump().items() if len(table) <= lid or table[lid] == NO_PORT}
        assert not short, f"LID {lid} is led on by all but {short}"


def an_end_is_not_undone_when_its_lid_is_anothers():
    with DynamicLab(("hyp1_vf1", "hyp3_vf1"), settings={"packet_life_time": SHORT}) as lab:
        lid = lab.create("hyp1_vf2")
        lab.heavy_sweep()
        back = as_created(lab, "hyp1_vf2")
        ended = lab.destroy("hyp1_vf2")
        lab.heavy_sweep()
        other = lab.ask("plan", moves=[coming(lab, "hyp2_vf2")])
        assert planned_lids(other) == [lid]
        applied(lab, other)
        lab.heavy_sweep()
        sm, migration = lab.leased()
        with sm:
            refused("stale-plan", sm.ask, "undo", moves=[back], hash=ended["hash"], migration=migration)


def an_end_is_undone_while_the_lid_rests():
    with DynamicLab(("hyp1_vf1", "hyp3_vf1")) as lab:
        lid = lab.create("hyp1_vf2")
        lab.heavy_sweep()
        back = as_created(lab, "hyp1_vf2")
        ended = lab.destroy("hyp1_vf2")
        lab.fabric.cli("guids", "hyp1_vf2", back["vm_node_guid"], back["vm_port_guid"])
        sm, migration = lab.leased()
        with sm:
            assert sm.ask("undo", moves=[back], hash=ended["hash"], migration=migration)["verified"]
            lab.fabric.link("hyp1_vf2", 1, "up")
        lab.heavy_sweep()
        assert lid_at(lab, "hyp1_vf2") == lid


def an_end_is_not_repeated_when_its_lid_is_anothers():
    """Who is to come to the same slot with the same LID has the same routes."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1"), settings={"packet_life_time": SHORT}) as lab:
        lid = lab.create("hyp1_vf2")
        lab.heavy_sweep()
        ended = lab.destroy("hyp1_vf2")
        lab.heavy_sweep()
        plan = lab.ask("plan", moves=[coming(lab, "hyp1_vf2")])
        assert planned_lids(plan) == [lid]
        applied(lab, plan)
        routed = lab.fabric.lft_dump()
        refused("stale-plan", applied, lab, ended)
        assert lab.fabric.lft_dump() == routed


def end_of(move):
    return {"kind": "destroy", "vm_port_guid": move["vm_port_guid"]}


def check_nothing_is_left(lab, move, lid):
    assert move["vm_port_guid"] not in lab.promised_lids()
    led = {switch for switch, table in lab.fabric.lft_dump().items() if table[lid:] and table[lid] != NO_PORT}
    assert not led, f"LID {lid} is led on by {led}"


def one_that_does_not_come_leaves_nothing():
    """Undone by who knows its plan's hash, ended by who does not; the same by an OpenSM that was started since."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1"), settings={"packet_life_time": SHORT}) as lab:
        for is_undone, is_started_anew in itertools.product((True, False), (False, True)):
            move = coming(lab, "hyp1_vf2")
            plan = lab.ask("plan", moves=[move])
            applied(lab, plan)
            assert lab.promised_lids()[move["vm_port_guid"]] == planned_lids(plan)[0]
            if is_started_anew:
                lab.opensm().kill()
                lab.start_opensm()
            if is_undone:
                sm, migration = lab.leased()
                with sm:
                    assert sm.ask("undo", moves=[end_of(move)], hash=plan["hash"], migration=migration)["verified"]
            else:
                assert applied(lab, lab.ask("plan", moves=[end_of(move)]))["verified"]
            check_nothing_is_left(lab, move, planned_lids(plan)[0])
            refused("unknown-port", lab.ask, "plan", moves=[end_of(move)])
        switch = {"kind": "destroy", "vm_port_guid": lab.place_of("hyp1_vf2")["to_switch_guid"]}
        refused("unknown-port", lab.ask, "plan", moves=[switch])


def a_slot_is_promised_to_one_only():
    """Until whoever shall come there has ended."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1"), settings={"packet_life_time": SHORT}) as lab:
        first, second = (coming(lab, "hyp1_vf2") for _ in range(2))
        plans = [lab.ask("plan", moves=[{**move, "lid": lid}]) for move, lid in ((first, 30), (second, 31))]
        applied(lab, plans[0])
        refused("stale-plan", applied, lab, plans[1])
        refused("slot-in-use", lab.ask, "plan", moves=[second])
        assert lab.ask("plan", moves=[first])["lft_sets"] == 0
        applied(lab, lab.ask("plan", moves=[end_of(first)]))
        applied(lab, lab.ask("plan", moves=[second]))


def one_that_has_ended_is_unknown_at_once(lab):
    """A successor asks again; no sweep has found its port gone."""
    lab.create("hyp2_vf2")
    lab.heavy_sweep()
    end = {"kind": "destroy", "vm_port_guid": lab.guid_at("hyp2_vf2")}
    sm, migration = lab.leased()
    with sm:
        plan = sm.ask("plan", moves=[end])
        lab.fabric.link("hyp2_vf2", 1, "down")
        assert sm.ask("apply", hash=plan["hash"], migration=migration)["verified"]
        refused("unknown-port", sm.ask, "plan", moves=[end])
    lab.new_guids("hyp2_vf2")
    lab.heavy_sweep()


def the_order_in_a_request_does_not_matter():
    """One has been promised its LID and has not come yet, the other gets the next one."""
    with DynamicLab(("hyp1_vf1", "hyp3_vf1")) as lab:
        promised, new = coming(lab, "hyp1_vf2"), coming(lab, "hyp2_vf2")
        plan = lab.ask("plan", moves=[promised])
        applied(lab, plan)
        lids = [planned_lids(lab.ask("plan", moves=moves)) for moves in ([promised, new], [new, promised])]
        assert lids[0] == lids[1][::-1] and lids[0][0] == planned_lids(plan)[0], lids
        refused("lid-in-use", lab.ask, "plan", moves=[{**promised, "lid": HIGH}])


def member_of(truth):
    return next(guid for guid, row in truth.end_ports.items() if row["node"] == MEMBER)


def blue_partition(truth):
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x0001: 0x{member_of(truth):016x}=full;\n"


def a_partition_goes_with_its_vm_and_not_to_the_next_one_in_the_slot():
    """Its VF and the switch port before it have the default partition alone."""
    with DynamicLab((MEMBER, "hyp3_vf1"), partitions=blue_partition) as lab, lab.sa() as sa:
        lab.heavy_sweep()
        blue = member_of(lab.truth())
        lab.copy([(MEMBER, "hyp2_vf3")])
        assert BLUE in lab.truth().pkeys["hyp2_vf3", 1], "the VM's P_Keys came only with the sweep"
        lab.heavy_sweep()
        lab.create(MEMBER)
        lab.heavy_sweep()
        truth = lab.truth()
        assert {row["node"] for row in truth.end_ports.values()} > {MEMBER, "hyp2_vf3"}
        found = findings(truth, sa, {guid: [DEFAULT, BLUE] if guid == blue else [DEFAULT] for guid in truth.end_ports})
        assert not found, shown(found)


def tables_grow_for_a_high_lid(lab):
    """LinearFDBTop is raised on each switch, some way ahead; OpenSM's next sweep sets it to the highest LID there is."""
    with lab.sa() as sa:
        assert lab.create("hyp3_vf3", lid=HIGH) == HIGH
        settle(lab, sa, f"LID {HIGH}")
        assert lid_at(lab, "hyp3_vf3") == HIGH
        switches = len(lab.fabric.lft_dump())
        pair = [f"0x{guid:016x}" for guid in (0xe0, 0xe1)]
        move = {"kind": "create", "vm_node_guid": pair[0], "vm_port_guid": pair[1], **lab.place_of("hyp3_vf4")}
        assert lab.ask("plan", moves=[{**move, "lid": HIGH + 1}])["switchinfo_sets"] == switches
        assert lab.ask("plan", moves=[{**move, "lid": HIGH - 1}])["switchinfo_sets"] == 0


def refused(reason, action, *arguments, **members):
    try:
        action(*arguments, **members)
    except Refused as error:
        assert error.reason == reason, f"refused as {error}, not {reason}"
        return
    raise AssertionError(f"not refused as {reason}")


def main():
    tap = Tap()
    with DynamicLab(("hyp1_vf1", "hyp3_vf1")) as lab:
        lab.heavy_sweep()
        tap.run("vms_come_move_and_end", vms_come_move_and_end, lab)
        tap.run("one_that_has_ended_is_unknown_at_once", one_that_has_ended_is_unknown_at_once, lab)
        tap.run("several_move_at_once", several_move_at_once, lab)
        tap.run("a_lid_rests_before_it_is_given_again", a_lid_rests_before_it_is_given_again, lab)
        tap.run("tables_grow_for_a_high_lid", tables_grow_for_a_high_lid, lab)
        tap.run("a_lid_is_promised_to_one_only", a_lid_is_promised_to_one_only, lab)
    tap.run("a_top_that_a_sweep_has_lowered_is_raised_again", a_top_that_a_sweep_has_lowered_is_raised_again)
    tap.run("a_vm_that_moves_often_is_active_each_time", a_vm_that_moves_often_is_active_each_time)
    tap.run("an_end_is_not_undone_when_its_lid_is_anothers", an_end_is_not_undone_when_its_lid_is_anothers)
    tap.run("an_end_is_undone_while_the_lid_rests", an_end_is_undone_while_the_lid_rests)
    tap.run("an_end_is_not_repeated_when_its_lid_is_anothers", an_end_is_not_repeated_when_its_lid_is_anothers)
    tap.run("one_that_does_not_come_leaves_nothing", one_that_does_not_come_leaves_nothing)
    tap.run("a_slot_is_promised_to_one_only", a_slot_is_promised_to_one_only)
    tap.run("the_order_in_a_request_does_not_matter", the_order_in_a_request_does_not_matter)
    tap.run("a_partition_goes_with_its_vm_and_not_to_the_next_one_in_the_slot",
            a_partition_goes_with_its_vm_and_not_to_the_next_one_in_the_slot)
    tap.exit()


main()
