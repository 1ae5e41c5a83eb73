#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a migration would do, asked by tether plan and /v1/plan; and that it is planned as asked."""
import json

from command import refused, tether
from smd import Stage, equal, run, wait_until


def a_plan_is_shown_and_changes_nothing():
    with Stage() as stage:
        status, out, err = tether(stage, "plan", "vm1", "hyp2")
        equal((status, err), (0, ""))
        rows = [line.split() for line in out.splitlines()]
        equal(rows[0][:6], ["vm1", "(LID", "16)", "from", "hyp1", "(hyp1-vf0)"])
        equal([row for row in rows if row[:1] == ["0"]],
              [["0", f"0x{switch:016x}", kind, *blocks]
               for switch, kind, blocks in ((0x100, "vswitch", "0"), (0x101, "vswitch", "0"), (0x200, "physical", "01"),
                                            (0x300, "physical", "0"))])
        sums = {" ".join(row[:-1]): int(row[-1]) for row in rows[rows.index([], 2) + 1:]}
        equal(sums, {"switches": 4, "blocks": 5, "waves": 1, "LFT Sets, physical": 3, "LFT Sets, vSwitches": 2,
                     "of these by splits": 0, "P_Key Sets": 4, "PortInfo Sets": 2, "multicast groups": 1})
        asked = []
        stage.world.sm.plan_asked = asked.append
        status, out, _ = tether(stage, "plan", "--json", "--order", "consistent", "--reach", "minimum", "vm1", "hyp2")
        plan = json.loads(out)
        equal((status, plan["blocks"], len(plan["changes"]), plan["order"], plan["reach"]),
              (0, 5, 5, "consistent", "minimum"))
        equal([(r["order"], r["reach"]) for r in asked], [("consistent", "minimum")])
        equal(plan["stability"], "reverted-by-sweep")
        equal(["next sweep" in tether(stage, "plan", *more, "vm1", "hyp2")[1] for more in ((), ("--reach", "minimum"))], [False, True])
        equal(stage.smd.get("/v1/plan?vm=vm1&to=hyp2")[1]["lft_sets"], 5)
        equal(stage.smd.get("/v1/migrations")[1]["migrations"], [])
        equal(stage.world.complaints(), [])


def a_migration_is_planned_as_asked():
    with Stage() as stage:
        asked = []
        stage.world.sm.plan_asked = asked.append
        status, out, err = tether(stage, "migrate", "--order", "consistent", "--reach", "minimum", "--json", "vm1", "hyp2")
        equal((status, json.loads(out)["order"], json.loads(out)["reach"]), (0, "consistent", "minimum"), err)
        equal([(r["order"], r["reach"]) for r in asked], [("consistent", "minimum")])
        refused(stage, "bad-request", "migrate", "vm1", "hyp3", "--order", "slow", ends=2)
        asked.clear()
        # Planned anew after a restart, too.
        stage.smd.stop()
        stage.smd.start(TETHER_DIE_AT="smd-asked:moving:1")
        stage.smd.all_here(3)
        tether(stage, "migrate", "--order", "drop-first", "vm1", "hyp3")
        stage.smd.wait()
        stage.world.fault("sm", "apply", "stale-plan")
        stage.smd.start()
        equal(stage.smd.wait_for(2)["outcome"], "done")
        equal([r["order"] for r in asked], ["drop-first", "drop-first"])


def what_cannot_be_planned_is_refused_by_name():
    with Stage() as stage:
        refused(stage, "unknown-vm", "plan", "vm9", "hyp2")
        refused(stage, "unknown-host", "plan", "vm1", "hyp9")
        refused(stage, "same-host", "plan", "vm1", "hyp1")
        refused(stage, "bad-request", "plan", "vm1", "hyp2", "--order", "slow", ends=2)
        stage.world.fault("sm", "plan", "sl-by-path")
        refused(stage, "sl-by-path", "plan", "vm1", "hyp2")
        for body in ("", "[]", '{"vm":"vm1"}', '{"vm":"vm1","to":7}', '{"vm":"vm1","to":"hyp2","force":"x"}'):
            equal(stage.smd.ask("POST", "/v1/plan", body)[0], 400, body)
        for query in ("", "?vm=vm1", "?vm=vm1&to=hyp2&order=", "?vm=vm1&to=hyp2&x=1"):
            equal(stage.smd.get("/v1/plan" + query)[0], 400, query)
        stage.world.sm.stop()
        wait_until("the SM is away", lambda: not stage.smd.get("/v1/health")[1]["sm_connected"])
        refused(stage, "sm-not-connected", "plan", "vm1", "hyp2")
    with Stage(fabric="none") as stage:
        refused(stage, "no-fabric", "plan", "vm1", "hyp2")


def who_asks_for_a_plan_is_answered_though_the_sm_is_not():
    with Stage(plan_ms=200) as stage:
        stage.world.fault("sm", "plan", "silent")
        refused(stage, "sm-not-connected", "plan", "vm1", "hyp2")
        stage.world.fault("sm", "plan", lambda: stage.world.sm.stop() or "silent")
        refused(stage, "sm-not-connected", "plan", "vm1", "hyp2")
        stage.world.sm.start()
        wait_until("the SM is back", lambda: stage.smd.get("/v1/plan?vm=vm1&to=hyp2")[0] == 200)
        # Whoever does not wait for the answer harms nobody.
        stage.world.fault("sm", "plan", "silent")
        equal(stage.smd.raw(b"GET /v1/plan?vm=vm1&to=hyp2 HTTP/1.1\r\nHost: x\r\n\r\n")[:12] in (b"", b"HTTP/1.1 503"), True)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


run([a_plan_is_shown_and_changes_nothing, a_migration_is_planned_as_asked, what_cannot_be_planned_is_refused_by_name,
     who_asks_for_a_plan_is_answered_though_the_sm_is_not])
