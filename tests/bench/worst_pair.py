# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Which two LIDs cost the most Sets to exchange, by the tables of a fabric. It knows nothing of any planner: an exchange
writes each block of each switch whose entries for the two differ."""
import operator
import random

BLOCK_LIDS = 64
ENOUGH = 2000000  # pairs; more are not looked at


def columns(lfts, lids):
    """{LID: its entry on each switch}, from {switch: a byte for each LID}."""
    rows = [lfts[name] for name in sorted(lfts)]
    return {lid: bytes(row[lid] if lid < len(row) else 255 for row in rows) for lid in lids}


def sets_of(entries, a, b):
    blocks = 1 if a // BLOCK_LIDS == b // BLOCK_LIDS else 2
    return blocks * sum(map(operator.ne, entries[a], entries[b]))


def pairs(lids, seed):
    """All of them in another order where there are not more than ENOUGH, else so many at random."""
    draw = random.Random(seed)
    lids = sorted(lids)
    if len(lids) * (len(lids) - 1) // 2 > ENOUGH:
        return (draw.sample(lids, 2) for _ in range(ENOUGH))
    every = [(a, b) for at, a in enumerate(lids) for b in lids[at + 1:]]
    draw.shuffle(every)
    return every


def worst_pair(lfts, lids, most, seed=1):
    """(Sets, LID, LID). @most: what no pair can exceed; the search ends with the first one that reaches it."""
    entries = columns(lfts, lids)
    worst = (-1, 0, 0)
    for a, b in pairs(lids, seed):
        sets = sets_of(entries, a, b)
        if sets > worst[0]:
            worst = sets, a, b
        if sets == most:
            break
    return worst
