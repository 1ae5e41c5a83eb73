#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What OpenSM's next heavy sweep does to the routes of a move, by routing engine and kind of move. Each plan says it
beforehand and has to be right; the table of sm-side/DESIGN.md "Routing engines" says the same. Whatever the sweep does, SA
and fabric agree before and after it."""
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import findings, shown  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from simfabric.lab import TOP  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

ENGINES = ("minhop", "updn", "ftree", "dfsssp", "lash")
MORE_ENGINES = ("dnup", "dor", "sssp")
SL_BY_PATH = ("dfsssp", "lash")
NO_SL = "no SL supplied: "
SL = 0
# A fat-tree has all its CAs on the same level, the subnet manager's too.
NET, SM_NODE = ("4,3,2", "--vf", "3"), "h1"
MOVES = 20 if FULL else 3
KINDS = {  # as the table's columns: whether leaves differ (None: either way), what a request has
    "swap": (None, {}),
    "minimum, one leaf": (False, {"reach": "minimum"}),
    "minimum, two leaves": (True, {"reach": "minimum"}),
}
STABLE, REVERTED = "stable", "reverted-by-sweep"
MIXED = f"{STABLE} or {REVERTED}"


class TreeLab(PluginLab):
    def leaf_of(self, slot):
        """The switch that the slot's vSwitch hangs on; port 1 is the uplink."""
        vswitch = next(row["peer"]["node"] for row in self.places if row["node"] == slot)
        return self.peers[vswitch]

    def look(self):
        self.places = self.fabric.dump("places")
        self.peers = {row["node"]: row["peer"]["node"] for row in self.fabric.dump("ports") if row["peer"] and row["port"] == 1}

    def draw(self, draw, leaves_differ):
        """Two slots of two hypervisors."""
        while True:
            a, b = draw.sample(self.slots(), 2)
            if self.slot_row(a)["hypervisor"] != self.slot_row(b)["hypervisor"] and \
                    leaves_differ in (None, self.leaf_of(a) != self.leaf_of(b)):
                return a, b

    def plan_of(self, source, destination, **members):
        return self.ask("plan", vm_port_guid=self.guid_at(source), **self.place_of(destination), **members)


def check_truth(lab, sa):
    found = findings(lab.truth(), sa)
    assert not found, shown(found)


def outcome(lab, sa, draw, leaves_differ, members):
    """What a move has come to after a heavy sweep, which has to be what its plan said."""
    source, destination = lab.draw(draw, leaves_differ)
    plan = lab.plan_of(source, destination, **members)
    assert lab.apply(plan, (source, destination))["verified"]
    check_truth(lab, sa)
    wrote = lab.heavy_sweep()
    sets = wrote.pop("LFT blocks")
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
    found = REVERTED if sets else STABLE
    assert plan["stability"] == found, f"the plan says {plan['stability']}, the sweep wrote {sets} LFT blocks"
    return found


def refused(lab, members):
    try:
        return f"not refused: {lab.plan_of(*lab.slots()[:2], **members)}"
    except Refused as error:
        return f"refused: {error.reason}"


def measure(lab, kind, **more):
    """A cell of the table."""
    leaves_differ, members = KINDS[kind]
    draw = random.Random(kind)
    with lab.sa() as sa:
        found = {outcome(lab, sa, draw, leaves_differ, {**members, **more}) for _ in range(MOVES)}
        check_truth(lab, sa)
    return found.pop() if len(found) == 1 else MIXED


def measure_without_sl(lab, kind):
    return refused(lab, KINDS[kind][1])


def measure_with_sl(lab, kind):
    return measure(lab, kind, sl=SL)


def documented():
    """{engine: {kind: what sm-side/DESIGN.md says}}"""
    with open(os.path.join(TOP, "sm-side", "DESIGN.md")) as design:
        lines = re.search(r"### Routing engines\n.*?((?:^\|[^\n]*\n)+)", design.read(), re.DOTALL | re.MULTILINE).group(1).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    said = {}
    for label, *cells in rows[2:]:
        prefix = NO_SL if label.startswith(NO_SL) else ""
        for engine in label.removeprefix(prefix).split(", "):
            said[prefix + engine] = dict(zip(rows[0][1:], cells))
    return said


def cell_is_as_documented(lab, row, kind, how, cells):
    cells[kind] = how(lab, kind)
    said = documented()[row][kind]
    assert cells[kind] == said, f"measured {cells[kind]}, sm-side/DESIGN.md says {said}"


def moves_with_the_options_sl(lab):
    source, destination = lab.slots()[0], lab.slots()[-1]
    plan, applied = lab.move(source, destination)
    assert plan["sl"] == SL and applied["verified"]
    with lab.sa() as sa:
        check_truth(lab, sa)


def ways(engine):
    """(label of the row, how its cells are measured)"""
    if engine in SL_BY_PATH:
        return (NO_SL + engine, measure_without_sl), (engine, measure_with_sl)
    return ((engine, measure),)


def main():
    tap = Tap()
    table = [["routing engine", *KINDS]]
    for engine in ENGINES + MORE_ENGINES if FULL else ENGINES:
        with TreeLab({"routing_engine": engine}, net=NET, node=SM_NODE) as lab:
            assert lab.ask("status")["routing_engine"] == engine, "OpenSM has fallen back to another engine"
            lab.look()
            lab.heavy_sweep()
            for row, how in ways(engine):
                cells = {}
                for kind in KINDS:
                    tap.run(f"{row}: {kind}", cell_is_as_documented, lab, row, kind, how, cells)
                table.append([row, *(cells.get(kind, "?") for kind in KINDS)])
    print_rows(table)
    with PluginLab({"routing_engine": "dfsssp"}, options=f"sl={SL}") as lab:
        tap.run("a_service_level_may_be_an_option_of_the_plugin", moves_with_the_options_sl, lab)
    tap.exit()


main()
