# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""How long each state of a migration takes while rc-verify runs, how long it waited, and what the fabric counted."""
import statistics

from faults import lft_blocks
from lab.deadline import wait_until
from lab.migration import migrate
from lab.workload import RcVerify

QPS = 4
ROUTE = ["hyp1", "hyp3", "hyp4"]  # of VM 1; VM 2 stays on hyp2
END_S = 60


def summary(numbers):
    return {"min": round(min(numbers), 2), "median": round(statistics.median(numbers), 2), "max": round(max(numbers), 2)}


def move_around(lab, moves):
    """(the migrations, how many blocks of LFTs differ before and after each)"""
    moved, expected = [], 0
    for number in range(moves):
        before = lab.fabric.lft_dump()
        moved.append(migrate(lab, "vm1", ROUTE[number % len(ROUTE)], ROUTE[(number + 1) % len(ROUTE)]))
        expected += lft_blocks.count_changed(before, lab.fabric.lft_dump())
    return moved, expected


def measure(lab, moves):
    with RcVerify(lab, "vm2", "vm1", ["-q", str(QPS)]) as verify:
        wait_until("rc-verify works", verify.is_working, END_S, verify.logs(), [verify.client])
        before = lab.fabric.lft_sets()
        moved, expected = move_around(lab, moves)
        after = lab.fabric.lft_sets()
        verify.stop()
        verdicts = verify.results(END_S)
    if not all(verdict.get("ok") for verdict in verdicts):
        raise RuntimeError(f"{verdicts}{verify.words()}")
    states = {}
    for one in moved:
        for name, ms in one.steps()[:-1]:  # done
            states.setdefault(name, []).append(ms)
    result = {"moves": moves, "qps": QPS, "copy_ms": lab.copy_ms,
              "blackout_ms": summary([one.blackout_ms(verdicts[1]["pauses"]) for one in moved]),
              "states_ms": {name: round(statistics.median(lengths), 2) for name, lengths in states.items()},
              "lft_smps": sum(after.values()) - sum(before.values()),
              "lft_smps_physical": after["physical"] - before["physical"],
              "lft_smps_vswitch": after["vswitch"] - before["vswitch"], "lft_smps_expected": expected,
              "lft_smps_resent": sum(one.count("resent") for one in moved)}
    for name, ms in result["states_ms"].items():
        print(f"  {name:<14} {ms:9.2f} ms", flush=True)
    print(f"  blackout       {result['blackout_ms']['median']:9.2f} ms; {result['lft_smps']} LFT SMPs in {moves} moves, {expected} expected", flush=True)
    return result
