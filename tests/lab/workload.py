# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Programs in VMs, always in pairs: a server in one, a client in the other. They meet over TCP on the loopback
interface; a simulated VM is a set of processes on this machine."""
import json

from lab.deadline import tails, wait_until
from lab.ports import free_port, is_listening

# perftest has one completion for so many messages and counts the last one of a queue pair as full.
CQ_MODERATION = 100
# What rc-verify may find.
FINDINGS = ("lost", "duplicated", "corrupted", "out_of_order", "errors")


class Pair:
    """Server and client of one program, started one after the other. As a context it kills what still runs at its end."""

    def __init__(self, system, name, server_vm, client_vm, server_argv, client_argv, port, tether=True, env=None):
        self.name = name
        self.server = system.run_in_vm(server_vm, f"{name}-server", server_argv, tether, env)
        wait_until(f"{name}: the server listens", lambda: is_listening(port), 20, [self.server.log], [self.server])
        self.client = system.run_in_vm(client_vm, f"{name}-client", client_argv, tether, env)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.kill()

    def kill(self):
        self.client.kill()
        self.server.kill()

    def is_running(self):
        return self.server.poll() is None and self.client.poll() is None

    def wait(self, seconds):
        """Exit statuses of server and client."""
        client = self.client.wait(seconds)
        return self.server.wait(20), client

    def logs(self):
        return [self.server.log, self.client.log]

    def words(self):
        """The ends of both logs, for a message."""
        return tails(self.logs())


def perftest(system, program, server_vm, client_vm, arguments=(), tether=True, env=None, name=None, launcher=()):
    """@program of Debian's perftest or ibv_rc_pingpong. perftest's -F: no complaint about the processor's frequency.
    @launcher: a command before it, such as `tether run --`."""
    port = free_port()
    argv = [*launcher, program, "-p", str(port), *arguments]
    if not program.startswith("ibv_"):
        argv.append("-F")
    return Pair(system, name or program, server_vm, client_vm, argv, argv + ["localhost"], port, tether, env)


def whole_count(count):
    """@count for perftest's -n, or a little less. With several queue pairs, and a count between, perftest may believe too
    early that all its messages are done: then it stops sending, and the other end waits, or it spins for ever; with libtether
    and without."""
    return count - count % CQ_MODERATION if count > CQ_MODERATION else count


class RcVerify(Pair):
    """rc-verify with the client in @client_vm; runs until stop()."""

    def __init__(self, system, server_vm, client_vm, arguments=(), tether=True, env=None, name="rc-verify",
                 server_arguments=()):
        port = free_port()
        program = [system.build.program("rc-verify"), "-p", str(port)]
        super().__init__(system, name, server_vm, client_vm, program + list(server_arguments),
                         program + [*arguments, "localhost"], port, tether, env)

    def is_working(self):
        """Has each side sent something?"""
        return all(" done, " in open(log, errors="replace").read() for log in self.logs())

    def stop(self):
        self.client.signal(15)

    def results(self, seconds=60):
        """The two verdicts after stop(): dictionaries of server and client."""
        self.wait(seconds)
        return tuple(last_json(process.output()) for process in (self.server, self.client))

    def end_exactly(self):
        """Stopped, nothing was lost, repeated or changed, and neither side met an error. The verdicts."""
        self.stop()
        verdicts = self.results()
        for verdict in verdicts:
            assert verdict.get("ok") and not any(verdict[name] for name in FINDINGS), f"{verdict}{self.words()}"
        return verdicts


class UdVerify(Pair):
    """ud-verify with the client in @client_vm, when both hear each other; runs until stop(). The VMs of @without_shim go
    without libtether."""

    def __init__(self, system, server_vm, client_vm, arguments=(), without_shim=()):
        self.name = "ud-verify"
        argv = [system.build.program("ud-verify"), "-p", str(free_port()), *arguments]
        self.server = system.run_in_vm(server_vm, "ud-verify-server", argv, server_vm not in without_shim)
        self.client = system.run_in_vm(client_vm, "ud-verify-client", [*argv, "localhost"], client_vm not in without_shim)
        wait_until("ud-verify works", self.is_working, 60, self.logs(), [self.server, self.client])

    def is_working(self):
        return all("ud-verify: works" in open(log, errors="replace").read() for log in self.logs())

    def stop(self):
        self.client.signal(15)

    def results(self, seconds=90):
        """As RcVerify."""
        self.wait(seconds)
        return tuple(last_json(process.output()) for process in (self.server, self.client))


class WindowVerify(Pair):
    """window-verify, both ends with windows of their own; runs until stop()."""

    def __init__(self, system, server_vm, client_vm, arguments=(), tether=True, env=None):
        port = free_port()
        argv = [system.build.program("window-verify"), "-p", str(port), *arguments]
        super().__init__(system, "window-verify", server_vm, client_vm, argv, [*argv, "localhost"], port, tether, env)
        wait_until("window-verify works", self.is_working, 60, self.logs(), [self.server, self.client])

    def is_working(self):
        return all("window-verify: works" in open(log, errors="replace").read() for log in self.logs())

    def stop(self):
        self.client.signal(15)

    def results(self, seconds=90):
        """As RcVerify."""
        self.wait(seconds)
        return tuple(last_json(process.output()) for process in (self.server, self.client))


def last_json(text):
    """The JSON object on the last line that holds one; {} if there is none."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return {}
