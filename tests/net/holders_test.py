#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Who holds a VM's device, by an agent's own eyes: processes of the kernel, with a device node open, connected or not."""
import os
import subprocess
import sys

from agent_harness import VERSION, Agent, answered, run_tests

from lab.process import CONTAINER

# What follows has the node open; what came before has not.
HOLDING = ["sh", "-c", 'exec 9<>"$0"; exec "$@"']
# The same, when it is told to begin; it says when it has the node open.
HOLDING_FIRST = ["sh", "-c", 'exec 9<>"$0"; echo >"$0.said"; read line; exec "$@"']
# A child of it has the node open, has called exec, says so, and ends with it.
LAUNCHING = ["sh", "-c", '(exec 9<>"$0"; exec setpriv --pdeathsig KILL sh -c "echo >\\"$0.said\\"; exec sleep 1000") & exec "$@"']
VETO = "veto-device-held"


class Held(Agent):
    """VM 1 has a device node."""

    def __init__(self, **settings):
        super().__init__(**settings)
        os.makedirs(self.path("devices/vm1"))
        self.node = self.path("devices/vm1/uverbs0")
        self.settings["devices"] = self.path("devices")
        self.write_conf("agent.conf", self.settings)
        self.write("devices/vm1/uverbs0", "")
        os.mkfifo(self.node + ".said")
        self.holders = []

    def __exit__(self, *error):
        for holder in self.holders:
            holder.kill()
            holder.wait()
        super().__exit__(*error)

    def stranger(self, *argv):
        """A process that has the node open and nothing to do with libtether."""
        holder = subprocess.Popen([*HOLDING, self.node, *(argv or ("sh", "-c", "echo; read line"))],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(holder)
        holder.stdout.readline()
        return holder

    def is_held(self):
        """Waits until somebody says so."""
        self.read("devices/vm1/uverbs0.said")

    def prepared(self, shims=(), step="PREPARE"):
        """{(who, reason)} of the answer to @step, to which each of @shims says that it can."""
        self.event(step, to_vm=True)
        for shim in shims:
            answered(shim, shim.frame("event"))
        answer = self.answer(step)
        said = {(refusal["who"], refusal["reason"]) for refusal in answer.get("refusals", ())}
        assert answer["outcome"] == ("OUTCOME_REFUSED" if said else "OUTCOME_DONE"), answer
        return said


def process_of_a_container_is_known_by_its_link():
    with Held(away_ms=1) as agent:
        shim = agent.shim(pid=1, name="vm1/1.5", launcher=[*CONTAINER, *HOLDING, agent.node])
        assert agent.prepared([shim]) == set()


def number_within_a_container_covers_nobody():
    with Held(away_ms=1) as agent:
        holder = agent.stranger()
        shim = agent.shim(pid=holder.pid)
        assert agent.prepared([shim]) == {(f"hyp1/vm1/{holder.pid} sh", VETO)}


def launched_program_is_its_own_when_it_has_called_exec():
    with Held(away_ms=1) as agent:
        shim = agent.shim(launcher=[*LAUNCHING, agent.node])
        agent.is_held()
        (who, reason), = agent.prepared([shim])
        assert reason == VETO and who != "hyp1/vm1/10 ib_write_bw", who


def who_opens_the_device_after_prepare_is_named_at_settle():
    with Held(away_ms=1) as agent:
        shim = agent.shim(launcher=[*HOLDING, agent.node])
        assert agent.prepared([shim]) == set()
        holder = agent.stranger()
        assert agent.prepared([shim], "SETTLE") == {(f"hyp1/vm1/{holder.pid} sh", VETO)}


def process_that_has_not_found_a_new_agent_yet_is_waited_for():
    with Held(away_ms=20000) as agent:
        links = agent._links("connect", agent.path("vms/vm1.sock"), [*HOLDING_FIRST, agent.node])
        agent.is_held()
        agent.event("PREPARE", to_vm=True, deadline_ms=30000)
        agent.event("STOP", 2)  # has been taken when this is answered
        agent.answer("STOP", 2)
        links.tool.stdin.write("\n")
        links.tool.stdin.flush()
        links.opened()
        links.send({"hello": {"version": VERSION, "role": "ROLE_SHIM", "name": "vm1/10.1", "pid": 10, "program": "ib_write_bw"}})
        answered(links, links.frame("event"))
        answer = agent.answer("PREPARE")
        assert answer["outcome"] == "OUTCOME_DONE" and answer["answered"] == ["vm1/10.1"], answer


def main():
    if os.geteuid():
        print("skipped: PID namespaces are made by root")
        return 77
    return run_tests([
        process_of_a_container_is_known_by_its_link,
        number_within_a_container_covers_nobody,
        launched_program_is_its_own_when_it_has_called_exec,
        who_opens_the_device_after_prepare_is_named_at_settle,
        process_that_has_not_found_a_new_agent_yet_is_waited_for,
    ])


sys.exit(main())
