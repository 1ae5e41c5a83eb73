# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Who is killed in a migration, where, and how each comes back; and the load that must bear it.

Nobody is killed after a time. There are two kinds of place, both exact:

  before   the victim dies when tether-smd has entered the step and asked nobody yet. tether-smd stops itself there
           (TETHER_STOP_AT=smd-ask:STEP), the victim gets SIGKILL, tether-smd goes on. tether-smd itself dies there.
  after    the victim dies when it has done what the step asked of it and has not said so: it kills itself there
           (TETHER_DIE_AT). tether-smd: when it has asked. Only for those whom the step asks.

notifier/base/die_point.h has the places. Daemons are started again at once, as systemd would; a VM's processes are
not."""
import os
import signal
import stat

from lab.deadline import wait_until
from lab.ports import free_port, is_listening
from lab.system import DRIVER, START_S, System
from lab.workload import last_json

SOURCE, DESTINATION, PEER, NEXT = "hyp1", "hyp3", "hyp2", "hyp4"
# Who is killed is missed at once, or waited for until ATTACH's deadline: that is short, so that a table of victims takes
# minutes. The others bound the time in which a daemon is started again: without an agent for longer its programs are told
# of errors, and rightly so.
DEADLINES = {"prepare_ms": 8000, "stop_ms": 8000, "settle_ms": 8000, "lease_ms": 20000, "release_ms": 8000,
             "detach_ms": 8000, "move_ms": 8000, "guids_ms": 3000, "plan_ms": 4000, "sm_lease_ms": 9000,
             "apply_ms": 4000, "attach_ms": 4000, "reconnect_ms": 8000, "resume_ms": 8000, "overall_ms": 30000,
             "heartbeat_ms": 1000}
OVERALL_S = DEADLINES["overall_ms"] / 1000
GRACE_S = 3  # for programs to end and for daemons to say so, on a busy machine
PLACES = ("before", "after")

# The good road, and who has what to do there: the place at which it has done it.
STEPS = {
    "locating": {"OpenSM": "sm-answer:locate"},
    "preparing": {"source": "relay-answer:PREPARE", "peer": "relay-answer:PREPARE", "destination": "ordered:check",
                  "OpenSM": "sm-answer:plan", "process": "shim-end:PREPARE", "peer-process": "shim-end:PREPARE"},
    "stopping": {"source": "relay-answer:STOP", "peer": "relay-answer:STOP",
                 "process": "shim-end:STOP", "peer-process": "shim-end:STOP"},
    "settling": {"source": "relay-answer:SETTLE", "peer": "relay-answer:SETTLE",
                 "process": "shim-end:SETTLE", "peer-process": "shim-end:SETTLE"},
    "releasing": {"source": "relay-answer:RELEASE", "peer": "relay-answer:RELEASE",
                  "process": "shim-end:RELEASE", "peer-process": "shim-end:RELEASE"},
    "detaching": {"source": "ordered:detach"},
    "moving": {"source": "ordered:move"},
    "leasing": {"OpenSM": "sm-answer:lease"},
    "naming": {"destination": "ordered:set-guids"},
    "vacating": {"source": "ordered:set-guids"},
    "applying": {"OpenSM": "sm-answer:apply"},
    "unleasing": {"OpenSM": "sm-answer:release_lease"},
    "attaching": {"destination": "ordered:attach"},
    "rebuilding": {"destination": "relay-answer:ATTACH", "process": "shim-end:ATTACH"},
    "reconnecting": {"destination": "relay-answer:RECONNECT", "peer": "relay-answer:RECONNECT",
                     "process": "shim-end:RECONNECT", "peer-process": "shim-end:RECONNECT"},
    "resuming": {"destination": "relay-answer:RESUME", "peer": "relay-answer:RESUME",
                 "process": "shim-end:RESUME", "peer-process": "shim-end:RESUME"},
}
# With dynamic LIDs there are two more on it. What has been done before in the same words is counted.
COPY_STEPS = {
    "linking": {"destination": "ordered:set-guids:2"},
    "waking": {"OpenSM": "sm-answer:locate:2"},
}
ALL_STEPS = {**STEPS, **COPY_STEPS}
# An agent in a VM has to do what the VM's processes have: it hands it to them.
for _actors in STEPS.values():
    for _role, _process in (("guest", "process"), ("peer-guest", "peer-process")):
        if _process in _actors:
            _actors[_role] = _actors[_process].replace("shim-end", "relay-answer")


class KillLab(System):
    """A system of which parts are started with a place to die or to stop at."""

    def __init__(self, settings=None, **named):
        super().__init__(copy_ms=5, settings=settings or DEADLINES, **named)
        self.added = {}  # to the environment of what is started next
        self.armed = {}  # daemon: what is added to its first start's
        self.opensm_cache = self.path("opensm-cache")
        os.mkdir(self.opensm_cache)

    def environment(self, *arguments, **named):
        return {**super().environment(*arguments, **named), **self.added}

    def _start_armed(self, name, start, *arguments):
        self.added = self.armed.pop(name, {})
        try:
            start(*arguments)
        finally:
            self.added = {}

    def start_smd(self):
        self._start_armed("smd", super().start_smd)

    def start_agent(self, host):
        self._start_armed(host, super().start_agent, host)

    def start_guest(self, vm):
        self._start_armed(f"{vm}'s agent", super().start_guest, vm)

    def start_between(self, name):
        self._start_armed(name, super().start_between, name)

    def start_opensm(self, wait=True):
        """With what a killed one has left on the disk. Not waited for where a migration has to go on first."""
        self.fabric.opensm_start("sm", self.opensm_conf(),
                                 {"LD_LIBRARY_PATH": os.path.join(self.build.directory, "lib"),
                                  "OSM_CACHE_DIR": self.opensm_cache, **self.armed.pop("OpenSM", {})})
        if wait:
            self.fabric.opensm_wait_up(START_S)

    def restart_smd(self, env):
        """Told to end; the new one with @env."""
        self.smd.signal(signal.SIGTERM)
        self.smd.wait(START_S)
        self.armed["smd"] = env
        self.start_smd()

    def restart_opensm(self, env):
        """Killed; the new one with @env."""
        self.fabric.opensms[-1].kill()
        self.armed["OpenSM"] = env
        self.start_opensm()

    def migrations(self):
        return self.ask("/v1/migrations")["migrations"]

    def place_of(self, vm):
        """(host, slot) by tether-smd's inventory."""
        return next(((row["host"], row["slot"]) for row in self.ask("/v1/vms")["vms"] if row["name"] == vm), None)


