#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Identities move between the VFs of the demo fabric under a real OpenSM with libosmtether.so. After each move the SA
has to say where the fabric carries whom, P_Keys and multicast have to be where the VM is, the Sets that the fabric
counted have to be those planned and those that the tables show to be needed; and a heavy sweep changes nothing."""
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults import lft_blocks  # noqa: E402
from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import findings, gid, sets, shown  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import FABRICS  # noqa: E402
from simfabric.partition import BLUE, DEFAULT, blue_guids, blue_partition, expected_pkeys, guid_in  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

MOVES = 300 if FULL else 40
SWEEP_EVERY = 10
EVACUATIONS = 20 if FULL else 2
ENGINE_MOVES = 100 if FULL else 9
MGID = "ff125eed000000000000000000000001"
PACKET_LIFE_TIME = "0x0c"  # 17 ms, which dropping first waits for

with open(os.path.join(FABRICS, "demo.net")) as net:
    VSWITCHES = lft_blocks.vswitches(net.read())


class Watch:
    """What the fabric counts and how its tables change while something is done."""

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        self.counters, self.lfts = self.lab.fabric.counters(), self.lab.fabric.lft_dump()
        return self

    def __exit__(self, kind, error, trace):
        self.later, self.lfts_later = self.lab.fabric.counters(), self.lab.fabric.lft_dump()

    def more(self, attribute):
        return sets(self.later, attribute) - sets(self.counters, attribute)

    def lft_sets(self):
        """By kind of switch."""
        found = {"physical": 0, "vswitch": 0}
        for name, row in self.later["nodes"].items():
            before = self.counters["nodes"].get(name, {}).get("LinearForwardingTable", {}).get("set", 0)
            found["vswitch" if name in VSWITCHES else "physical"] += \
                row.get("LinearForwardingTable", {}).get("set", 0) - before
        return found

    def blocks(self):
        return lft_blocks.count_split(self.lfts, self.lfts_later, VSWITCHES)


def check_counts(plan, applied, watch, drops=False):
    counted = {"lft_sets_" + kind: count for kind, count in watch.lft_sets().items()}
    needed = {"lft_sets_" + kind: count for kind, count in watch.blocks().items()}
    for name in ("lft_sets", "lft_sets_physical", "lft_sets_vswitch", "pkey_sets", "portinfo_sets", "groups"):
        assert plan[name] == applied[name], f"{name}: planned {plan[name]}, sent {applied[name]}"
    for name, count in counted.items():
        assert count == applied[name], f"{name}: counted {count}, sent {applied[name]}"
        assert drops or plan["splits"] or count == needed[name], f"{name}: counted {count}, needed {needed[name]}"
    assert len(plan["changes"]) == applied["lft_sets"] == sum(needed.values()) + plan["splits"]
    assert watch.more("P_KeyTable") == applied["pkey_sets"]
    assert watch.more("PortInfo") == applied["portinfo_sets"] == 2 * len(plan["moves"])
    assert applied["verified"] and applied["resent"] == 0


def check_truth(lab, sa, blue):
    truth = lab.truth()
    found = findings(truth, sa, expected_pkeys(truth, blue))
    assert not found, shown(found)


def check_sweep(lab):
    wrote = lab.heavy_sweep()
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"


def member_guids(truth):
    return [guid_in(truth, slot) for slot in ("hyp1_vf1", "hyp2_vf2", "hyp4_vf3", "hyp4")]


def random_moves(lab, seed, blue, moves=MOVES):
    """All promises at once, since they have to hold together. @blue: GUIDs of the partition's members."""
    draw = random.Random(seed)
    truth = lab.truth()
    partition_moves = group_moves = 0
    with lab.sa() as sa:
        for guid in member_guids(truth):
            sa.join(MGID, gid(guid))
        lab.wait_quiet()
        check_truth(lab, sa, blue)
        for number in range(moves):
            source, destination = draw.sample(lab.slots(), 2)
            with Watch(lab) as watch:
                plan, applied = lab.move(source, destination)
            check_counts(plan, applied, watch)
            check_truth(lab, sa, blue)
            partition_moves += plan["pkey_sets"] > 0
            group_moves += plan["groups"] > 0
            assert lab.ask("verify", hash=plan["hash"])["verified"]
            if number % SWEEP_EVERY == SWEEP_EVERY - 1:
                check_sweep(lab)
                check_truth(lab, sa, blue)
    print(f"# {moves} moves, seed {seed}: {partition_moves} between partitions, {group_moves} of group members")
    assert partition_moves and group_moves, "the moves did not touch partitions and groups"


