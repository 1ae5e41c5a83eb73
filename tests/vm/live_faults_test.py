#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What goes wrong in a real live migration: the VM goes on where it was, with its VF, nothing stays half attached, and the next
migration works."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.system import CommandFailed  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import last_json  # noqa: E402
from vm.system import MIGRATE_S, RcVerify, VmSystem  # noqa: E402

SLOW = 20 << 20  # bytes a second: so there is time to do something meanwhile
DETACH_MS = 4000
ATTACH_MS = 20000


class FaultyLab(VmSystem):
    broken = ""  # a host whose VFs are not there, though its settings say so

    def device(self, host, vf):
        said = super().device(host, vf)
        return said.replace(f"netdev={host}-{vf}", "netdev=nowhere") if host == self.broken else said

    def settings_anew(self):
        """What the settings of all hosts say, they are told."""
        for host in self.hosts:
            self.write_qmp(host)
            self.agents[host].signal(signal.SIGHUP)

    def other(self):
        """Where vm1 is not."""
        return "h2" if self.places["vm1"] == "h1" else "h1"

    def has_device(self, vm):
        machine = self.guests[vm].machine
        return "tether-vf0" in {row["name"] for row in machine.qmp.execute("qom-list", path="/machine/peripheral")}

    def said_of(self, host, answer):
        """What the log of @host's agent has of that migration."""
        with open(self.path(f"agent-{host}.log")) as log:
            return "".join(line for line in log if f"migration {answer['id']}/" in line)

    def agent_in_guest(self, vm, settings=""):
        """Another one in the place of that which runs."""
        guest = self.guests[vm]
        guest.agent.signal(signal.SIGTERM)
        guest.wait(guest.agent)
        self.start_guest_agent(vm, settings)
        self.wait_for_hosts()


