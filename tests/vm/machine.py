# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""One QEMU process. It may be where a guest boots, where one is restored, or where one comes to."""
import json
import os
import re

from lab.deadline import tail
from vm.qmp import Qmp, QmpError

# Under TCG, which is all that there is on a machine without nested virtualization. Guests on one CPU model can move between all.
QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35",
        "-accel", "tcg,thread=multi", "-cpu", "max"]
# The clock is right whatever the machine does meanwhile: see vm-tsc.
KERNEL_SAYS = "console=ttyS0 quiet panic=-1 oops=panic tsc=reliable"
SLOTS = 4
RUNNER_PORT, AGENT_PORT = "tether.lab.0", "org.tether.agent.0"
PANIC = re.compile(r"Kernel panic|\bOops\b|BUG: ")


def nic(mac, slot=0):
    """A NIC for Machine(nics=...) and plug()."""
    return {"mac": mac, "slot": slot}


class Machine:
    """Sockets, all in the lab's folder: NAME.qmp is ours (`qmp`), NAME.driver for a driver's monitor, NAME.run for what the lab asks
    for in the guest, NAME.agent the host's end of the guest's virtio-serial port org.tether.agent.0. NAME.console is what the guest
    says on its serial line.

    @incoming: where its guest comes from, as QEMU's -incoming says it ("unix:PATH", "exec:cat FILE", "defer"); without, it boots.
    Each NIC of @nics (nic()) is in a slot, a PCIe root port, of its own: 0 to SLOTS - 1. A guest can come only to a machine with the
    same memory_mib, cpus, NICs and @stays as where it was. @stays: the MAC of a NIC that stays with the guest, also through a move, and
    has no rxe device (mac_that_stays). @arguments: more of QEMU's."""

    def __init__(self, lab, name, memory_mib=256, cpus=1, nics=(), incoming=None, link=None, stays=None, arguments=()):
        self.lab = lab
        self.name = name
        self.link = link or lab.link
        self.console = lab.path(f"{name}.console")
        self.plugged = 0
        argv = [*QEMU, "-m", str(memory_mib), "-smp", str(cpus), *self._kernel(name), *self._ports()]
        if stays:
            argv += self._staying_nic(stays)
        for each in nics:
            argv += self._nic_arguments(each)
        argv += arguments
        if incoming:
            argv += ["-incoming", incoming]
        self.process = lab.children.start(name, argv)
        self.qmp = Qmp(self.socket("qmp"), alive=[self.process])

    def socket(self, what):
        return self.lab.path(f"{self.name}.{what}")

    def _kernel(self, name):
        said = f"{KERNEL_SAYS} tsc_early_khz={self.lab.tsc_khz} name={name}"
        return ["-kernel", self.lab.kernel.vmlinux, "-initrd", self.lab.image, "-append", said, "-serial", f"file:{self.console}"]

    def _ports(self):
        argv = []
        for name in ("qmp", "driver"):
            argv += ["-qmp", f"unix:{self.socket(name)},server=on,wait=off"]
        for slot in range(SLOTS):
            argv += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot + 1},slot={slot + 1}"]
        argv += ["-device", "vmgenid,guid=auto", "-device", "virtio-serial-pci,id=serial"]
        for name, number, port in (("run", 1, RUNNER_PORT), ("agent", 2, AGENT_PORT)):
            argv += ["-chardev", f"socket,id={name},path={self.socket(name)},server=on,wait=off",
                     "-device", f"virtserialport,bus=serial.0,nr={number},chardev={name},name={port}"]
        return argv

    def _staying_nic(self, mac):
        device = {"driver": "virtio-net-pci", "id": "stays", "netdev": "stays", "mac": mac, "bus": "pcie.0", "addr": "0x10", "romfile": ""}
        return ["-netdev", json.dumps(self.link.netdev("stays")), "-device", json.dumps(device)]

    def _nic_arguments(self, each):
        netdev, device = self._new_nic(each)
        return ["-netdev", json.dumps(netdev), "-device", json.dumps(device)]

    def _new_nic(self, each):
        self.plugged += 1
        netdev = f"net{self.plugged}"
        device = {"driver": "virtio-net-pci", "id": f"nic{each['slot']}", "netdev": netdev, "mac": each["mac"],
                  "bus": f"slot{each['slot']}", "romfile": ""}
        return self.link.netdev(netdev), device

    def plug(self, each):
        """The guest's keeper takes it up; see Guest.rdma_device. The device is called nicSLOT."""
        netdev, device = self._new_nic(each)
        self.qmp.execute("netdev_add", **netdev)
        self.qmp.execute("device_add", **device)

    def ask_unplug(self, slot=0):
        """DEVICE_DELETED comes when the guest has let go of it: qmp.wait_event("DEVICE_DELETED", device=f"nic{slot}")."""
        self.qmp.execute("device_del", id=f"nic{slot}")

    def poll(self):
        return self.process.poll()

    def console_end(self):
        return f"\n==> {self.name}'s console <==\n{tail(self.console, 4000)}\n==> {self.name}'s QEMU <==\n{tail(self.process.log)}"

    def why_dead(self):
        """"" while nothing is known against it."""
        with open(self.console, errors="replace") as console:
            said = PANIC.search(console.read()) if os.path.exists(self.console) else None
        if said:
            return f"{self.name}: its kernel says {said.group(0)!r}"
        if self.poll() is not None:
            return f"{self.name}: QEMU has ended with {self.poll()}"
        return ""

    def quit(self):
        try:
            self.qmp.execute("quit")
        except (EOFError, OSError, QmpError):
            pass
        self.process.wait(30)