def evacuation(lab, draw):
    """All VFs of one hypervisor to slots of others."""
    host = draw.choice(sorted({slot.split("_")[0] for slot in lab.slots()}))
    sources = [slot for slot in lab.slots() if slot.startswith(host + "_")]
    return list(zip(sources, draw.sample([slot for slot in lab.slots() if slot not in sources], len(sources))))


def evacuations(lab, seed, blue, order):
    """Several moves as one plan; undone they leave every table as it was."""
    draw = random.Random(seed)
    with lab.sa() as sa:
        for number in range(EVACUATIONS):
            pairs, before = evacuation(lab, draw), tables(lab)
            with Watch(lab) as watch:
                plan, applied = lab.move_together(pairs, order=order)
            assert plan["order"] == order and len(plan["moves"]) == len(pairs)
            assert order == "fast" or plan["waves"] > 1
            assert order != "fast" or (plan["waves"], plan["splits"]) == (1, 0)
            check_counts(plan, applied, watch, drops=order == "drop-first")
            check_truth(lab, sa, blue)
            assert lab.ask("verify", hash=plan["hash"])["verified"]
            check_sweep(lab)
            if number % 2:
                lab.undo_together(plan, pairs)
                assert tables(lab) == before
                check_truth(lab, sa, blue)


def next_vm_in_the_old_slot_has_not_its_partition(lab):
    truth = lab.truth()
    member = next(guid for guid in truth.end_ports if BLUE in truth.pkeys[truth.end_ports[guid]["node"], 1])
    source = truth.end_ports[member]["node"]
    destination = next(slot for slot in lab.slots() if BLUE not in truth.pkeys[slot, 1])
    lab.move(source, destination)
    truth = lab.truth()
    assert truth.pkeys[source, 1] == [DEFAULT] and sorted(truth.pkeys[destination, 1]) == sorted([DEFAULT, BLUE])


def refused(reason, action, *arguments, **members):
    try:
        action(*arguments, **members)
    except Refused as error:
        assert error.reason == reason, f"refused as {error}, not {reason}"
        return
    raise AssertionError(f"not refused as {reason}")


def tables(lab):
    return lab.fabric.lft_dump(), lab.fabric.dump("places"), lab.fabric.dump("pkeys")


def bad_requests_are_refused_by_name(lab):
    before = tables(lab)
    source, destination = lab.slots()[:2]
    vm, place = lab.guid_at(source), lab.place_of(destination)
    refused("unknown-port", lab.ask, "plan", vm_port_guid="0x77", **place)
    refused("unknown-port", lab.ask, "plan", vm_port_guid=vm, vm_node_guid="0x77", **place)
    refused("unknown-port", lab.ask, "locate", port_guid="0x77")
    refused("same-place", lab.ask, "plan", vm_port_guid=vm, **lab.place_of(source))
    refused("not-a-vswitch-slot", lab.ask, "plan", vm_port_guid=vm, to_switch_guid="0x77", to_switch_port=1)
    refused("not-a-vswitch-slot", lab.ask, "plan", vm_port_guid=vm, **{**place, "to_switch_port": 1})
    refused("not-a-vswitch-slot", lab.ask, "plan", vm_port_guid=vm, **{**place, "to_switch_port": 200})
    sm = lab.ask("status")["sm_guid"]
    refused("not-a-vswitch-slot", lab.ask, "plan", vm_port_guid=sm, **place)
    plan = lab.plan(source, destination)
    refused("no-lease", lab.ask, "apply", hash=plan["hash"], migration=1)
    refused("no-lease", lab.ask, "undo", vm_port_guid=vm, migration=1, **lab.place_of(source))
    refused("unknown-plan", lab.ask, "verify", hash="0123456789abcdef")
    refused("bad-request", lab.ask, "apply")
    with lab.connect() as one, lab.connect() as other:
        one.ask("lease", migration=1, ms=2000)
        refused("no-lease", one.ask, "apply", hash=plan["hash"], migration=2)
        refused("no-lease", other.ask, "apply", hash=plan["hash"], migration=1)
        refused("unknown-plan", one.ask, "apply", hash="0123456789abcdef", migration=1)
        refused("busy", other.ask, "lease", migration=2, ms=100, wait_ms=0)
        refused("busy", one.ask, "lease", migration=2, ms=5000)
    assert tables(lab) == before, "something has changed"


