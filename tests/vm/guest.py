# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A guest: what runs in a machine, and goes on in another when it has moved."""
import base64
import shlex
import time

from vm.channel import Channel

RUN_S = 120
BOOT_S = 120
CHUNK = 60000


class GuestFailed(Exception):
    """Its kernel panicked, its QEMU has ended, or it did not answer; the message ends with the end of its console."""


class CommandFailed(Exception):
    def __init__(self, guest, command):
        super().__init__(f"{guest.name}: {command.text!r} has ended with {command.status}\n{command.output()}")
        self.status = command.status


class Guest:
    def __init__(self, machine, seconds=BOOT_S):
        """@machine boots. Returns when commands can be run."""
        self.name = machine.name
        self.machine = machine
        self.channel = Channel()
        self.channel.use(self.channel.connect(machine.socket("run"), alive=[machine]))
        self.run("true", seconds)

    def start(self, text):
        """A shell command that goes on by itself."""
        try:
            return self.channel.start(text)
        except OSError as error:
            raise GuestFailed(f"{self.machine.why_dead() or error}{self.machine.console_end()}") from None

    def wait(self, command, seconds=RUN_S):
        """Its exit status, as a shell has it. @seconds only bound what hangs."""
        self._wait(lambda: command.status is not None, f"{command.text!r} has not ended", command, seconds)
        return command.status

    def wait_said(self, command, text, seconds=RUN_S):
        """Until its output has @text in it."""
        self._wait(lambda: text in command.output(), f"{command.text!r} has not said {text!r}", command, seconds)

    def _wait(self, is_true, what, command, seconds):
        end = time.monotonic() + seconds
        with self.channel.changed:
            while not is_true():
                why = self.machine.why_dead()
                if not why and time.monotonic() > end:
                    why = f"{self.name}: {what} within {seconds} s; it has said\n{command.output()[-2000:]}"
                if not why and command.status is not None:
                    raise CommandFailed(self, command)
                if why:
                    raise GuestFailed(why + self.machine.console_end())
                self.channel.changed.wait(0.1)

    def try_run(self, text, seconds=RUN_S):
        """(exit status, output and errors)."""
        command = self.start(text)
        return self.wait(command, seconds), command.output()

    def run(self, text, seconds=RUN_S):
        """Its output and errors; CommandFailed unless it ends with 0."""
        command = self.start(text)
        if self.wait(command, seconds):
            raise CommandFailed(self, command)
        return command.output()

    def put(self, path, content, mode=0o644):
        """A file in the guest."""
        data = base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()
        where = shlex.quote(path)
        self.run(f": >{where} && chmod {mode:o} {where}")
        for at in range(0, len(data), CHUNK):
            self.run(f"echo {data[at:at + CHUNK]} | base64 -d >>{where}")

    def wait_listening(self, port, command):
        """Until somebody listens at that TCP port: @command, which is not to end meanwhile."""
        waiter = self.start(f"until grep -q ':{port:04X} [0-9A-F:]* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done")
        self._wait(lambda: waiter.status is not None or command.status is not None, f"nobody listens at {port}", command, RUN_S)
        if command.status is not None:
            raise CommandFailed(self, command)

    def use_address(self, mac, address):
        """What the keeper gives to the NIC with that MAC when it comes."""
        self.put(f"/run/lab/addresses/{mac}", address + "\n")

    def rdma_device(self, mac, seconds=RUN_S):
        """(interface, rxe device, address) of the NIC with that MAC, when all of it can be used."""
        return tuple(self.run(f"until cat /run/lab/up/{mac} 2>/dev/null; do sleep 0.02; done", seconds).split())

    def expect_at(self, machine):
        """Before the guest moves there: the port is open at once when it comes."""
        return machine, self.channel.connect(machine.socket("run"), alive=[machine])

    def is_at(self, expected):
        """It has moved, and QEMU has ended where it was."""
        self.machine, fresh = expected
        self.channel.use(fresh)
