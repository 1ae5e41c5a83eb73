#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A stock OpenSM on simfabric: what it brings up, what it costs, and that it computes what it computes on ibsim."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.ibsim import Ibsim  # noqa: E402
from simfabric.lab import Failed, Fabric, wait_until  # noqa: E402

UP_S = 600  # ftree computes long for 11,664 hosts, and any engine on a busy machine
NO_PORT = 255
# Table I of the vSwitch paper: LIDs and LFT Sets of one bring-up.
TABLE_I = {"324": (360, 216), "648": (702, 594), "5832": (6804, 104004), "11664": (13284, 336960)}
SIZES = list(TABLE_I) if FULL else ["324", "648", "5832"]
COMPARED = ("324", "648")


def highest_lid(lfts):
    return max(lid for ports in lfts.values() for lid, port in enumerate(ports) if port != NO_PORT)


def tables_of_dump(text):
    """dump_fts's output: {switch: {LID: port}}"""
    tables, table = {}, None
    for line in text.splitlines():
        head = re.search(r"of switch .* guid \S+ \((.*)\):", line)
        if head:
            table = tables.setdefault(head.group(1), {})
        entry = re.match(r"0x([0-9a-f]+) (\d+)", line)
        if entry:
            table[int(entry.group(1), 16)] = int(entry.group(2))
    return tables


def demo_comes_up(tap):
    with Fabric() as fabric:
        fabric.create("demo.net")
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(UP_S)
        check = fabric.check()
        tap.check(check["lost"] == 0 and check["ports_without_lid"] == 0 and check["delivered"] == 21 * 20,
                  "demo_fabric_comes_up_and_delivers_between_all_pairs", check)
        states = {port["state"] for port in fabric.dump("ports") if port["peer"]}
        tap.check(states == {"active"}, "every_cabled_port_is_active", states)
        sweeps_change_nothing(tap, fabric)
        pulled_cable_is_routed_around(tap, fabric)


def sweeps_change_nothing(tap, fabric):
    fabric.opensm_heavy_sweep()
    fabric.counters_reset()
    fabric.opensm_heavy_sweep()
    total = fabric.counters()["total"]
    sets = {name: row["set"] for name, row in total.items() if name != "lids_changed" and row["set"]}
    tap.check(not sets.get("LinearForwardingTable") and not sets.get("P_KeyTable") and total["lids_changed"] == 0,
              "heavy_sweep_of_a_settled_fabric_sets_no_lft_no_pkey_and_no_lid", total)


def pulled_cable_is_routed_around(tap, fabric):
    opensm = fabric.opensms[-1]
    up = opensm.up
    fabric.counters_reset()
    fabric.link("leaf1", 7, "down")
    opensm.wait_up(UP_S, up + 1)
    check = wait_until("all pairs again", lambda: (lambda c: c["lost"] == 0 and c)(fabric.check()), UP_S)
    tap.check(check["delivered"] == 21 * 20, "trap_128_of_a_pulled_cable_makes_opensm_route_around_it", check)
    notices = fabric.counters()["total"].get("Notice", {}).get("other", 0)
    tap.check(notices >= 2, "traps_and_their_repressions_are_counted", notices)
    up = opensm.up
    fabric.link("leaf1", 7, "up")
    opensm.wait_up(UP_S, up + 1)
    states = {port["state"] for port in fabric.dump("ports") if port["peer"]}
    tap.check(states == {"active"}, "plugged_cable_comes_back", states)


def tree_costs_what_the_paper_says(tap, size):
    lids, sets = TABLE_I[size]
    with Fabric() as fabric:
        net = fabric.create_fat_tree(size)
        fabric.opensm_start("h1", {"routing_engine": "ftree"} if size == "11664" else {})
        fabric.opensm_wait_up(UP_S)
        tap.check(highest_lid(fabric.lft_dump()) == lids, f"{size}_hosts_get_{lids}_lids", highest_lid(fabric.lft_dump()))
        tap.check(fabric.lft_sets() == {"physical": sets, "vswitch": 0}, f"{size}_hosts_take_{sets}_lft_sets",
                  fabric.lft_sets())
        if size in COMPARED:
            ours = tables_of_dump(fabric.run("dump_fts", "-n", node="h1").stdout)
            compare_with_ibsim(tap, fabric, net, size, ours)


