# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What it costs to move a VM's identity, and what OpenSM's own recomputation costs, on the fat-trees of Table I of the
vSwitch paper. Sets are those that the fabric has counted; what they should be follows from its tables before and after.
No number comes from the planner but its own times."""
import statistics

from bench import worst_pair
from bench.tree_lab import TreeLab, Unexpected
from faults import lft_blocks
from faults.sa_truth import sets

RECOMPUTATIONS = 3


def block_of(row):
    return row["lid"] // worst_pair.BLOCK_LIDS


def leaf_of(row):
    return row["peer"]["node"]


def same_leaf_same_block(rows):
    """Two that hang on one switch and have LIDs of one block; None where OpenSM has spread the LIDs too far."""
    seen = {}
    for row in rows:
        if (leaf_of(row), block_of(row)) in seen:
            return seen[leaf_of(row), block_of(row)], row
        seen[leaf_of(row), block_of(row)] = row
    return None


def move_counted(lab, source, destination, **more):
    """(plan, what apply answered, LFT Sets that the fabric has counted)."""
    plan = lab.plan_move(source, destination, **more)
    before = lab.fabric.lft_bytes()
    applied, counters = lab.apply_counted(plan, source, destination)
    counted, needed = sets(counters, "LinearForwardingTable"), lft_blocks.count_changed(before, lab.fabric.lft_bytes())
    if counted != needed:
        raise Unexpected(f"{counted} LFT Sets counted, the tables say {needed}")
    return plan, applied, counted


def brought_together(lab):
    """Such two; where there are none, a move makes some."""
    found = same_leaf_same_block(lab.movable())
    if found:
        return found
    first, *others = lab.movable()
    alike = next(row for row in others if block_of(row) == block_of(first))
    neighbour = next(row for row in others if leaf_of(row) == leaf_of(first))
    move_counted(lab, alike, neighbour)
    return same_leaf_same_block(lab.movable())


def most_expensive(lab, rows):
    """The two whose exchange costs the most."""
    by_lid = {row["lid"]: row for row in rows}
    lfts = lab.fabric.lft_bytes()
    _, a, b = worst_pair.worst_pair(lfts, by_lid, 2 * len(lfts))
    return by_lid[a], by_lid[b]


def recomputations(lab):
    """(LFT Sets by kind of switch, the same each time; ms of each)"""
    runs = [lab.recompute() for _ in range(RECOMPUTATIONS)]
    if any(counted != runs[0][0] for counted, _ in runs):
        raise Unexpected(f"recomputations sent {[counted for counted, _ in runs]} LFT Sets")
    return runs[0][0], [ms for _, ms in runs]


def measure(size, smp_us=0):
    """The row of a size, plain CAs as in the paper."""
    with TreeLab(size, smp_us=smp_us) as lab:
        counted, times = recomputations(lab)
        result = {"lids": lab.lids_in_use(), "full_rc_smps": counted["physical"]}
        _, _, result["min_smps"] = move_counted(lab, *brought_together(lab), reach="minimum")
        plan, applied, result["max_smps"] = move_counted(lab, *most_expensive(lab, lab.movable()))
    full_rc_ms = statistics.median(times)
    move_ms = (plan["view_us"] + plan["plan_us"] + applied["elapsed_us"]) / 1000
    return {**result, "view_us": plan["view_us"], "plan_us": plan["plan_us"], "apply_ms": round(applied["elapsed_us"] / 1000, 2),
            "full_rc_ms": round(full_rc_ms, 1), "ratio": round(full_rc_ms / move_ms, 1)}