class StubbornDriver:
    """Mixed into a lab: its driver does not attach at the host that a file names, so that there is a way back."""

    SCRIPT = """#!/bin/sh
if [ "$1" = attach ] && [ "$TETHER_HOST" = "$(cat "{failing}" 2>/dev/null)" ]; then
	echo "as asked" >&2
	exit 1
fi
exec {driver} "$@"
"""

    def __init__(self, **named):
        super().__init__(**named)
        self.failing, self.driver = self.path("attach-fails-at"), self.path("driver")
        with open(self.driver, "w") as script:
            script.write(self.SCRIPT.format(failing=self.failing, driver=DRIVER))
        os.chmod(self.driver, stat.S_IRWXU)

    def attach_fails_at(self, host):
        """None: nowhere."""
        with open(self.failing, "w") as file:
            file.write(host or "")


def start_migration(lab, vm, host):
    """Asked of the API without waiting for an answer: whoever gives it may die first."""
    return lab.children.start("tether-migrate", [lab.build.program("tether"), "--api", lab.api_socket, "migrate", vm,
                                                 host, "--json"], lab.environment())


class Load:
    """rc-verify in VM 1 and VM 2. Neither hears of the other's death but by its queue pairs (deaf_wire.py)."""

    WORK = ["-q", "4", "--depth", "16"]

    def __init__(self, lab, name="load", server_env=None, client_env=None):
        program = lab.build.program("rc-verify")
        wire = os.path.join(os.path.dirname(os.path.abspath(__file__)), "deaf_wire.py")
        ports = free_port(), free_port()
        self.server = lab.run_in_vm("vm2", f"{name}-peer", [program, "-p", str(ports[0])], env=server_env)
        wait_until("rc-verify listens", lambda: is_listening(ports[0]), START_S, [self.server.log], [self.server])
        self.wire = lab.children.start(f"{name}-wire", ["python3", wire, str(ports[1]), str(ports[0])])
        wait_until("the wire listens", lambda: is_listening(ports[1]), START_S, [self.wire.log], [self.wire])
        self.client = lab.run_in_vm("vm1", f"{name}-vm", [program, "-p", str(ports[1]), *self.WORK, "localhost"],
                                    env=client_env)
        wait_until("rc-verify works", self.is_working, START_S, self.logs(), [self.client])

    def is_working(self):
        return all(" done, " in open(log, errors="replace").read() for log in self.logs())

    def logs(self):
        return [self.server.log, self.client.log]

    def is_running(self):
        return self.server.poll() is None and self.client.poll() is None

    def stop(self):
        self.client.signal(signal.SIGTERM)

    def kill(self):
        for process in (self.server, self.client, self.wire):
            process.kill()


