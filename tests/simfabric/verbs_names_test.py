#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The worst that a VF can have for a VM which has moved to it, without tether: numbers that mean another object of the
VM, GIDs and P_Keys at other places of its tables, and another clock."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_peer import Peer  # noqa: E402

EINVAL, MS, QKEY = 22, 20000, 77
KINDS = ["ud", "ud", "uc", "rc"]


def same(a, b):
    assert a == b, (a, b)


class Vm:
    """A VM of its own with a process that makes the same objects wherever it is."""

    def __init__(self, fabric, name):
        self.fabric, self.name = fabric, name
        fabric.cli("vm", "add", name, "hyp1_vf1")
        self.process = Peer(fabric, vm=name)
        self.fill()

    def fill(self):
        """Their numbers in the order in which they were made."""
        process = self.process.open()
        process.qps = []
        for kind in KINDS:
            process.qp(*([kind] if kind != "rc" else []))
        for number, kind in enumerate(KINDS):
            if kind == "ud":
                process.do("ready", number, QKEY)
        self.keys = [process.rkey]
        for _ in range(3):
            process.do("dereg")
            self.keys.append(process.do("rereg")["rkey"])
        self.qpns = process.qps

    def move(self, slot):
        self.process.do("close")
        assert self.fabric.detach(self.name)
        self.fabric.attach(self.name, slot)
        self.fill()

    def end(self):
        self.process.end()
        assert self.fabric.detach(self.name)


def numbers_are_alike_everywhere(fabric):
    fabric.cli("data-fault", "colliding_numbers=1")
    vm = Vm(fabric, "alike")
    before = vm.qpns, vm.keys
    vm.move("hyp3_vf1")
    same((vm.qpns, vm.keys), before)
    vm.end()


def each_object_gets_the_number_of_another(fabric):
    fabric.cli("data-fault", "swapped_numbers=1")
    vm = Vm(fabric, "swapped")
    first = vm.qpns, vm.keys
    for slot in ("hyp3_vf1", "hyp1_vf2", "hyp4_vf1", "hyp3_vf1"):
        vm.move(slot)
        for before, now in zip(first, (vm.qpns, vm.keys)):
            assert not any(a == b for a, b in zip(before, now)), (before, now)
            same(sorted(now), sorted(before))
    vm.end()


def old_number_reaches_the_wrong_queue_pair(fabric):
    fabric.cli("data-fault", "swapped_numbers=1")
    vm, peer = Vm(fabric, "mistaken"), Peer(fabric, vm="vm2").open()
    peer.qp("ud")
    peer.do("ready", 0, QKEY)
    known = vm.qpns[0]
    vm.move("hyp3_vf1")
    same(vm.qpns[1], known)
    vm.process.do("recv", 1, 5, 0, 100)
    peer.do("send", 0, 1, 0, 8, lid=vm.process.lid, qpn=known, qkey=QKEY)
    same(vm.process.poll("recv"), (5, "success"))
    vm.end()


def tables_are_elsewhere(fabric):
    vm, peer = Vm(fabric, "shifted"), Peer(fabric, vm="vm2").open()
    before = [vm.process.do("pkey", n)["pkey"] for n in range(8)]
    gid = vm.process.do("gid", 0)["gid"]
    assert before[0] and gid.startswith("fe80"), (before, gid)
    fabric.cli("data-fault", "shifted_tables=1")
    vm.move("hyp3_vf2")
    shift = vm.process.do("place", before[0])["index"]
    assert shift
    same([vm.process.do("pkey", n)["pkey"] for n in range(shift, shift + 8)], before)
    same([vm.process.do("pkey", 0)["pkey"], vm.process.do("gid", 0)["gid"]], [0, 0])
    gid = vm.process.do("gid", shift)["gid"]
    assert gid.startswith("fe80"), gid
    # With the right indices it talks.
    peer.qp("ud")
    peer.do("ready", 0, QKEY)
    peer_gid = peer.do("gid", 0)["gid"]
    where = {"lid": peer.lid, "qpn": peer.qps[0], "qkey": QKEY}
    number = vm.process.qp("ud")
    vm.process.do("ready", number, QKEY, pkey_index=shift)
    peer.do("recv", 0, 1, 0, 100)
    # With the old ones it does not: no such GID; no P_Key, so dropped at the receiver.
    same(vm.process.error("send", number, 1, 0, 8, gid=peer_gid, sgid=0, **where), EINVAL)
    vm.process.do("send", 0, 2, 0, 8, **where)
    vm.process.do("send", number, 3, 0, 8, imm=3, gid=peer_gid, sgid=shift, **where)
    same(peer.do("poll", "recv", MS)["imm"], 3)
    # And back: the receiver says which P_Key it was.
    vm.process.do("recv", number, 1, 0, 100)
    peer.do("send", 0, 1, 0, 8, lid=vm.process.lid, qpn=vm.process.qps[number], qkey=QKEY, gid=gid)
    same(vm.process.do("poll", "recv", MS)["pkey_index"], shift)
    vm.end()


def clock_is_another(fabric):
    fabric.cli("data-fault", "strange_clocks=1")
    vm = Vm(fabric, "timed")
    clocks = [vm.process.do("clock")]
    for slot in ("hyp3_vf1", "hyp1_vf2", "hyp4_vf1"):
        vm.move(slot)
        clocks.append(vm.process.do("clock"))
        assert vm.process.do("clock")["ticks"] > clocks[-1]["ticks"], "stands still"
        # To another process it is the same.
        other = Peer(fabric, vm=vm.name).open("stamped")
        before, between = other.do("clock"), vm.process.do("clock")
        assert before["ticks"] <= between["ticks"] <= other.do("clock")["ticks"]
        other.end()
    same(clocks[0]["khz"], 156250)
    for what in ("khz", "mask"):
        same(len({clock[what] for clock in clocks}), 4)
    assert clocks[1]["ticks"] < clocks[0]["ticks"], clocks
    vm.end()


TESTS = [numbers_are_alike_everywhere, each_object_gets_the_number_of_another, old_number_reaches_the_wrong_queue_pair,
         tables_are_elsewhere, clock_is_another]


def one(fabric, test):
    try:
        test(fabric)
    finally:
        fabric.cli("data-fault", "preset=mlx5")
        for child in [child for child in fabric.children if child.stdin]:
            child.kill()
            child.wait()
            fabric.children.remove(child)


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        fabric.cli("vm", "add", "vm2", "hyp2_vf1")
        for test in TESTS:
            tap.run(test.__name__, one, fabric, test)
    tap.exit()


main()
