#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make bench-evacuate: what the fabric counts when a hypervisor with 16 VMs is evacuated is what its tables explain (the bench ends
where it is not), and one plan takes fewer LFT Sets than 16. How blocks that wait for each other are found is tried by itself."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import circles  # noqa: E402
from bench.bench_make import make  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

SIZES = ["4,3,3", "324"] if FULL else ["4,3,3"]
VMS = 16


def lft_sets(row):
    return row["physical"] + row["vswitch"]


def bench_counts_what_the_tables_explain():
    done = make("bench-evacuate", f"SIZES={' '.join(SIZES)}")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result) == SIZES, result
    for row in result.values():
        assert row["vms"] == VMS
        fast, consistent, dropping = (row[order] for order in ("fast", "consistent", "drop-first"))
        assert fast["more"] == 0 and lft_sets(fast) < lft_sets(row["single"]), row
        for order in (consistent, dropping):
            assert lft_sets(order) == lft_sets(fast) + order["more"] and order["states"], row
        assert consistent["waves"] > 1 and dropping["waves"] == 2, row


def path_tables(a_first, lids):
    """Switches p, q, r in a row with a place at each end; LIDs go to p's end (port 1) or to r's (port 2)."""
    names = ("p", "q", "r")
    return {name: bytes(255 if lid not in lids else 1 if (lid == lids[0]) == a_first else 2 for lid in range(128)) for name in names}


PEERS = {("p", 2): ("q", 1), ("q", 1): ("p", 2), ("q", 2): ("r", 1), ("r", 1): ("q", 2), ("p", 1): ("x", 1), ("r", 2): ("y", 1)}


def a_swap_in_one_block_waits_in_a_circle(lids, rings, entries):
    """Two LIDs at the ends of a path change places: in one block each switch waits for both its neighbours."""
    waits = circles.Waits(path_tables(True, lids), path_tables(False, lids), PEERS)
    found = circles.circles(waits.of)
    assert [{switch for switch, _ in ring} for ring in found] == rings, found
    assert waits.entries_in(set().union(*found)) == entries


def waiting_is_followed():
    waits = {1: {2}, 2: {3}, 3: {1, 4}, 4: {5}, 5: {4}, 6: {1}, 7: set()}
    assert sorted(map(sorted, circles.circles(waits))) == [[1, 2, 3], [4, 5]]
    assert circles.circles({1: {2}, 2: set(), 3: {1, 2}}) == []


def main():
    tap = Tap()
    tap.run("a_swap_in_one_block_waits_in_a_circle", a_swap_in_one_block_waits_in_a_circle, (3, 7), [{"p", "q", "r"}], 6)
    tap.run("in_two_blocks_it_does_not", a_swap_in_one_block_waits_in_a_circle, (3, 70), [], 0)
    tap.run("waiting_is_followed", waiting_is_followed)
    tap.run("bench_counts_what_the_tables_explain", bench_counts_what_the_tables_explain)
    tap.exit()


main()
