# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A tether system of which some programs are of the version before: daemons by their names ("smd", "OpenSM", a host, an agent
between), the agent in a VM as "VM's agent", a VM's programs by the VM's name.

TETHER_OLDER_BUILD names a folder where such a version was built, and those are run; without it this build speaks as one
did (TETHER_PROTOCOL)."""
import contextlib
import os
import signal

from faults import wire
from lab.build import Build
from lab.deadline import wait_until
from lab.system import START_S, System

OLDEST, NEWEST = (wire.SCHEMA.enums["Protocol"][name] for name in ("PROTOCOL_OLDEST", "PROTOCOL_VERSION"))
END_S = 30


class Fleet(System):
    def __init__(self, older=(), **named):
        self.older, self.extra = set(older), {}
        self.pretended = {}  # {who: version}, any
        super().__init__(**named)

    @contextlib.contextmanager
    def being(self, who):
        """What is started meanwhile is @who's."""
        new, older_build = self.build, os.environ.get("TETHER_OLDER_BUILD")
        if who in self.pretended:
            self.extra = {"TETHER_PROTOCOL": str(self.pretended[who])}
        elif who in self.older and older_build:
            self.build = Build(older_build)
        elif who in self.older:
            self.extra = {"TETHER_PROTOCOL": str(OLDEST)}
        try:
            yield
        finally:
            self.build, self.extra = new, {}

    def environment(self, **named):
        return {**super().environment(**named), **self.extra}

    def start_smd(self):
        with self.being("smd"):
            super().start_smd()

    def start_opensm(self):
        with self.being("OpenSM"):
            self.fabric.opensm_start("sm", self.opensm_conf(), {
                "LD_LIBRARY_PATH": os.path.join(self.build.directory, "lib"),
                **self.checker.environment_of_stock_program(), **self.extra})
        self.fabric.opensm_wait_up(START_S)

    def start_between(self, name):
        with self.being(name):
            super().start_between(name)

    def start_agent(self, host):
        with self.being(host):
            super().start_agent(host)

    def start_guest(self, vm, env=None):
        with self.being(f"{vm}'s agent"):
            super().start_guest(vm, env)

    def run_in_vm(self, vm, name, argv, tether=True, env=None):
        with self.being(vm):
            return super().run_in_vm(vm, name, argv, tether, env)

    # One program after the other.

    def end(self, process):
        process.signal(signal.SIGTERM)
        process.wait(END_S)

    def start_again(self, who):
        """The daemon @who, as the version that it is of now."""
        if who == "smd":
            self.end(self.smd)
            self.start_smd()
        elif who == "OpenSM":
            self.fabric.opensm_stop()
            self.start_opensm()
        elif who.endswith("'s agent"):
            self.end(self.guests[who[:-len("'s agent")]])
            self.start_guest(who[:-len("'s agent")])
        else:
            self.end(self.agents[who])
            (self.start_between if who in self.between else self.start_agent)(who)

    def turn(self, who):
        """To the other version."""
        self.older ^= {who}
        if who not in self.vms:
            self.start_again(who)

    # What is spoken.

    def spoken(self):
        """{agent or "VM's agent": its newest version, VM: the one spoken with its programs}, as tether-smd is told."""
        said = {}
        for agent in self.tether("agents")["agents"]:
            if not (agent["connected"] and agent["answered"]):
                continue
            said[agent["name"] + "'s agent" * (agent["role"] == "guest")] = agent.get("protocol", OLDEST)
            for vm in agent["vms"]:
                if vm["processes"]:
                    said[vm["name"]] = vm.get("protocol", OLDEST)
        return said

    def expected(self):
        """The same, by who is of which version and where the VMs are."""
        version = {True: NEWEST, False: OLDEST}
        said = {name: version[name not in self.older] for name in self.agents}
        for vm, slot in {row["vm"]: row["slot"] for row in self.fabric.slots() if row["vm"] in self.vms}.items():
            agent = f"{vm}'s agent" if self.has_guests else slot.rsplit("_", 1)[0]
            if self.has_guests:
                said[agent] = version[agent not in self.older]
            said[vm] = version[not self.older & {agent, vm}]
        return said

    def wait_together(self):
        """All are connected, with one program in each VM at least."""
        self.wait_connected(self.hosts)
        wait_until(f"all speak what they are to: {self.expected()}", lambda: self.spoken() == self.expected(), START_S, self.logs())