def verdict_of(process):
    return last_json(process.output())


def has_stopped(process):
    """Has it stopped itself? Asked of the kernel; True once."""
    return os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG) is not None


class Victim:
    """@name: in the table. @role: its name in STEPS."""

    is_process = False  # of a VM, so that nobody starts it again

    def __init__(self, name, role=None):
        self.name = name
        self.role = role or name

    def places(self, step):
        return PLACES if self.role in ALL_STEPS[step] else PLACES[:1]

    def arm(self, lab, step, place):
        """Before anything is started. Returns what is added to the environment of the processes in the VMs."""
        if place == "before":
            lab.armed["smd"] = {"TETHER_STOP_AT": f"smd-ask:{step}"}
        else:
            self.arm_own(lab, ALL_STEPS[step][self.role])

    def strike(self, lab, load, place):
        """Returns when it is dead."""
        if place == "before":
            wait_until("tether-smd has stopped at the step", lambda: has_stopped(lab.smd), START_S, lab.logs(),
                       [lab.smd])
            self.kill(lab, load)
            lab.smd.signal(signal.SIGCONT)
        else:
            process = self.process(lab, load)
            wait_until("the victim has died", lambda: process.poll() is not None, START_S, lab.logs())
            assert process.poll() == -signal.SIGKILL, f"{self.name} has ended with {process.poll()}"

    def kill(self, lab, load):
        self.process(lab, load).kill()

    def bring_back(self, lab):
        pass


class Agent(Victim):
    def __init__(self, role, host):
        super().__init__(f"{role} agent", role)
        self.host = host

    def arm_own(self, lab, place):
        lab.armed[self.host] = {"TETHER_DIE_AT": place}

    def process(self, lab, load):
        return lab.agents[self.host]

    def bring_back(self, lab):
        lab.start_agent(self.host)


class Guest(Victim):
    """The agent in a VM."""

    def __init__(self, name, role, vm):
        super().__init__(name, role)
        self.vm = vm

    def arm_own(self, lab, place):
        lab.armed[f"{self.vm}'s agent"] = {"TETHER_DIE_AT": place}

    def process(self, lab, load):
        return lab.guests[self.vm]

    def bring_back(self, lab):
        lab.start_guest(self.vm)


class Smd(Victim):
    def places(self, step):
        return PLACES

    def arm(self, lab, step, place):
        lab.armed["smd"] = {"TETHER_DIE_AT": f"{'smd-ask' if place == 'before' else 'smd-asked'}:{step}"}

    def strike(self, lab, load, place):
        super().strike(lab, load, "after")

    def process(self, lab, load):
        return lab.smd

    def bring_back(self, lab):
        lab.start_smd()


class OpenSm(Victim):
    def arm_own(self, lab, place):
        lab.armed[self.role] = {"TETHER_DIE_AT": place}

    def process(self, lab, load):
        return lab.fabric.opensms[-1].child

    def kill(self, lab, load):
        lab.fabric.opensms[-1].kill()

    def bring_back(self, lab):
        lab.start_opensm(wait=False)


class VmProcess(Victim):
    """The load's end in the VM that moves, or in the peer."""

    is_process = True

    def arm_own(self, lab, place):
        lab.armed[self.role] = {"TETHER_DIE_AT": place}

    def process(self, lab, load):
        return load.client if self.role == "process" else load.server

    def survivor(self, load):
        return load.server if self.role == "process" else load.client


VICTIMS = [Agent("source", SOURCE), Agent("destination", DESTINATION), Agent("peer", PEER), Smd("tether-smd"),
           OpenSm("OpenSM"), VmProcess("VM's process", "process"), VmProcess("peer's process", "peer-process")]
# Where each VM has an agent of its own.
GUESTS_VICTIMS = [Guest("VM's agent", "guest", "vm1"), Guest("peer's agent", "peer-guest", "vm2"), *VICTIMS[:3]]
