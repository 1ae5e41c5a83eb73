#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Who holds a VM's device, by an agent's own eyes: processes of the kernel, with a device node open, connected or not."""
import os
import subprocess
import sys

from agent_harness import Agent, answered, run_tests

# What follows has the node open; what came before has not.
HOLDING = ["sh", "-c", 'exec 9<>"$0"; exec "$@"']
# As a container has it; the processes of one are gone with the first of them.
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
VETO = "veto-device-held"


class Held(Agent):
    """VM 1 has a device node."""

    def __init__(self):
        super().__init__()
        os.makedirs(self.path("devices/vm1"))
        self.node = self.path("devices/vm1/uverbs0")
        self.settings["devices"] = self.path("devices")
        self.write_conf("agent.conf", self.settings)
        self.write("devices/vm1/uverbs0", "")
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

    def prepared(self, shims=(), sequence=1):
        """{(who, reason)} of the answer to PREPARE, to which each of @shims says that it can."""
        self.event("PREPARE", sequence, to_vm=True)
        for shim in shims:
            answered(shim, shim.frame("event"))
        answer = self.answer("PREPARE", sequence)
        said = {(refusal["who"], refusal["reason"]) for refusal in answer.get("refusals", ())}
        assert answer["outcome"] == ("OUTCOME_REFUSED" if said else "OUTCOME_DONE"), answer
        return said


def process_of_a_container_is_known_by_its_link():
    with Held() as agent:
        shim = agent.shim(pid=1, name="vm1/1.5", launcher=[*CONTAINER, *HOLDING, agent.node])
        assert agent.prepared([shim]) == set()


def number_within_a_container_covers_nobody():
    with Held() as agent:
        holder = agent.stranger()
        shim = agent.shim(pid=holder.pid)
        assert agent.prepared([shim]) == {(f"hyp1/vm1/{holder.pid} sh", VETO)}


def main():
    if os.geteuid():
        print("skipped: PID namespaces are made by root")
        return 77
    return run_tests([
        process_of_a_container_is_known_by_its_link,
        number_within_a_container_covers_nobody,
    ])


sys.exit(main())
