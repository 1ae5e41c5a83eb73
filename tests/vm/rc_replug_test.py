#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A NIC is taken from a guest and another one given to it, again and again, under programs that use it: the guest's kernel has another
device each time, the programs the one that they opened."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from vm.system import RcVerify, VmSystem  # noqa: E402

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "replug_driver")
SERVERS = ("h1", "h2")
CYCLES = 20 if os.environ.get("TETHER_FULL") else 3
WORK = ("-q", "8", "--stall", "120")
SLOT = "vf0"


class ReplugLab(VmSystem):
    """vm1's QEMU has the NICs of both servers that it is taken to be moved between, one at a time."""

    def netdevs(self, host):
        return [word for each in (SERVERS if host in SERVERS else (host,)) for word in super(ReplugLab, self).netdevs(each)]

    def driver_of(self, host):
        return f"exec:{DRIVER}" if host in SERVERS else super().driver_of(host)

    def start_agent(self, host, env=None):
        super().start_agent(host, {"REPLUG": self.path("replug"), **(env or {})})

    def start(self, *places):
        machine = self.path("vm1-h1")
        write_json(self.path("replug"), {
            "vms": {"vm1": {"qmp": f"{machine}.driver", "guest": f"virtio:{machine}.agent"}},
            "slots": {host: {SLOT: {"mac": self.mac(host, SLOT), "device": self.properties(host)}} for host in SERVERS}})
        with open(self.path("replug.vm1"), "w") as at:
            at.write("h1")
        return super().start(*places)

    def properties(self, host):
        driver, *rest = self.device(host, SLOT).split(",")
        return {"driver": driver, **dict(word.split("=", 1) for word in rest)}

    def replug(self):
        """(what `tether migrate` says, the device that vm1 has now)."""
        host = next(other for other in SERVERS if other != self.places["vm1"])
        answer = self.tether("migrate", "vm1", host)
        self.places["vm1"] = host
        return answer, self.device_of_vm()

    def device_of_vm(self):
        """(name, GUID, MAC)"""
        guest, mac = self.guests["vm1"], self.mac(self.places["vm1"], SLOT)
        name = guest.rdma_device(mac)[1]
        return name, guest.run(f"cat /sys/class/infiniband/{name}/node_guid").strip(), mac


def write_json(path, what):
    with open(path, "w") as out:
        json.dump(what, out)


def released_before_it_was_asked_for(lab, answer):
    """The agent's word that all programs have let go is older than the first word to QEMU."""
    with open(lab.path("agent-h1.log")) as log, open(lab.path("agent-h2.log")) as other:
        said = [line for line in [*log, *other] if f"migration {answer['id']}/" in line]
    released = [line.split(" ", 1)[0] for line in said if re.search(r"RELEASE\.\d+ DONE", line)]
    with open(lab.path("replug.log")) as log:
        asked = [line.split(" ", 1)[0] for line in log if line.endswith("device_del\n")]
    assert released, f"no RELEASE in {said}"
    assert max(released) < asked[-1], (released, asked)


def cycles(tap, lab):
    programs = RcVerify(lab, "vm2", "vm1", WORK)
    devices = [lab.device_of_vm()]

    def goes_on():
        for _ in range(CYCLES):
            answer, device = lab.replug()
            released_before_it_was_asked_for(lab, answer)
            for what, before, now in zip(("name", "GUID", "MAC"), devices[-1], device):
                assert before != now, f"the same {what}: {now}"
            devices.append(device)
            programs.wait_progress()

    tap.run(f"a NIC is taken and another given {CYCLES} times, each after all have let go of it", goes_on)
    tap.run("8 queue pairs have lost, repeated and changed nothing", programs.end_exactly)


def main():
    tap = Tap()
    with ReplugLab(vfs=(SLOT,)) as lab:
        lab.start(("vm1", "h1"), ("vm2", "h3"))
        cycles(tap, lab)
    tap.exit()


main()
