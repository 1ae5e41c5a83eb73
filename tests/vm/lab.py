# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""QEMU guests on one link.

    with VmLab() as lab:
        one, other = lab.boot("one", "other")
        one.run("ib_send_lat ...")

Everything is in one temporary folder, kept when TETHER_KEEP is set; every QEMU ends with the lab, however the test ends. Use it from
the main thread only: children die with the thread that started them."""
import fcntl
import os
import shutil
import subprocess
import tempfile

from lab.build import Build
from lab.process import Children
from vm.guest import Guest, GuestFailed
from vm.image import Image
from vm.kernel import Kernel
from vm.link import Link
from vm.machine import Machine, nic


def prepare(build, report=lambda what: None):
    """(kernel, path of the initramfs), made where they are missing; one at a time."""
    directory = os.path.join(build.directory, "vm")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = Kernel(directory)
        kernel.fetch(report)
        return kernel, Image(build, kernel).make(report)


class VmLab:
    def __init__(self):
        self.build = Build()
        self.kernel, self.image = prepare(self.build)
        self.tsc_khz = subprocess.run([self.build.program("vm-tsc")], capture_output=True, text=True, check=True).stdout.strip()
        self.directory = tempfile.mkdtemp(prefix="tether-vm-")
        self.children = Children(self.directory)
        self.machines = []
        self.link = Link(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if not kind:
                self.check_machines()
        finally:
            self.take_down()

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def machine(self, name, **named):
        """See Machine; the guest in it is Guest(machine)."""
        made = Machine(self, name, **named)
        self.machines.append(made)
        return made

    def boot(self, *names, **named):
        """A guest for each name, with a NIC each (MACs mac(1), mac(2), ..., slot 0), booting side by side."""
        machines = [self.machine(name, nics=[nic(mac(number))], **named) for number, name in enumerate(names, 1)]
        return [Guest(machine) for machine in machines]

    def check_machines(self):
        """A kernel that panicked after its last command is a failure, too."""
        for machine in self.machines:
            why = machine.why_dead()
            if why and machine.poll() is None:
                raise GuestFailed(why + machine.console_end())

    def take_down(self):
        for process in self.children.processes:
            process.kill()
        if not os.environ.get("TETHER_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)


def mac(number):
    """The keeper gives it the address address(number)."""
    return f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"


def mac_that_stays(number):
    """Of a NIC without an rxe device; the keeper gives it the address address_that_stays(number)."""
    return f"52:54:01:00:{number >> 8:02x}:{number & 255:02x}"


def address_that_stays(number):
    return f"10.78.{number >> 8}.{number & 255}"


def link_local(of_mac):
    """The IPv6 address, and GID 0, that comes of a MAC (RFC 4291, appendix A)."""
    first, *rest = (int(part, 16) for part in of_mac.split(":"))
    words = [first ^ 2, *rest[:2], 0xff, 0xfe, *rest[2:]]
    return "fe80::" + ":".join(f"{high << 8 | low:x}" for high, low in zip(words[::2], words[1::2]))


def address(number):
    return f"10.77.{number >> 8}.{number & 255}"
