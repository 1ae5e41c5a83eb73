#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-fabric while SMPs are lost, requests and responses: 1, 5 and 20 % of the plan's own, 1 % of all. When the loss has
stopped, each change is there and verified, or the fabric is as it was."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap, print_rows  # noqa: E402
from simfabric.raw_lab import DONE, FAILED, HALFWAY, RawLab  # noqa: E402

APPLIES = 100 if FULL else 8
PLANS_SMPS = (("--attribute", "LinearForwardingTable", "--method", "set"), ("--attribute", "PortInfo", "--method", "set"))
ALL_SMPS = ((),)
LOSSES = [("1_percent_of_the_plans_SMPs", PLANS_SMPS, 0.01), ("5_percent_of_the_plans_SMPs", PLANS_SMPS, 0.05),
          ("20_percent_of_the_plans_SMPs", PLANS_SMPS, 0.2), ("1_percent_of_all_SMPs", ALL_SMPS, 0.01)]
ORDERS = ("fast", "consistent", "drop-first")


def lose(lab, rules, chance, seed):
    for rule in rules:
        lab.fabric.cli("fault", "drop", *rule, "--chance", chance, "--seed", seed, "--direction", "both")


def lids_after(before, moves):
    after = dict(before)
    for a, b in moves:
        after[a], after[b] = after[b], after[a]
    return after


def check_applied(lab, path, wanted):
    lab.tool.ask("verify", path)
    assert lab.lids() == wanted, lab.lids()
    lab.all_delivered()


def check_as_before(lab, before):
    assert lab.tables() == before, "neither applied nor undone"


def finish(lab, path, dice, before, wanted):
    """The loss has stopped: either way must be open."""
    if dice.random() < 0.5:
        lab.tool.ask("resume", path)
        check_applied(lab, path, wanted)
    else:
        lab.tool.ask("undo", path)
        check_as_before(lab, before)


def one_apply(lab, dice, rules, chance):
    """How it ended."""
    before, lids, names = lab.tables(), lab.lids(), lab.movable()
    chosen = dice.sample(names, 2 * dice.randint(1, 3))
    moves = list(zip(chosen[::2], chosen[1::2]))
    words = [lab.move(*move) for move in moves]
    # Few tries, so that giving up is seen, too; reading is to succeed all the same.
    tries = dice.choice((2, 3, 6))
    options = ["--order", dice.choice(ORDERS), "--window", dice.choice((1, 4, 64)), "--packet-lifetime-ms", 1,
               "--route", dice.choice(("directed", "lid")), "--timeout-ms", 10, "--tries", tries]
    lose(lab, rules, chance, dice.randint(1, 1 << 30))
    path, answer = lab.tool.apply(words, *options, status=None)
    lab.fabric.cli("fault", "clear")
    assert answer["status"] in (DONE, FAILED, HALFWAY), answer
    if answer["status"] == DONE:
        check_applied(lab, path, lids_after(lids, moves))
    elif answer["status"] == FAILED:
        check_as_before(lab, before)
    else:
        finish(lab, path, dice, before, lids_after(lids, moves))
    return answer["status"], answer.get("resent", 0)


def every_change_is_there_or_is_not(lab, rules, chance, row):
    dice = random.Random(chance)
    ends = [one_apply(lab, dice, rules, chance) for _ in range(APPLIES)]
    row += [str(sum(status == end for status, _ in ends)) for end in (DONE, FAILED, HALFWAY)]
    assert any(status == DONE for status, _ in ends), ends


def main():
    tap = Tap()
    rows = [["lost", "applied", "undone", "halfway"]]
    with RawLab() as lab:
        lab.fabric.opensm_stop()
        for name, rules, chance in LOSSES:
            row = [name.replace("_", " ")]
            tap.run(f"applied_and_verified_or_undone_{name}", every_change_is_there_or_is_not, lab, rules, chance, row)
            rows.append(row)
    print_rows([row for row in rows if len(row) == len(rows[0])])
    tap.exit()


main()
