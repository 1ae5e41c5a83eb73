# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Many tether-agents on one machine, the SM's end above them and the VMs' ends below. Each agent is a process of its own, as
its configuration file says; the VMs' ends share a few, and those with links of their own have a thread each. State is kept in
memory where there is such a place: so many servers have one disk here."""
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from lab.authority import Authority
from lab.ports import free_port
from lab.process import _die_with_parent

EVERYBODY, SOME = 1001, 1002  # LIDs that all VMs, and those of the first servers, talk to
END_PROCESSES = os.cpu_count() or 1
AT_ONCE = 8  # programs that connect: who accepts has handshakes with so many only
PATIENCE_S = 600
DRIVER = '#!/bin/sh\nexec cat "${0%/*}/$TETHER_HOST/inventory.json"\n'


class Tool:
    """A program that is told lines and answers with one JSON object a line."""

    def __init__(self, argv, log):
        with open(log, "ab") as errors:
            self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                          preexec_fn=_die_with_parent)
        self.argv, self.log, self.read = argv, log, b""

    def tell(self, *lines):
        self.child.stdin.write("".join(line + "\n" for line in lines).encode())
        self.child.stdin.flush()

    def answer(self, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        readable = select.poll()
        readable.register(self.child.stdout, select.POLLIN)
        while b"\n" not in self.read:
            if not readable.poll(1000 * max(0, end - time.monotonic())):
                raise AssertionError(f"{' '.join(self.argv)} says nothing within {seconds} s")
            more = os.read(self.child.stdout.fileno(), 65536)
            if not more:
                with open(self.log) as file:
                    raise AssertionError(f"{' '.join(self.argv)} has ended: {self.child.wait()} {file.read()[-2000:]}")
            self.read += more
        line, self.read = self.read.split(b"\n", 1)
        answer = json.loads(line)
        assert "error" not in answer, answer
        return answer

    def ask(self, line, seconds=PATIENCE_S):
        self.tell(line)
        return self.answer(seconds)

    def end(self):
        """Its exit status."""
        self.child.stdin.close()
        try:
            return self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


class Way:
    """An SM's end, and the VMs' ends that it tells: through the agents, or by a link to each."""

    def __init__(self):
        self.sm, self.ends = None, []

    def tools(self):
        return [tool for tool in (*self.ends, self.sm) if tool]

    def event(self, step, migration, epoch, sequence, lid):
        return self.sm.ask(f"event {step} {migration} {epoch} {sequence} {lid}")

    def delivered(self):
        """(all since the last time, the least and the most that one end got)"""
        counts = [end.ask("count") for end in self.ends]
        got = [count for count in counts if count["deliveries"]]
        return (sum(count["deliveries"] for count in counts), min((count["least"] for count in got), default=0),
                max(count["most"] for count in counts))


class SignallingLab:
    def __init__(self, build, servers, vms, some, heartbeat_ms, tls):
        self.build, self.servers, self.vms, self.some, self.heartbeat_ms = build, servers, vms, some, heartbeat_ms
        self.tls = tls
        self.directory = tempfile.mkdtemp(prefix="tether-signalling.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.address = self.address_make("sm")
        self.agents, self.epoch = [], 1
        self.behind, self.direct = Way(), Way()

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        statuses = [tool.end() for way in (self.behind, self.direct) for tool in way.tools()]
        statuses += self.agents_stop()
        shutil.rmtree(self.directory)
        assert kind or not any(statuses), f"exit statuses: {statuses}"

    def address_make(self, name):
        return f"tls:127.0.0.1:{free_port()}" if self.tls else f"unix:{self.path(name + '.sock')}"

    # ---- certificates ----

    def certificates_make(self):
        if self.tls:
            self.authority = Authority(self.build.program("tether"), self.path("ca"), "sm/bench", "host/vms",
                                       *(f"host/{self._host(number)}" for number in range(self.servers)))

    def _certificate(self, who):
        return self.authority.settings(who) if self.tls else {}

    def _files(self, who):
        return list(self._certificate(who).values())

    # ---- the SM's end ----

    def _sm_start(self, mode, address):
        sm = Tool([self.build.program("signalling_sm"), mode, address, str(self.heartbeat_ms), str(self.epoch),
                   *self._files("sm/bench")], self.path("sm.log"))
        assert sm.answer() == {"listening": True}
        return sm

    def sm_start(self, mode):
        """Above the agents."""
        self.behind.sm = self._sm_start(mode, self.address)

    def sm_stop(self):
        assert self.behind.sm.end() == 0
        self.behind.sm = None

    # ---- agents ----

    def _host(self, number):
        return f"h{number:04}"

    def _vm(self, server, vm):
        return f"{self._host(server)}-{vm:02}"

    def _write(self, path, text):
        with open(path, "w") as file:
            file.write(text)

    def _agent_prepare(self, number):
        host = self._host(number)
        for name in ("", "state", "vms"):
            os.mkdir(self.path(host, name))
        inventory = {"vms": [{"name": self._vm(number, vm), "slot": f"vf{vm}"} for vm in range(self.vms)],
                     "slots": [{"name": f"vf{vm}", "vm": self._vm(number, vm), "node_guid": hex((number << 16) + 2 * vm + 1),
                                "port_guid": hex((number << 16) + 2 * vm + 2), "switch_guid": hex(0x8000 + number),
                                "switch_port": vm + 2} for vm in range(self.vms)]}
        self._write(self.path(host, "inventory.json"), json.dumps(inventory))
        settings = {"role": "host", "name": host, "root": self.address, "driver": f"exec:{self.path('driver')}",
                    "state_dir": self.path(host, "state"), "socket_dir": self.path(host, "vms"),
                    "log": self.path(host, "log"), "heartbeat_ms": self.heartbeat_ms,
                    **self._certificate(f"host/{host}")}
        self._write(self.path(host, "agent.conf"), "".join(f"{key} = {value}\n" for key, value in settings.items()))

    def agents_start(self):
        self._write(self.path("driver"), DRIVER)
        os.chmod(self.path("driver"), 0o755)
        for number in range(self.servers):
            self._agent_prepare(number)
        for number in range(self.servers):
            self.agents.append(subprocess.Popen(
                [self.build.program("tether-agent"), "--config", self.path(self._host(number), "agent.conf")],
                stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent))

    def agents_stop(self):
        """Their exit statuses."""
        for agent in self.agents:
            agent.terminate()
        statuses = [agent.wait(60) for agent in self.agents]
        self.agents = []
        return statuses

    def pids(self):
        return [agent.pid for agent in self.agents]

    # ---- the VMs' ends ----

    def _lids(self, server):
        return f"{EVERYBODY} {SOME}" if server < self.some else f"{EVERYBODY}"

    def _ends_start(self, way, programs, argv, address_of):
        way.ends = [Tool(argv, self.path("ends.log")) for _ in range(programs)]
        for server in range(self.servers):
            for vm in range(self.vms):
                name = self._vm(server, vm)
                way.ends[server % programs].tell(f"{address_of(server, name)} {name} {self._lids(server)}")
        ready = 0
        for first in range(0, programs, AT_ONCE):
            some = way.ends[first:first + AT_ONCE]
            for end in some:
                end.tell("go")
            ready += sum(end.answer()["ready"] for end in some)
        assert ready == self.servers * self.vms, ready

    def ends_start(self):
        """Below their agents."""
        program = self.build.program("signalling_ends")
        self._ends_start(self.behind, min(END_PROCESSES, self.servers), [program, "together"],
                         lambda server, name: f"unix:{self.path(self._host(server), 'vms', name + '.sock')}")

    def direct_start(self):
        """Each VM at an SM's end itself. Each sleeps in a thread of its own, as each agent does in its process: on one machine
        who sends pays for waking who is sent to, and pays it alike for an agent and for a VM then."""
        address = self.address_make("direct")
        program = self.build.program("signalling_ends")
        self.direct.sm = self._sm_start("flat", address)
        self._ends_start(self.direct, self.servers, [program, "apart", *self._files("host/vms")], lambda server, name: address)
