#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs on Shared Port hypervisors: one LID and one space of queue pair numbers for a port, a GID for each VF. Stock ibsim
reads the same topology and sees nothing of it."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.ibsim import Ibsim  # noqa: E402
from simfabric.lab import FABRICS, UP_S, Fabric  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402

NET = "shared_port.net"
QKEY = 77
VMS = {"one": "hyp1_vf1", "two": "hyp1_vf2", "far": "hyp2_vf1"}


def ends(fabric, *kind):
    """A process in each VM, with one queue pair."""
    peers = [Peer(fabric, vm=vm).open() for vm in VMS]
    for peer in peers:
        peer.qp(*kind)
        peer.gid = peer.do("gid", 0)["gid"]
    return peers


def a_port_has_one_lid_and_a_gid_for_each(fabric):
    one, two, far = ends(fabric)
    assert one.lid == two.lid != far.lid
    assert len({peer.gid for peer in (one, two, far)}) == 3
    assert len({peer.qps[0] for peer in (one, two)}) == 2, "queue pair numbers are the port's"
    for peer in (one, two, far):
        peer.end()


def numbers_of_a_port_are_unique_even_where_they_collide(fabric):
    fabric.cli("data-fault", "colliding_numbers=1")
    one, two, far = ends(fabric)
    fabric.cli("data-fault", "none", "colliding_numbers=0")
    assert one.qps[0] != two.qps[0], "two of a port"
    assert far.qps[0] in (one.qps[0], two.qps[0]), "another port counts alike"
    for peer in (one, two, far):
        peer.end()


def everybody_reaches_everybody(fabric):
    for first, second in ((0, 1), (0, 2), (1, 2)):
        peers = ends(fabric)
        a, b = peers[first], peers[second]
        connect(a, b)
        b.do("recv", 0, 5, 0, 100)
        a.do("send", 0, 6, 0, 100)
        assert a.poll("send") == (6, "success") and b.poll("recv") == (5, "success")
        for peer in peers:
            peer.end()


def a_grh_for_another_vf_is_dropped(fabric):
    one, two, far = ends(fabric, "ud")
    for peer in (one, two, far):
        peer.do("ready", 0, QKEY)
        peer.do("recv", 0, 1, 0, 2048)
    far.do("send", 0, 1, 0, 8, lid=one.lid, qpn=one.qps[0], qkey=QKEY, gid=two.gid)
    far.do("send", 0, 2, 0, 8, lid=one.lid, qpn=one.qps[0], qkey=QKEY, gid=one.gid, imm=2)
    assert one.do("poll", "recv", 20000)["imm"] == 2, "the one for another GID came"
    for peer in (one, two, far):
        peer.end()


def a_vm_is_told_its_own_guids(fabric):
    row = next(row for row in fabric.slots() if row["slot"] == "hyp1_vf1")
    shown = fabric.run("ibv_devinfo", vm="one").stdout.replace(":", "").replace("\t", " ")
    assert "PORT_ACTIVE" in shown and f"port_lid  {row['lid']}" in shown, shown
    assert row["node_guid"][2:] in shown, (row, shown)
    assert one_gid(fabric, "one").endswith(row["port_guid"][2:])


def one_gid(fabric, vm):
    peer = Peer(fabric, vm=vm).open()
    gid = peer.do("gid", 0)["gid"]
    peer.end()
    return gid


def qp0_is_the_pfs(fabric):
    assert fabric.run("smpquery", "nodeinfo", "-D", "0", node="hyp1").returncode == 0
    refused = fabric.run("smpquery", "nodeinfo", "-D", "0", vm="one", check=False)
    assert refused.returncode, refused.stdout
    assert fabric.run("saquery", "-s", vm="one").returncode == 0, "QP1 is everybody's"


def stock_ibsim_reads_a_comment(fabric):
    with Ibsim(os.path.join(FABRICS, NET), fabric.directory, "hyp1") as ibsim:
        shown = ibsim.run("hyp1", "ibnodes", seconds=60).stdout
    assert sorted(line.split('"')[1] for line in shown.splitlines() if line.startswith("Ca")) == \
        ["hyp1", "hyp2", "hyp3", "hyp4", "sm"], shown


def main():
    tap = Tap()
    with Fabric() as fabric:
        fabric.create(NET)
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(UP_S)
        for vm, slot in VMS.items():
            fabric.cli("vm", "add", vm, slot)
        for test in (a_port_has_one_lid_and_a_gid_for_each, numbers_of_a_port_are_unique_even_where_they_collide,
                     everybody_reaches_everybody, a_grh_for_another_vf_is_dropped, a_vm_is_told_its_own_guids, qp0_is_the_pfs,
                     stock_ibsim_reads_a_comment):
            tap.run(test.__name__, test, fabric)
    tap.exit()


main()