def without_exchanged_guids_nothing_is_set(lab):
    source, destination = lab.slots()[0], lab.slots()[-1]
    plan = lab.plan(source, destination)
    before = tables(lab)
    with Watch(lab) as watch, lab.connect() as sm:
        sm.ask("lease", migration=1, ms=2000)
        refused("guids-not-there", sm.ask, "apply", hash=plan["hash"], migration=1)
    assert watch.more("LinearForwardingTable") == watch.more("PortInfo") == watch.more("P_KeyTable") == 0
    assert tables(lab) == before


def the_sm_itself_does_not_move(lab):
    """Its port is no slot; nor does another go where it is."""
    row = lab.ask("locate", port_guid=lab.ask("status")["sm_guid"])
    refused("not-a-vswitch-slot", lab.ask, "plan", vm_port_guid=lab.guid_at(lab.slots()[0]),
            to_switch_guid=row["switch_guid"], to_switch_port=row["switch_port"])


def applying_again_changes_nothing(lab):
    plan, _ = lab.move(*lab.slots()[2:4])
    with Watch(lab) as watch, lab.connect() as sm:
        sm.ask("lease", migration=1, ms=2000)
        again = sm.ask("apply", hash=plan["hash"], migration=1)
    assert again["verified"] and again["lft_sets"] == again["pkey_sets"] == again["portinfo_sets"] == 0
    assert watch.more("LinearForwardingTable") == watch.more("PortInfo") == watch.more("P_KeyTable") == 0


def a_sweep_between_exchange_and_apply_does_no_harm(lab):
    """It recables LIDs and routes by itself and leaves the P_Keys with the slots; apply finishes that."""
    truth = lab.truth()
    source = next(row["node"] for row in truth.end_ports.values() if BLUE in truth.pkeys[row["node"], 1])
    destination = next(slot for slot in lab.slots() if BLUE not in truth.pkeys[slot, 1])
    vm, place = lab.guid_at(source), lab.place_of(destination)
    plan = lab.plan(source, destination)
    lab.exchange_guids(source, destination)
    lab.heavy_sweep()
    again = lab.ask("plan", vm_port_guid=vm, **place)
    assert again["hash"] == plan["hash"], "who has lost the plan does not get it again"
    with lab.connect() as sm:
        sm.ask("lease", migration=1, ms=5000)
        assert sm.ask("apply", hash=again["hash"], migration=1)["verified"]
    truth = lab.truth()
    assert BLUE in truth.pkeys[destination, 1] and BLUE not in truth.pkeys[source, 1]
    refused("same-place", lab.ask, "plan", vm_port_guid=vm, **place)


def undo_restores_every_table(lab):
    before = tables(lab)
    source, destination = "hyp2_vf1", "hyp4_vf4"
    vm, back = lab.guid_at(source), lab.place_of(source)
    plan, _ = lab.move(source, destination)
    assert tables(lab) != before
    with lab.connect() as sm:
        sm.ask("lease", migration=1, ms=5000)
        lab.exchange_guids(source, destination)
        undone = sm.ask("undo", vm_port_guid=vm, migration=1, hash=plan["hash"], **back)
    assert undone["verified"] and undone["lft_sets"] == plan["lft_sets"]
    assert tables(lab) == before
    lab.move(source, destination)
    with lab.connect() as sm:
        sm.ask("lease", migration=1, ms=5000)
        lab.exchange_guids(source, destination)
        assert sm.ask("undo", vm_port_guid=vm, migration=1, **back)["verified"], "undo without the plan's hash"
    assert tables(lab) == before


def a_changed_topology_makes_a_plan_stale(lab):
    plan = lab.plan("hyp1_vf1", "hyp2_vf1")
    lab.fabric.link("spine2", 1, "down")
    try:
        lab.heavy_sweep()
        with lab.connect() as sm:
            sm.ask("lease", migration=1, ms=5000)
            refused("stale-plan", sm.ask, "apply", hash=plan["hash"], migration=1)
    finally:
        lab.fabric.link("spine2", 1, "up")
        lab.heavy_sweep()
    lab.heavy_sweep()


def lmc_is_refused():
    with PluginLab({"lmc": 1}) as lab:
        refused("lmc", lab.plan, "hyp1_vf1", "hyp2_vf1")


