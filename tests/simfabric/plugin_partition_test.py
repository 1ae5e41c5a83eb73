#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM in a partition of its own and in one of its multicast groups moves: where it is now it hears its peer and its group
before any sweep, as it had not moved; who comes into its old slot hears and reaches neither. Packets show it, not tables.
Nothing waits for a loss: what comes next in order shows it."""
import errno
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import findings, gid, sets, shown  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402
from simfabric.verbs_peer import VerbsError, Peer  # noqa: E402

BLUE, DEFAULT = 0x8001, 0xffff
QKEY, MS = 0x1234, 20000
MGID = "ff12a01cfe80000000000000000000b1"
OLD, NEW, PEER = "hyp1_vf1", "hyp2_vf2", "hyp3_vf2"
MULTICAST_QPN = 0xffffff


def blue_partition(truth):
    guids = [next(guid for guid, row in truth.end_ports.items() if row["node"] == slot) for slot in (OLD, PEER)]
    members = ", ".join(f"0x{guid:016x}=full" for guid in guids)
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x0001: {members};\n"


class Guest(Peer):
    """A VM's program with one UD queue pair in a partition."""

    def __init__(self, lab, vm, pkey):
        super().__init__(lab.fabric, vm=vm)
        self.open()
        self.qp("ud", recv=100)
        self.do("ready", 0, QKEY, pkey_index=self.index_of(pkey))
        for n in range(50):
            self.do("recv", 0, n, 0, 2048)
        self.gid = self.do("gid", 0)["gid"]

    def index_of(self, pkey):
        return self.do("place", pkey)["index"]

    def attach(self, mlid):
        self.do("attach", 0, MGID, mlid)

    def send(self, imm, **to):
        self.do("send", 0, imm, 0, 8, imm=imm, qkey=QKEY, **to)
        assert self.poll("send") == (imm, "success")

    def send_to(self, other, imm):
        self.send(imm, lid=other.lid, qpn=other.qps[0])

    def send_to_group(self, mlid, imm):
        self.send(imm, lid=mlid, qpn=MULTICAST_QPN, gid=MGID)

    def hears(self, *imms):
        """These next, and in this order."""
        for imm in imms:
            answer = self.do("poll", "recv", MS)
            assert "none" not in answer and not answer["status"] and answer["imm"] == imm, f"{answer}, expected {imm}"


class World:
    def __init__(self, lab):
        self.lab = lab
        for vm, slot in (("mover", OLD), ("peer", PEER), ("next", NEW)):
            lab.fabric.cli("vm", "add", vm, slot)
        with lab.sa() as sa:
            joined = [sa.join(MGID, gid(int(lab.guid_at(slot), 16)), QKEY, BLUE) for slot in (OLD, PEER)]
        lab.wait_quiet()
        self.mlid = joined[0]["mlid"]
        self.peer = Guest(lab, "peer", BLUE)
        self.mover = Guest(lab, "mover", BLUE)
        for guest in (self.peer, self.mover):
            guest.attach(self.mlid)

    def exchange_vms(self):
        """What the agents do around the move: nothing of the VMs is open."""
        self.mover.do("detach", 0, MGID, self.mlid)
        self.mover.end()
        for vm in ("mover", "next"):
            assert self.lab.fabric.detach(vm)
        self.lab.move(OLD, NEW)
        self.lab.fabric.attach("mover", NEW)
        self.lab.fabric.attach("next", OLD)


def both_hear_each_other(world, first):
    world.peer.send_to(world.mover, first)
    world.peer.send_to_group(world.mlid, first + 1)
    world.mover.hears(first, first + 1)
    world.mover.send_to(world.peer, first + 2)
    world.mover.send_to_group(world.mlid, first + 3)
    world.peer.hears(first + 2, first + 3)


def the_vm_hears_peer_and_group_before_any_sweep(world):
    both_hear_each_other(world, 100)
    before = sets(world.lab.fabric.counters(), "NodeInfo", "get")
    address = world.mover.lid, world.mover.gid
    world.exchange_vms()
    world.mover = Guest(world.lab, "mover", BLUE)
    assert (world.mover.lid, world.mover.gid) == address
    world.mover.attach(world.mlid)
    both_hear_each_other(world, 200)
    asked = sets(world.lab.fabric.counters(), "NodeInfo", "get") - before
    assert asked == 2, f"{asked} NodeInfos were asked for: there was a sweep"


def the_next_vm_in_its_slot_has_no_part_in_it(world):
    """Neither as it is, nor with what a program can do without the subnet manager."""
    world.next = Guest(world.lab, "next", DEFAULT)
    try:
        world.next.index_of(BLUE)
        raise AssertionError("the slot still has the partition's key")
    except VerbsError as error:
        assert error.errno == errno.ENOENT
    world.next.attach(world.mlid)
    world.next.send_to(world.peer, 301)
    world.next.send_to_group(world.mlid, 302)
    both_hear_each_other(world, 310)  # and nothing of what was sent before
    world.mover.send_to(world.next, 321)
    world.mover.send_to_group(world.mlid, 322)
    world.peer.hears(322)
    other = Guest(world.lab, "peer", DEFAULT)
    other.send_to(world.next, 323)
    world.next.hears(323)  # first of all


def a_sweep_changes_nothing_of_it(world):
    wrote = world.lab.heavy_sweep()
    assert not any(wrote.values()), f"the heavy sweep wrote {wrote}"
    both_hear_each_other(world, 400)
    with world.lab.sa() as sa:
        found = findings(world.lab.truth(), sa)
    assert not found, shown(found)


def main():
    tap = Tap()
    with PluginLab(partitions=blue_partition) as lab:
        lab.heavy_sweep()
        world = World(lab)
        for test in (the_vm_hears_peer_and_group_before_any_sweep, the_next_vm_in_its_slot_has_no_part_in_it,
                     a_sweep_changes_nothing_of_it):
            tap.run(test.__name__, test, world)
    tap.exit()


main()
