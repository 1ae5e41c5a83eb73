#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""`tether agents` over a tree of real daemons: tether-smd, an agent between, two servers, an agent in a VM, processes."""
import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import PATIENCE_S, VERSION, Links, answered, run_tests  # noqa: E402
from agent_tree import TETHER, Tree  # noqa: E402

from lab.deadline import wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402

ALL = {"hyp2": ("host", 0, 0, "ms"), "rack1": ("relay", 0, 0, "ms"), "rack1/hyp1": ("host", 2, 0, "ms"),
       "rack1/vm1": ("guest", 1, 0, "ms")}
# Steps come and are answered, the driver begins and ends, somebody refuses.
OF_A_MIGRATION = re.compile(r"\b[A-Z]+\.[0-9]+\b|\border |\bcheck vm|\bveto-")


def each_agent_of_the_tree_answers_for_itself():
    with Tree() as tree:
        tree.wait_rows("all are there", ALL)
        tree.process("vm1.sock", "agent/10.1")
        tree.process("vm1.sock", "agent/11.1")
        tree.process("hyp1/vm2.sock", "vm2/10.1")
        tree.wait_rows("processes are with the agent that they have connected to",
                       {**ALL, "rack1/hyp1": ("host", 2, 1, "ms"), "rack1/vm1": ("guest", 1, 2, "ms")})
        agents = {agent["name"]: agent for agent in json.loads(tree.ask("--json"))["agents"]}
        assert {name: agent["agents"] for name, agent in agents.items()} == {"rack1": 1, "hyp1": 1, "hyp2": 0, "vm1": 0}, agents
        assert agents["vm1"]["behind"] == agents["hyp1"]["behind"] == "rack1" and "behind" not in agents["hyp2"], agents
        assert all(agent["counters"]["unasked_reports"] == 0 for agent in agents.values()), agents
        assert Metrics("unix:" + tree.path("rack1.metrics")).values()["tether_agent_agents"] == 1


def who_is_behind_one_that_is_away_is_away_too():
    with Tree() as tree:
        tree.wait_rows("all are there", ALL)
        tree.stop("rack1")
        away = {name: (*row[:3], "away") if name.startswith("rack1") else row for name, row in ALL.items()}
        tree.wait_rows("those behind it are away", away)
        tree.start("rack1")
        tree.wait_rows("all are back", ALL)


def a_round_ends_when_somebody_behind_another_goes():
    """Asked, and gone before it has answered; nobody waits for report_ms."""
    with Tree(report_ms=3600000) as tree:
        tree.wait_rows("all are there", ALL)
        guest = Links("connect", tree.path("hyp1/vm2.guest"))
        tree.links.append(guest)
        guest.opened()
        guest.send({"hello": {"version": VERSION, "role": "ROLE_GUEST"}})
        assert guest.frame("hello_answer")["outcome"] == "OUTCOME_DONE"
        asking = subprocess.Popen([TETHER, "--api", tree.path("api.sock"), "agents"], stdout=subprocess.PIPE, text=True)
        guest.frame("report")
        guest.close()
        assert len(asking.communicate(timeout=PATIENCE_S)[0].splitlines()) == 1 + len(ALL)
        tree.wait_rows("all are there", ALL)


def one_that_is_stopped_is_away_when_its_link_has_ended():
    with Tree() as tree:
        tree.wait_rows("all are there", ALL)
        tree.running["hyp2"].send_signal(signal.SIGSTOP)
        tree.wait_rows("it is away", {**ALL, "hyp2": ("host", 0, 0, "away")})
        tree.running["hyp2"].send_signal(signal.SIGCONT)
        tree.wait_rows("it is back", ALL)


def each_line_of_a_migration_names_it_and_its_epoch():
    with Tree() as tree:
        tree.wait_rows("all are there", ALL)
        process = tree.process("vm1.sock", "agent/10.1")
        asking = subprocess.Popen([TETHER, "--api", tree.path("api.sock"), "migrate", "vm1", "hyp2"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        prepare = process.frame("event", step="STEP_PREPARE")
        answered(process, prepare, "OUTCOME_REFUSED", refusals=[{"reason": "veto-flow", "text": "as asked"}])
        abort = process.frame("event", step="STEP_ABORT")
        answered(process, abort)
        said = asking.communicate(timeout=PATIENCE_S)[0]
        assert asking.returncode == 1 and "veto-flow" in said, said
        refused = ["PREPARE.", "REFUSED", "veto-flow", "ABORT."]
        checked = ["order check", "check vm1: done", "PREPARE."]
        for name, words in {"rack1": refused, "hyp1": refused, "vm1": refused, "hyp2": checked}.items():
            wait_until(f"{name} has answered the last", lambda: re.search(rf" {words[-1]}[0-9]+ DONE,", tree.read(f"{name}.log")),
                       PATIENCE_S)
            lines = [line for line in tree.read(f"{name}.log").splitlines() if OF_A_MIGRATION.search(line)]
            assert all(any(word in line for line in lines) for word in words), f"{name} does not say all of {words}: {lines}"
            for line in lines:
                assert f": migration {prepare['migration']}/{prepare['epoch']}: " in line, f"{name}: {line}"


TESTS = [
    each_agent_of_the_tree_answers_for_itself,
    who_is_behind_one_that_is_away_is_away_too,
    a_round_ends_when_somebody_behind_another_goes,
    one_that_is_stopped_is_away_when_its_link_has_ended,
    each_line_of_a_migration_names_it_and_its_epoch,
]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