def net_of_several_speeds(path):
    """QDR but for a spine with DDR and a hypervisor with SDR."""
    speeds = {"spine2": 3, "V4": 1}
    with open(os.path.join(FABRICS, "demo.net")) as net:
        blocks = net.read().split("\n\n")
    with open(path, "w") as out:
        for block in blocks:
            name = block.split('"')[1] if block.startswith("Switch") else None
            out.write(f"speed={speeds.get(name, 7)}\n\n{block}\n\n")


def least(rows):
    """Of two directions (IBA 15.2.5.16: the codes 2, 3, 6 and 7 are of 2.5, 10, 20 and 40 Gb/s)."""
    assert {row["rate"] for row in rows} <= {2, 3, 6, 7}, rows
    return min(row["mtu"] for row in rows), min(row["rate"] for row in rows)


def paths_of_a_moved_vm_are_those_that_sa_answers():
    with tempfile.TemporaryDirectory() as scratch:
        net = os.path.join(scratch, "speeds.net")
        net_of_several_speeds(net)
        with PluginLab(net=net) as lab, lab.sa() as sa:
            lab.heavy_sweep()
            vm, ports = int(lab.guid_at("hyp1_vf1"), 16), lab.truth().end_ports
            peers = [port["lid"] for port in ports.values() if port["lid"] != ports[vm]["lid"]]
            plan = lab.ask("plan", vm_port_guid=f"0x{vm:016x}", **lab.place_of("hyp4_vf2"), peers=peers)
            sm, migration = lab.leased()
            with sm:
                lab.exchange_guids("hyp1_vf1", "hyp4_vf2")
                applied = sm.ask("apply", hash=plan["hash"], migration=migration, peers=peers)
            rows = {row["remote_lid"]: row for row in applied["paths"] if row["local_lid"] == ports[vm]["lid"]}
            assert applied["paths"] == plan["paths"] and rows.keys() == set(peers), (plan["paths"], applied["paths"])
            others = [guid for guid in ports if guid != vm]
            answers = sa.many_paths([(gid(a), gid(b)) for other in others for a, b in ((vm, other), (other, vm))])
            for there, back, other in zip(answers[::2], answers[1::2], others):
                row = rows[ports[other]["lid"]]
                assert (row["mtu"], row["rate"]) == least(there + back), (row, there, back)
            assert {row["rate"] for row in rows.values()} == {3}, "the VM is behind the slowest cable"
            other = next(row for row in applied["paths"] if row["local_lid"] != ports[vm]["lid"])
            assert "sl" not in other and any(row["rate"] > 3 for row in applied["paths"]), applied["paths"]


def moves_survive_sweeps(engine, net, node):
    with PluginLab({"routing_engine": engine}, net=net, node=node) as lab:
        assert lab.ask("status")["routing_engine"] == engine, "OpenSM has fallen back to another engine"
        lab.heavy_sweep()
        draw = random.Random(7)
        for number in range(ENGINE_MOVES):
            lab.move(*draw.sample(lab.slots(), 2))
            if number % 3 == 2:
                check_sweep(lab)
        with lab.sa() as sa:
            found = findings(lab.truth(), sa)
        assert not found, shown(found)


def engines_that_choose_service_levels_are_refused():
    for engine in ("dfsssp", "lash", "nue"):
        with PluginLab({"routing_engine": engine}) as lab:
            assert lab.ask("status")["routing_engine"] == engine
            refused("sl-by-path", lab.plan, "hyp1_vf1", "hyp2_vf1")


# The controls: two slots' identities exchanged behind OpenSM's back, by somebody whose SMPs are all right. By what is
# exchanged: in which ways SA and fabric disagree before the next heavy sweep, what that writes, and what it leaves. None of
# them passes what the moves above pass. Routes and LIDs alone, as in the vSwitch paper, are silently broken for good:
# OpenSM takes the LIDs back and compares its own copy of the tables. So are those of port GUIDs without NodeGUIDs.
OUTSIDE = {
    ("NodeGUID", "port GUID", "LID"): (
        {"LinkRecord", "packets come to"}, {"LFT blocks"}, set()),
    ("NodeGUID", "port GUID", "LID", "routes"): (
        {"LinkRecord"}, {"LFT blocks"}, set()),
    ("LID", "routes"): (
        {"NodeRecord", "LinkRecord", "PathRecord"}, {"other LIDs"}, {"packets come to"}),
    ("port GUID", "LID", "routes"): (
        {"NodeRecord", "LinkRecord"}, {"other LIDs"}, {"NodeRecord", "PathRecord", "packets come to"}),
}
KINDS = ("NodeRecord", "LinkRecord", "PathRecord", "packets come to", "P_Key", "group")


