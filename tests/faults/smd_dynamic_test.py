#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Migrations by tether-smd between hypervisors with dynamic LIDs, in a world of fakes: links go down and come up with the
GUIDs, under the lease; what a sweep forgets in between a sweep finds again."""
import sqlite3

from fake_dynamic import ACTIVE, World
from smd import Stage, equal, run, wait_until


def dynamic(**settings):
    return Stage(world=World, **settings)


def states_of(migration):
    return [step["state"] for step in migration["steps"]]


def is_in_order(stage, migration, outcome, host):
    equal(migration["outcome"], outcome, migration["refusals"])
    wait_until(f"complaints: {stage.world.complaints()}", lambda: not stage.world.complaints())
    equal(stage.world.vms["vm1"]["host"], host)


def the_vm_moves_and_comes_back_with_its_lid():
    with dynamic() as stage:
        for host in ("hyp2", "hyp1", "hyp3", "hyp1"):
            migration = stage.smd.move("vm1", host)
            is_in_order(stage, migration, "done", host)
            equal(migration["kind"], "copy")
            states = states_of(migration)
            equal(states[states.index("naming"):states.index("attaching")],
                  ["naming", "vacating", "linking", "applying", "unleasing", "waking"])
            equal({shim.state for shim in stage.world.shims.values()}, {"running"})
        with sqlite3.connect(stage.smd.journal) as journal:
            equal(journal.execute("SELECT DISTINCT dynamic FROM migrations").fetchall(), [(1,)])


run([the_vm_moves_and_comes_back_with_its_lid])
