# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Many tether-agents on one machine, the SM's end above them and the VMs' ends below. Each agent is a process of its own, as
its configuration file says; the VMs' ends share a few. State is kept in memory where there is such a place: so many servers
have one disk here."""
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


class SignallingLab:
    def __init__(self, build, servers, vms, some, heartbeat_ms, tls):
        self.build, self.servers, self.vms, self.some, self.heartbeat_ms = build, servers, vms, some, heartbeat_ms
        self.tls = tls
        self.directory = tempfile.mkdtemp(prefix="tether-signalling.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.address = self.address_make("sm")
        self.agents, self.ends, self.sm, self.epoch = [], [], None, 1

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        statuses = [tool.end() for tool in [*self.ends, self.sm] if tool]
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

    def sm_start(self, mode):
        self.sm = Tool([self.build.program("signalling_sm"), mode, self.address, str(self.heartbeat_ms), str(self.epoch),
                        *self._files("sm/bench")], self.path("sm.log"))
        assert self.sm.answer() == {"listening": True}

    def sm_stop(self):
        assert self.sm.end() == 0
        self.sm = None

    def event(self, step, migration, sequence, lid):
        return self.sm.ask(f"event {step} {migration} {self.epoch} {sequence} {lid}")

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

    def ends_start(self, address=None):
        """Below their agents, or all at @address: then those of a server share a process, since there each server is woken, too."""
        programs = self.servers if address else min(END_PROCESSES, self.servers)
        argv = [self.build.program("signalling_ends"), *(self._files("host/vms") if address else [])]
        self.ends = [Tool(argv, self.path("ends.log")) for _ in range(programs)]
        for server in range(self.servers):
            for vm in range(self.vms):
                name = self._vm(server, vm)
                at = address or f"unix:{self.path(self._host(server), 'vms', name + '.sock')}"
                self.ends[server % programs].tell(f"{at} {name} {self._lids(server)}")
        for end in self.ends:
            end.tell("go")
        ready = sum(end.answer()["ready"] for end in self.ends)
        assert ready == self.servers * self.vms, ready

    def ends_stop(self):
        for end in self.ends:
            assert end.end() == 0
        self.ends = []

    def delivered(self):
        """(all since the last time, the least and the most that one end got)"""
        counts = [end.ask("count") for end in self.ends]
        got = [count for count in counts if count["deliveries"]]
        return (sum(count["deliveries"] for count in counts), min((count["least"] for count in got), default=0),
                max(count["most"] for count in counts))