def kinds_of(found):
    assert all(any(kind in text for kind in KINDS) for text in found), shown(found)
    return {kind for kind in KINDS if any(kind in text for text in found)}


def write_from_outside(lab, sa, what, slots):
    rows = {row["node"]: row for row in lab.fabric.dump("places")}
    lids = [rows[slot]["lid"] for slot in slots]
    for slot, other in (slots, slots[::-1]):
        guids = [rows[other if name in what else slot][key]
                 for name, key in (("NodeGUID", "node_guid"), ("port GUID", "port_guid"))]
        lab.fabric.cli("guids", slot, *guids)
    for lid, new_lid in (lids, lids[::-1]):  # both have the second one in between; the tables lead to its own slot
        sa.write_lid(lid, new_lid)
    if "routes" in what:
        exchange_routes(lab, sa, *lids)


def exchange_routes(lab, sa, a, b):
    truth = lab.truth()
    for switch, entries in truth.lfts.items():
        if entries[a] != entries[b]:
            sa.write_lft_entries(truth.switch_lids[switch], [[a, entries[b]], [b, entries[a]]])


def outside_writer_is_noticed(what):
    with PluginLab() as lab, lab.sa() as sa:
        lab.heavy_sweep()
        assert not findings(lab.truth(), sa)
        write_from_outside(lab, sa, what, ("hyp1_vf2", "hyp3_vf3"))
        before = kinds_of(findings(lab.truth(), sa))
        wrote = {name for name, count in lab.heavy_sweep().items() if count}
        after = kinds_of(findings(lab.truth(), sa))
        assert (before, wrote, after) == OUTSIDE[what], f"{before} before a sweep that wrote {wrote}, {after} after it"
        assert not any(lab.heavy_sweep().values()) and kinds_of(findings(lab.truth(), sa)) == after, "it is not for good"


def main():
    seed = int(os.environ.get("TETHER_SEED", "1"))
    tap = Tap()
    with PluginLab({"packet_life_time": PACKET_LIFE_TIME}, partitions=blue_partition) as lab:
        lab.heavy_sweep()
        blue = blue_guids(lab.truth())
        tap.run("sa_pkeys_groups_and_counts_are_right_after_each_move_and_sweep", random_moves, lab, seed, blue)
        for order in ("fast", "consistent", "drop-first"):
            tap.run(f"evacuations_are_one_plan: {order}", evacuations, lab, seed, blue, order)
        tap.run("next_vm_in_the_old_slot_has_not_its_partition", next_vm_in_the_old_slot_has_not_its_partition, lab)
        tap.run("applying_again_changes_nothing", applying_again_changes_nothing, lab)
        tap.run("undo_restores_every_table", undo_restores_every_table, lab)
        tap.run("bad_requests_are_refused_by_name", bad_requests_are_refused_by_name, lab)
        tap.run("the_sm_itself_does_not_move", the_sm_itself_does_not_move, lab)
        tap.run("without_exchanged_guids_nothing_is_set", without_exchanged_guids_nothing_is_set, lab)
        tap.run("a_sweep_between_exchange_and_apply_does_no_harm", a_sweep_between_exchange_and_apply_does_no_harm, lab)
        tap.run("a_changed_topology_makes_a_plan_stale", a_changed_topology_makes_a_plan_stale, lab)
        tap.run("and_more_moves_after_all_that", random_moves, lab, seed + 1, blue,
                MOVES // 4)
    for what in OUTSIDE:
        tap.run(f"outside_writer_is_noticed: {', '.join(what)}", outside_writer_is_noticed, what)
    tap.run("lmc_is_refused", lmc_is_refused)
    tap.run("paths_of_a_moved_vm_are_those_that_sa_answers", paths_of_a_moved_vm_are_those_that_sa_answers)
    for engine in ("updn", "dnup", "dor", "sssp"):
        tap.run(f"moves_survive_sweeps_under_{engine}", moves_survive_sweeps, engine, "demo.net", "sm")
    # A fat-tree has all its CAs on the same level, the subnet manager's too.
    tap.run("moves_survive_sweeps_under_ftree", moves_survive_sweeps, "ftree", ("4,3,2", "--vf", "3"), "h1")
    tap.run("engines_that_choose_service_levels_are_refused", engines_that_choose_service_levels_are_refused)
    tap.exit()


main()