def compare_with_ibsim(tap, fabric, net, size, ours):
    dumped = {name: {lid: port for lid, port in enumerate(ports) if port != NO_PORT}
              for name, ports in fabric.lft_dump().items()}
    tap.check(ours == dumped, f"what_dump_fts_reads_is_what_the_fabric_of_{size}_hosts_holds")
    with Ibsim(net, fabric.directory) as ibsim:
        ibsim.opensm_up("h1", UP_S)
        theirs = tables_of_dump(ibsim.run("h1", "dump_fts", "-n").stdout)
    entries = sum(map(len, ours.values()))
    tap.check(ours == theirs and entries > 0, f"lfts_of_{size}_hosts_are_those_on_ibsim",
              {name: (ours.get(name), theirs.get(name)) for name in ours if ours[name] != theirs.get(name)})


def standby_takes_over(tap):
    with Fabric() as fabric:
        fabric.create("demo.net")
        fast = {"sminfo_polling_timeout": 200, "polling_retry_number": 2}
        master = fabric.opensm_start("sm", {**fast, "sm_priority": 10})
        master.wait_up(UP_S)
        standby = fabric.opensm_start("hyp4", {**fast, "sm_priority": 1})
        wait_until("a stand-by", lambda: "Entering STANDBY state" in standby.log_text(), UP_S, standby.log_text)
        up = standby.up
        master.kill()
        standby.wait_up(UP_S, up + 1)
        sm_lid = {port["sm_lid"] for port in fabric.dump("ports") if port["lid"]}
        own = [port["lid"] for port in fabric.dump("ports") if port["node"] == "hyp4"]
        tap.check(sm_lid == set(own), "standby_takes_over_when_the_master_is_killed", (sm_lid, own))
        again = fabric.opensm_start("sm", {**fast, "sm_priority": 10})
        again.wait_up(UP_S)
        tap.check(fabric.check()["lost"] == 0, "killed_subnet_manager_starts_again_on_its_port", fabric.check())


def loss_is_survived(tap):
    with Fabric() as fabric:
        fabric.create("demo.net")
        fabric.cli("fault", "drop", "--chance", "0.02", "--seed", "7")
        opensm = fabric.opensm_start("sm", {"transaction_timeout": 50})
        opensm.wait_up(UP_S)
        fabric.cli("fault", "clear")
        up = opensm.up
        opensm.heavy_sweep()
        wait_until("all pairs", lambda: fabric.check()["lost"] == 0, UP_S, opensm.log_text)
        dropped = sum(row["dropped"] for name, row in fabric.counters()["total"].items() if name != "lids_changed")
        tap.check(dropped > 0 and opensm.up > up, "lost_smps_are_sent_again", dropped)


def rules_without_effect_are_refused(tap):
    with Fabric() as fabric:
        fabric.create("demo.net")
        for words in (("delay",), ("delay", "--us", 5, "--direction", "response"), ("delay", "--us", 5, "--direction", "both")):
            try:
                fabric.cli("fault", *words)
            except Failed:
                continue
            tap.check(False, "rules_without_effect_are_refused", words)
        tap.check(not fabric.json("fault", "list"), "rules_without_effect_are_refused", fabric.json("fault", "list"))


def main():
    tap = Tap()
    rules_without_effect_are_refused(tap)
    demo_comes_up(tap)
    for size in SIZES:
        tree_costs_what_the_paper_says(tap, size)
    standby_takes_over(tap)
    loss_is_survived(tap)
    tap.exit()


main()
