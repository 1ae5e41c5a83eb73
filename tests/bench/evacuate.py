# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What it costs to evacuate a hypervisor with 16 VMs, on a fat-tree under a real OpenSM: as 16 plans of one move, and as one plan in
each order. Sets are those that the fabric has counted. What they should be follows from its tables before and after and
from its cables: a Set for each block that changes, one more for each that has a dropped LID in `drop-first`, and more in
`consistent` only where blocks wait for each other in circles. While a plan goes out the tables are looked at again and again."""
import random

from bench import circles
from bench.tree_lab import LEASE_MS, TreeLab, Unexpected
from faults import lft_blocks
from faults.sa_truth import findings, sets, shown
from simfabric.lab import wait_until

VFS = 16
ORDERS = ("fast", "consistent", "drop-first")
LFT = "LinearForwardingTable"
SETTINGS = {"packet_life_time": "0x0c",  # 17 ms, which dropping first waits for
            "transaction_timeout": 5000}  # an answer that is late is no reason to send a Set again, which the fabric would count
WATCHED_US = 1200000  # about so long the LFT Sets of a plan are on their way, while somebody looks at the tables
AT_ONCE = 4  # SMPs that OpenSM has under way
SOON_S = 60
NO_PORT, LOOP = "no port", "a loop"
LOOKS_MAX = 5  # at a plan, until a state in its middle has been seen
ASKED_PATHS = 40  # of each VM, at most


class Evacuation:
    """Of @host: each of its VMs to a slot of another one, drawn."""

    def __init__(self, lab, host, seed):
        self.lab = lab
        slots = [row["slot"] for row in lab.fabric.slots()]
        self.sources = [slot for slot in slots if slot.startswith(f"{host}_")]
        others = [slot for slot in slots if slot not in self.sources]
        self.pairs = list(zip(self.sources, random.Random(seed).sample(others, len(self.sources))))
        self.peers = {(row["node"], row["port"]): (row["peer"]["node"], row["peer"]["port"])
                      for row in lab.fabric.dump("ports") if row["peer"]}
        with open(lab.net_file) as net:
            self.vswitches = lft_blocks.vswitches(net.read())

    def distinct(self, before, after):
        return lft_blocks.count_split(before, after, self.vswitches)

    def counted(self, counters):
        found = {"physical": 0, "vswitch": 0}
        for name, row in counters["nodes"].items():
            found["vswitch" if name in self.vswitches else "physical"] += row.get(LFT, {}).get("set", 0)
        return found


def total(counts):
    return sum(counts.values())


def expect(is_so, text):
    if not is_so:
        raise Unexpected(text)


class Places:
    """{LID: (node, port)}"""

    def __init__(self, lab):
        self.of = {row["lid"]: (row["node"], row["port"]) for row in lab.fabric.dump("places")}


def walk(tables, peers, switch, lid):
    """Where a packet to @lid comes out that is at @switch."""
    for _ in range(len(tables)):
        node = peers.get((switch, tables[switch][lid]))
        if node is None:
            return NO_PORT
        if node[0] not in tables:
            return node
        switch = node[0]
    return LOOP


class Seen:
    """The states of the tables in which a plan has been seen, each once."""

    def __init__(self, lab):
        self.lab = lab
        self.states = []

    def look(self):
        tables = self.lab.fabric.lft_bytes()
        if tables not in self.states:
            self.states.append(tables)

    def between(self, before, after):
        return [state for state in self.states if state not in (before, after)]

    def ends(self, peers, lids):
        """{LID: where its packets come out, from whichever switch, in whichever state}"""
        return {lid: {walk(state, peers, switch, lid) for state in self.states for switch in state} for lid in lids}


def check_reached(order, seen, evacuation, old, new, vm_lids, lids):
    """In no state that has been seen does a packet go in a circle, or come to anybody else; nor is it lost where the order is
    consistent. `fast` promises nothing, `drop-first` nothing of LIDs without traffic."""
    promised = {"fast": (), "consistent": lids, "drop-first": vm_lids}[order]
    also = {NO_PORT} if order == "drop-first" else set()
    for lid, ends in seen.ends(evacuation.peers, promised).items():
        wrong = ends - {old.of[lid], new.of[lid]} - also
        expect(not wrong, f"{order}: packets to LID {lid}, which moves from {old.of[lid]} to {new.of[lid]}, came to {wrong}")


def apply_watched(lab, plan, pairs):
    """(what apply answered, simfabric's counters, the states that were seen)"""
    seen = Seen(lab)
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids_of(*pairs)
        sm.ask("lease", migration=migration, ms=LEASE_MS)
        lab.fabric.cli("fault", "delay", "--attribute", LFT, "--method", "set", "--us", WATCHED_US * AT_ONCE // plan["lft_sets"])
        lab.fabric.counters_reset()
        sm.send("apply", hash=plan["hash"], migration=migration)
        wait_until("the first LFT Set", lambda: sets(lab.fabric.counters(), LFT) or sm.has_answer(), SOON_S)
        while not sm.has_answer():
            seen.look()
        applied = sm.receive()
        counters = lab.fabric.counters()
        lab.fabric.cli("fault", "clear")
    expect(applied["ok"] and applied["verified"], f"apply answered {applied}")
    return applied, counters, seen


def blocks_of(before, after, lids):
    """(switch, block) in which an entry of @lids changes."""
    return {(switch, lid // lft_blocks.BLOCK_LIDS) for switch in before for lid in lids if before[switch][lid] != after[switch][lid]}


def why_more(order, counted, before, after, evacuation, vm_lids):
    """How many Sets more than blocks that change, and why."""
    more = total(counted) - total(evacuation.distinct(before, after))
    if order == "fast":
        expect(not more, f"fast: {more} LFT Sets more than blocks that changed")
        return {"more": 0}
    if order == "drop-first":
        dropped = len(blocks_of(before, after, vm_lids))
        expect(more == dropped, f"drop-first: {more} LFT Sets more, {dropped} blocks have entries of LIDs with traffic")
        return {"more": more}
    waits = circles.Waits(before, after, evacuation.peers)
    rings = circles.circles(waits.of)
    blocks = sum(map(len, rings))
    expect(len(rings) <= more <= waits.entries_in(set().union(*rings)) - blocks if rings else not more,
           f"consistent: {more} LFT Sets more, {blocks} blocks wait for each other in {len(rings)} circles")
    return {"more": more, "circles": len(rings), "blocks_in_circles": blocks}


def check_truth(lab, vms):
    """SA and fabric agree; of paths those of the VMs, with at most ASKED_PATHS others each."""
    truth = lab.truth()
    others = random.Random(1).sample(sorted(truth.end_ports), min(ASKED_PATHS, len(truth.end_ports)))
    pairs = [pair for vm in vms for other in others if vm != other for pair in ((vm, other), (other, vm))]
    with lab.sa() as sa:
        found = findings(truth, sa, pairs=pairs)
    expect(not found, shown(found))


def one_plan(lab, evacuation, order):
    """The counts of all moves in one plan, which is taken back."""
    vms = [int(row["port_guid"], 16) for row in lab.fabric.slots() if row["slot"] in evacuation.sources]
    old, before = Places(lab), lab.fabric.lft_bytes()
    vm_lids = [lid for lid, place in old.of.items() if place[0] in evacuation.sources]
    plan = lab.plan_moves(evacuation.pairs, order=order)
    _, counters, seen = apply_watched(lab, plan, evacuation.pairs)
    new, after = Places(lab), lab.fabric.lft_bytes()
    lids = [lid for lid in old.of if old.of[lid] != new.of[lid]]
    expect(len(lids) == 2 * len(evacuation.pairs), f"{len(lids)} LIDs have moved")
    counted, middle = evacuation.counted(counters), seen.between(before, after)
    row = {**counted, **why_more(order, counted, before, after, evacuation, vm_lids), "waves": plan["waves"], "states": len(middle)}
    check_reached(order, seen, evacuation, old, new, vm_lids, lids)
    check_truth(lab, vms)
    lab.undo_together(plan, evacuation.pairs)
    expect(lab.fabric.lft_bytes() == before, f"{order}: undone, the tables are not as they were")
    return row


def one_plan_seen(lab, evacuation, order):
    """The same; again where something is promised of states in its middle, and none was seen."""
    for _ in range(LOOKS_MAX):
        row = one_plan(lab, evacuation, order)
        if row["states"] or order == "fast":
            return row
    raise Unexpected(f"{order}: no state between the first Set and the last was seen")


def move_counted(lab, evacuation, source, destination):
    rows = {row["node"]: row for row in lab.movable()}
    plan, before = lab.plan_move(rows[source], rows[destination]), lab.fabric.lft_bytes()
    applied, counters = lab.apply_counted(plan, rows[source], rows[destination])
    counted, needed = evacuation.counted(counters), evacuation.distinct(before, lab.fabric.lft_bytes())
    expect(applied["verified"] and counted == needed, f"{counted} LFT Sets counted, the tables say {needed}")
    return counted


def single_moves(lab, evacuation):
    """The sum of the counts, and all of them back at once."""
    before = lab.fabric.lft_bytes()
    found = [move_counted(lab, evacuation, *pair) for pair in evacuation.pairs]
    lab.move_together([pair[::-1] for pair in evacuation.pairs])
    expect(lab.fabric.lft_bytes() == before, "all moved back, the tables are not as they were")
    return {kind: sum(counts[kind] for counts in found) for kind in found[0]}


def measure(size, host="h2", seed=1):
    with TreeLab(size, VFS, **SETTINGS) as lab:
        lab.fabric.opensm_heavy_sweep()
        evacuation = Evacuation(lab, host, seed)
        return {"vms": len(evacuation.pairs), "lids": lab.lids_in_use(), "single": single_moves(lab, evacuation),
                **{order: one_plan_seen(lab, evacuation, order) for order in ORDERS}}
