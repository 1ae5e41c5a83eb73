#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether agents and /v1/agents: agents that answer, are away, silent, or say that they are others."""
import json
import threading

from command import tether
from fake_host import VERSION
from smd import Stage, equal, run, wait_until


def agents_are_asked_how_they_are():
    with Stage() as stage:
        status, out, err = tether(stage, "agents")
        equal((status, err), (0, ""))
        rows = [line.split() for line in out.splitlines()]
        equal(rows[0], ["AGENT", "ROLE", "VERSION", "PROTOCOL", "VMS", "PROCESSES", "VM-MOST", "LAG"])
        equal([row[:7] + row[8:] for row in rows[1:]], [["hyp1", "host", "0.1", str(VERSION), "1", "2", "-", "ms"], ["hyp2", "host", "0.1", str(VERSION), "0", "0", "-", "ms"],
                                                      ["hyp3", "host", "0.1", str(VERSION), "1", "2", "-", "ms"]])
        equal([float(row[7]) > 0 for row in rows[1:]], [True] * 3)
        said = json.loads(tether(stage, "agents", "--json")[1])
        first = said["agents"][0]
        equal((first["vms"], first["counters"], first["answered"]), ([{"name": "vm1", "processes": 2, "protocol": VERSION}], {"events": 7}, True))
        equal(said["epoch"], stage.smd.get("/v1/health")[1]["epoch"])


def an_agent_that_is_away_or_silent_is_listed_so():
    with Stage(report_ms=3000) as stage:
        equal([agent["answered"] for agent in stage.smd.get("/v1/agents")[1]["agents"]], [True] * 3)
        stage.world.hosts["hyp1"].stop()
        wait_until("hyp1 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 2)
        stage.world.fault("hyp2", "report", "silent")
        status, out, _ = tether(stage, "agents")
        rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
        equal((status, rows["hyp1"], rows["hyp2"]), (0, ["host", "0.1", str(VERSION), "1", "2", "-", "away"], ["host", "0.1", str(VERSION), "0", "0", "-", "silent"]))
        equal(rows["hyp3"][-1], "ms")
        # What comes too late is nobody's, and the next round is not mistaken for it.
        equal([agent["answered"] for agent in stage.smd.get("/v1/agents")[1]["agents"]], [False, True, True])


def who_asks_for_agents_at_once_hears_the_same():
    with Stage(report_ms=3000) as stage:
        asked = threading.Event()
        stage.world.fault("hyp2", "report", lambda: asked.set() or "silent")
        heard = []
        askers = [threading.Thread(target=lambda: heard.append(stage.smd.get("/v1/agents")[1])) for _ in range(3)]
        for asker in askers:
            asker.start()
        # One that leaves while it waits is nobody's trouble.
        equal(stage.smd.raw(b"GET /v1/agents HTTP/1.1\r\nHost: x\r\n\r\n")[:12] in (b"", b"HTTP/1.1 200"), True)
        equal(asked.wait(20), True)
        for asker in askers:
            asker.join()
        equal(len(heard), 3)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def an_agent_reports_for_nobody_else():
    with Stage(report_ms=3000) as stage:
        stage.world.hosts["hyp2"].reports = {"name": "hyp3", "version": "of hyp2"}
        agents = {agent["name"]: agent for agent in stage.smd.get("/v1/agents")[1]["agents"]}
        equal((agents["hyp3"]["version"], agents["hyp2"]["answered"]), ("0.1", False))


run([agents_are_asked_how_they_are, an_agent_that_is_away_or_silent_is_listed_so, who_asks_for_agents_at_once_hears_the_same,
     an_agent_reports_for_nobody_else])
