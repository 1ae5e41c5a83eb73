# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The system that churn_test.py works on: hypervisors with prepopulated slots beside such with dynamic LIDs, and what happens
to daemons and cables meanwhile."""
import os
import signal
import subprocess
import time

from faults.victims import KillLab
from simfabric.lab import FABRICS

PREPOPULATED, DYNAMIC = ("h1", "h2", "h3"), ("h4", "h5", "h6")
LEAVES = 3
LINGER_S = 3  # until processes have found their agent again, and the SM has swept


def is_of_dynamic(line):
    return line.startswith("#hypervisor") and any(f'"{host}"' in line for host in DYNAMIC)


def kind_of(host):
    return "dynamic" if host in DYNAMIC else "prepopulated"


class ChurnLab(KillLab):
    """Its messages end with the logs of those who live."""

    def __init__(self, **named):
        super().__init__(hosts=PREPOPULATED + DYNAMIC, **named)
        self.deaths = Deaths(self)

    def net_file(self):
        tree = [os.path.join(FABRICS, "fat_tree.py"), f"{LEAVES},2,2", "--vf", "4", "--sm"]
        lines = subprocess.run(tree, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        with open(self.path("churn.net"), "w") as out:
            out.writelines(f"{line} dynamic\n" if is_of_dynamic(line) else f"{line}\n" for line in lines)
        return self.path("churn.net")

    def logs(self):
        return [self.path("smd.log"), *(self.path(f"agent-{host}.log") for host in self.hosts),
                self.fabric.opensms[-1].log]


class Deaths:
    """When a daemon was dead or not back yet: from kill to the moment at which all are connected, by the wall clock."""

    def __init__(self, lab):
        self.lab, self.spans, self.since = lab, [], None

    def happen(self, kill):
        self.since = self.since or time.time()
        kill()

    def look(self):
        if self.since and self.lab.is_connected(self.lab.hosts) and self.lab.fabric.opensms[-1].up:
            self.spans.append((self.since, time.time()))
            self.since = None

    def were_between(self, begin, end):
        spans = self.spans + ([(self.since, end)] if self.since else [])
        return any(since <= end and begin <= until + LINGER_S for since, until in spans)


# What happens. Each leaves it as it was, but that daemons have lost what they had in memory.

def a_sweep(lab, chance):
    os.kill(lab.fabric.opensms[-1].pid, signal.SIGHUP)


def a_cable_flaps(lab, chance):
    port = chance.randrange(1, LEAVES + 1)
    lab.fabric.link("spine1", port, "down")
    lab.fabric.link("spine1", port, "up")


def opensm_is_killed(lab, chance):
    lab.deaths.happen(lab.fabric.opensms[-1].kill)
    lab.start_opensm(wait=False)


def smd_is_killed(lab, chance):
    lab.deaths.happen(lab.smd.kill)
    lab.start_smd()


def an_agent_is_killed(lab, chance):
    host = chance.choice(lab.hosts)
    lab.deaths.happen(lab.agents[host].kill)
    lab.start_agent(host)


UNREST = (a_sweep, a_sweep, a_cable_flaps, a_cable_flaps, opensm_is_killed, smd_is_killed, an_agent_is_killed)
