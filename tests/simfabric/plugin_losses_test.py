#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The plugin while SMPs are lost, requests and responses: 1, 5 and 20 % of the plan's own, 1 % of all. When the loss has stopped,
each move is made and verified, or undone, and SA and fabric agree. OpenSM's transport tries each SMP twice only and some
leases are short, so that the plugin has something to do, and gives up, too."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth_now  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

MOVES = 50 if FULL else 4
LEASE_MS, SHORT_LEASE_MS = 8000, 30
PLANS_SMPS = tuple(("--attribute", name, "--method", "set") for name in ("LinearForwardingTable", "PortInfo", "P_KeyTable"))
LOSSES = [("1_percent_of_the_plans_SMPs", PLANS_SMPS, 0.01), ("5_percent_of_the_plans_SMPs", PLANS_SMPS, 0.05),
          ("20_percent_of_the_plans_SMPs", PLANS_SMPS, 0.2), ("1_percent_of_all_SMPs", ((),), 0.01)]
ORDERS = ("fast", "consistent", "drop-first")
CONF = {"transaction_timeout": 10, "transaction_retries": 1, "packet_life_time": "0x8"}


def check_all(lab):
    lab.heavy_sweep()  # a loss is an error to OpenSM, for which it sweeps
    check_sa_truth_now(lab)
    wrote = lab.heavy_sweep()
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
    check_sa_truth_now(lab)


def where(lab):
    """Who is where, with which LID."""
    return lab.fabric.dump("places")


def lossy_apply(lab, plan, slots, rules, chance, dice):
    """What apply answers while SMPs are lost."""
    seed, lease_ms = dice.randint(1, 1 << 30), dice.choice((SHORT_LEASE_MS, LEASE_MS))
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(*slots)
        sm.ask("lease", migration=migration, ms=lease_ms)
        for rule in rules:
            lab.fabric.cli("fault", "drop", *rule, "--chance", chance, "--seed", seed, "--direction", "both")
        answer = sm.request("apply", hash=plan["hash"], migration=migration)
        lab.fabric.cli("fault", "clear")
    return answer


def apply_again(lab, plan):
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        assert sm.ask("apply", hash=plan["hash"], migration=migration)["verified"]


def undo(lab, plan, slots, vm, back):
    sm, migration = lab.leased(LEASE_MS)
    with sm:
        lab.exchange_guids(*slots)
        assert sm.ask("undo", hash=plan["hash"], vm_port_guid=vm, migration=migration, **back)["verified"]


def one_move(lab, dice, rules, chance):
    """How it ended."""
    slots = dice.sample(lab.slots(), 2)
    before, vm, back = where(lab), lab.guid_at(slots[0]), lab.place_of(slots[0])
    plan = lab.ask("plan", vm_port_guid=vm, order=dice.choice(ORDERS), **lab.place_of(slots[1]))
    answer = lossy_apply(lab, plan, slots, rules, chance, dice)
    if not answer["ok"] and dice.random() < 0.5:
        undo(lab, plan, slots, vm, back)
        assert where(lab) == before, "not as before"
        return "undone"
    if not answer["ok"]:
        apply_again(lab, plan)
    assert lab.ask("verify", hash=plan["hash"])["verified"]
    assert lab.guid_at(slots[1]) == vm
    return "applied" if answer["ok"] else "applied again"


def every_move_is_made_or_undone(lab, rules, chance, row):
    dice = random.Random(chance)
    ends = [one_move(lab, dice, rules, chance) for _ in range(MOVES)]
    check_all(lab)
    row += [str(ends.count(end)) for end in ("applied", "applied again", "undone")]


def main():
    tap = Tap()
    rows = [["lost", "applied", "again", "undone"]]
    with PluginLab(CONF) as lab:
        lab.heavy_sweep()
        for name, rules, chance in LOSSES:
            row = [name.replace("_", " ")]
            tap.run(f"made_and_verified_or_undone_{name}", every_move_is_made_or_undone, lab, rules, chance, row)
            rows.append(row)
    print_rows([row for row in rows if len(row) == len(rows[0])])
    tap.exit()


main()
