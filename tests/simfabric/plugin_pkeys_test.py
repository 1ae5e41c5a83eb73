#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs with long P_Key tables, full and limited and both, move among slots under a real OpenSM: what their switch port lets
through is what OpenSM had packed for it at their first place, and a heavy sweep, which packs anew, writes nothing."""
import itertools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

MANY, FEW, MOST, ONE = "hyp1_vf1", "hyp2_vf2", "hyp3_vf1", "hyp4_vf2"
TABLE = 64  # of a port, in two blocks
FULL_MEMBER = 0x8000
DEFAULT = 0xffff
# With what membership whom: what comes of it is in one block, or in two of which the second is not full, or is.
MEMBERSHIPS = {MANY: ["full", "limited", "both"] * 15, FEW: ["limited", "full", "both"], MOST: ["full"] * (TABLE - 1), ONE: []}


def keys_of(slot):
    """Partitions are numbered from 1; the default one is the first of all. (end port's, switch port's)"""
    member = [DEFAULT]
    for number, membership in enumerate(MEMBERSHIPS[slot], 1):
        member += {"full": [FULL_MEMBER | number], "limited": [number], "both": [number, FULL_MEMBER | number]}[membership]
    return sorted(member), sorted(key for key in member if key & FULL_MEMBER or key | FULL_MEMBER not in member)


def partitions(truth):
    guids = {slot: next(guid for guid, row in truth.end_ports.items() if row["node"] == slot) for slot in MEMBERSHIPS}
    rows = ["Default=0x7fff, ipoib: ALL=full;"]
    for i in range(max(map(len, MEMBERSHIPS.values()))):
        members = [f"0x{guids[slot]:016x}={of[i]}" for slot, of in MEMBERSHIPS.items() if i < len(of)]
        rows.append(f"P{i}=0x{i + 1:04x}: {', '.join(members)};")
    return "\n".join(rows) + "\n"


class Tables:
    """What the end ports have and what is let through to them, by GUID."""

    def __init__(self, lab):
        held = {(row["node"], row["port"]): row["pkeys"] for row in lab.fabric.dump("pkeys")}
        places = {row["port_guid"]: row for row in lab.fabric.dump("places")}
        self.end_ports = {guid: held[row["node"], row["port"]] for guid, row in places.items()}
        self.switch_ports = {guid: held.get((row["peer"]["node"], row["peer"]["port"])) for guid, row in places.items()}


def opensm_packs_what_is_expected_here(lab):
    tables = Tables(lab)
    for slot in MEMBERSHIPS:
        end_port, switch_port = keys_of(slot)
        assert sorted(key for key in tables.end_ports[lab.guid_at(slot)] if key) == end_port, slot
        assert sorted(tables.switch_ports[lab.guid_at(slot)]) == switch_port, slot
    assert len(tables.switch_ports[lab.guid_at(MANY)]) > TABLE // 2 > len(tables.switch_ports[lab.guid_at(FEW)])


def tables_go_with_their_vms(lab):
    before = Tables(lab)
    for source, destination in itertools.permutations(MEMBERSHIPS, 2):
        lab.move(source, destination)
        after = Tables(lab)
        assert after.end_ports == before.end_ports, (source, destination)
        assert after.switch_ports == before.switch_ports, (source, destination)


def a_sweep_packs_the_same(lab):
    wrote = lab.heavy_sweep()
    assert wrote["P_Key blocks"] == 0, wrote
    plan, _ = lab.move(MANY, MOST)
    assert lab.ask("verify", hash=plan["hash"])["verified"]
    wrote = lab.heavy_sweep()
    assert wrote["P_Key blocks"] == 0, wrote


def main():
    tap = Tap()
    with PluginLab({"allow_both_pkeys": "TRUE"}, partitions) as lab:
        lab.heavy_sweep()
        for test in (opensm_packs_what_is_expected_here, tables_go_with_their_vms, a_sweep_packs_the_same):
            tap.run(test.__name__, test, lab)
    tap.exit()


main()