class Migrating:
    """`tether migrate` of vm1 to the other host under way, and the QEMU that waits there (@at, else one as it has to be)."""

    def __init__(self, lab, at=None):
        self.lab = lab
        self.host = lab.other()
        self.at = at or lab.await_at("vm1", self.host)
        self.has_moved = False
        argv = [lab.build.program("tether"), "--api", lab.api_socket, "migrate", "vm1", self.host, "--json"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        if not self.has_moved:
            self.at.process.kill()

    def memory_is_on_its_way(self):
        """Some of it is there."""
        source = self.lab.guests["vm1"].machine.qmp

        def is_on_its_way():
            said = source.execute("query-migrate")
            return said.get("status") == "active" and said["ram"]["transferred"] > 1 << 20
        wait_until("the memory is on its way", is_on_its_way, 60, self.lab.logs())

    def fails(self, *texts):
        """Its answer; each of @texts is in what an operator reads."""
        out, errors = self.process.communicate(timeout=MIGRATE_S)
        assert self.process.returncode, f"it did not fail{self.lab.words()}"
        said = out + errors
        for text in texts:
            assert text in said, f"{text!r} is not in {said}{self.lab.words()}"
        return last_json(out)

    def moves(self):
        """All is there, and goes on."""
        guest = self.lab.guests["vm1"]
        expected = guest.expect_at(self.at)
        out, errors = self.process.communicate(timeout=MIGRATE_S)
        assert not self.process.returncode, f"{out}{errors}{self.lab.words()}"
        guest.is_at(expected)
        self.lab.places["vm1"] = self.host
        self.has_moved = True
        works(self.lab)


def works(lab, vm="vm1"):
    """Its VF does, and it can be reached."""
    guest, peer = lab.guests[vm], lab.guests["vm2"]
    device = guest.rdma_device(lab.mac(lab.places[vm], "vf0"))[1]
    peer_device = peer.rdma_device(lab.mac("h3", "vf0"))[1]
    server = peer.start(f"ibv_rc_pingpong -d {peer_device} -g 1 -n 50")
    peer.wait_listening(18515, server)
    guest.run(f"ibv_rc_pingpong -d {device} -g 1 -n 50 {lab.address('vm2')}")
    peer.wait(server)


def stays(lab):
    """Where it was, whole; nothing of it is elsewhere."""
    vm = next(row for row in lab.ask("/v1/vms")["vms"] if row["name"] == "vm1")
    home = lab.places["vm1"]
    assert vm["host"] == home, vm
    assert lab.has_device("vm1")
    hosts = {host["name"]: host for host in lab.ask("/v1/hypervisors")["hypervisors"]}
    held = {(name, slot["name"]): slot.get("vm") for name, host in hosts.items() for slot in host["slots"] if slot.get("vm")}
    assert held == {(home, "vf0"): "vm1", ("h3", "vf0"): "vm2"}, held
    works(lab)


def slowly(lab, bandwidth=SLOW):
    """From now on memory goes so fast."""
    lab.qmp_settings = {"max_bandwidth": bandwidth} if bandwidth else {}
    lab.settings_anew()


def cancelled(lab):
    with Migrating(lab) as migrating:
        migrating.memory_is_on_its_way()
        lab.guests["vm1"].machine.qmp.execute("migrate_cancel")
        # QEMU calls it cancelled, or failed where a write met the closed socket first.
        migrating.fails(f"does not move to {migrating.host}, and goes on here")
    stays(lab)


def destination_killed_in_the_middle(lab):
    with Migrating(lab) as migrating:
        migrating.memory_is_on_its_way()
        migrating.at.process.kill()
        migrating.fails(f"does not move to {migrating.host}, and goes on here")
    stays(lab)


def refused_for_its_memory(lab):
    """The QEMU there has another machine: it says so at the beginning."""
    shape, lab.shape = lab.shape, {**lab.shape, "memory_mib": 192}
    at = lab.await_at("vm1", "h2")
    lab.shape = shape
    with Migrating(lab, at) as migrating:
        migrating.fails(f"does not move to {migrating.host}, and goes on here")
    stays(lab)


def refused_at_the_very_end(lab):
    """It lacks a device, and finds out when all memory is there. Who did not wait for its word would have lost the VM."""
    qmp = lab.guests["vm1"].machine.qmp
    qmp.execute("device_add", driver="virtio-rng-pci", id="extra", bus="slot3")
    with Migrating(lab) as migrating:
        migrating.fails(f"does not move to {migrating.host}, and goes on here")
    qmp.execute("device_del", id="extra")
    qmp.wait_event("DEVICE_DELETED", device="extra")
    stays(lab)


def nobody_waits_there(lab):
    """Before anything is touched."""
    try:
        lab.tether("migrate", "vm1", "h2")
    except CommandFailed as failed:
        assert "no QEMU of VM vm1 is here" in str(failed), failed
    else:
        raise AssertionError("it has moved to nowhere")
    stays(lab)


def device_held_without_the_shim(lab):
    """Vetoed by pid and name: the unplug is never asked for."""
    guest = lab.guests["vm1"]
    device = guest.rdma_device(lab.mac("h1", "vf0"))[1]
    holder = guest.start(f"exec ibv_rc_pingpong -d {device} -g 1")
    guest.wait_listening(18515, holder)
    with Migrating(lab) as migrating:
        answer = migrating.fails("veto-device-held")
    pid = guest.run("pidof ibv_rc_pingpong").strip()
    assert f"vm1/{pid} ibv_rc_pingpong" in json.dumps(answer), answer
    assert "device_del" not in lab.said_of("h1", answer)
    holder.signal(signal.SIGKILL)
    guest.wait(holder)
    stays(lab)


def unplug_timed_out(lab):
    """The agent in the VM does not see who holds the device: the guest's kernel waits for him. The VM goes on, and has its VF back when
    he has ended at last."""
    guest = lab.guests["vm1"]
    lab.agent_in_guest("vm1", "devices = none\n")
    device = guest.rdma_device(lab.mac("h1", "vf0"))[1]
    holder = guest.start(f"exec ibv_rc_pingpong -d {device} -g 1")
    guest.wait_listening(18515, holder)
    with Migrating(lab) as migrating:
        answer = migrating.fails("driver-timeout", "VM vm1 does not let go of device tether-vf0")
    assert "device_del" in lab.said_of("h1", answer)
    qmp = guest.machine.qmp
    qmp.has_event("")
    qmp.events.clear()
    assert lab.has_device("vm1"), "it was let go of in spite of who held it"
    holder.signal(signal.SIGKILL)
    qmp.wait_event("DEVICE_DELETED", device="tether-vf0")
    wait_until("the device is back", lambda: lab.has_device("vm1"), 60, lab.logs())
    lab.agent_in_guest("vm1")
    stays(lab)


def agent_killed_at(side, place):
    """At @place of the order, by itself; it is started again, and the migration goes on."""
    def killed(lab):
        source = lab.places["vm1"]
        host = lab.other() if side == "destination" else source
        lab.agents[host].signal(signal.SIGTERM)
        lab.agents[host].wait(60)
        lab.start_agent(host, {"TETHER_DIE_AT": place})
        lab.wait_for_hosts()
        with Migrating(lab) as migrating:
            lab.agents[host].wait(120)
            lab.start_agent(host)
            migrating.moves()
    return killed


def source_agent_killed_in_the_middle(lab):
    """QEMU goes on with what nobody looks at; the next agent finds it."""
    source = lab.places["vm1"]
    slowly(lab)
    with Migrating(lab) as migrating:
        migrating.memory_is_on_its_way()
        lab.agents[source].kill()
        lab.start_agent(source)
        migrating.moves()
    slowly(lab, 0)


def programs_live_through_it(lab):
    """Given up twice after the unplug, each in another way, and moved at last: nothing is lost, and nobody notices."""
    pair = RcVerify(lab, "vm2", "vm1", ("-q", "2"))
    for case in (cancelled, destination_killed_in_the_middle):
        case(lab)
        assert pair.is_running(), pair.words()
    with Migrating(lab) as migrating:
        migrating.moves()
    pair.end_exactly()


def no_device_at_the_destination(lab):
    """The VM has come and cannot go back: nobody waits for it there. Programs are told by their verbs, and it can have a VF when there
    is one."""
    host = lab.other()
    pair = RcVerify(lab, "vm2", "vm1", ("-q", "2"))
    lab.broken = host
    lab.settings_anew()
    with Migrating(lab) as migrating:
        guest = lab.guests["vm1"]
        expected = guest.expect_at(migrating.at)
        migrating.fails("does not get device tether-vf0")
        guest.is_at(expected)
        migrating.has_moved = True
    lab.places["vm1"] = host
    vm = next(row for row in lab.ask("/v1/vms")["vms"] if row["name"] == "vm1")
    assert vm["host"] == host and not vm["slot"], vm
    assert all(pair.wait()), f"a program whose connections are lost has not failed{pair.words()}"
    lab.broken = ""
    lab.settings_anew()
    lab.tether("migrate", "vm1", host)
    works(lab)


STAYS = (refused_at_the_very_end, nobody_waits_there, device_held_without_the_shim, unplug_timed_out)
MOVES = {
    "source agent killed in the middle": source_agent_killed_in_the_middle,
    "source agent killed when its QEMU has gone": agent_killed_at("source", "ordered:move"),
    "destination agent killed when the device has come": agent_killed_at("destination", "ordered:attach"),
}
if FULL:
    STAYS += (cancelled, destination_killed_in_the_middle, refused_for_its_memory)
    MOVES["source agent killed before the move"] = agent_killed_at("source", "order:move")
    MOVES["destination agent killed before the device comes"] = agent_killed_at("destination", "order:attach")


def next_migration_works(lab):
    with Migrating(lab) as migrating:
        migrating.moves()


def main():
    tap = Tap()
    with FaultyLab(settings={"detach_ms": DETACH_MS, "attach_ms": ATTACH_MS}) as lab:
        lab.start(("vm1", "h1"), ("vm2", "h3"))
        slowly(lab)
        for case in STAYS:
            tap.run(case.__name__.replace("_", " "), case, lab)
        slowly(lab, 0)
        tap.run("the next migration works", next_migration_works, lab)
        for what, case in MOVES.items():
            tap.run(what, case, lab)
        slowly(lab)
        tap.run("programs live through failures and a move", programs_live_through_it, lab)
        slowly(lab, 0)
        tap.run("no device at the destination", no_device_at_the_destination, lab)
    tap.exit()


main()
