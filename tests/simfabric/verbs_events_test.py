#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Asynchronous events that come from outside the process: what a subnet manager does to a port, and a queue pair's last
receive while completions are late."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import demo_fabric, wait_until  # noqa: E402
from simfabric.verbs_peer import ERR, EVENTS, Peer, pair  # noqa: E402

A, B = {"node": "hyp1"}, {"node": "hyp2"}
END_S = 60


def same(have, want):
    assert have == want, f"{have} is not {want}"


def heard(peer, *names):
    """Wait for these events, whatever else comes."""
    types = []

    def all_came():
        types.extend(peer.events(10))
        return all(EVENTS[name] in types for name in names)
    wait_until(f"{names}", all_came, END_S, lambda: types)


def restart(fabric, **conf):
    """Another subnet manager in the place of the last one, with its LIDs unless told otherwise."""
    last = fabric.opensms[-1]
    last.stop()
    env = {"OSM_CACHE_DIR": conf.pop("cache", last.directory), "OSM_TMP_DIR": last.directory}
    fabric.opensm_start("sm", conf=conf, env=env)
    fabric.opensm_wait_up(END_S)


def new_subnet_manager_asks_to_register_again(fabric):
    a = Peer(fabric, **A).open()
    same(a.events(), [])
    restart(fabric)
    heard(a, "client_reregister")


def other_partitions_change_the_pkey_table(fabric):
    a = Peer(fabric, **A).open()
    partitions = os.path.join(fabric.directory, "partitions.conf")
    with open(partitions, "w") as out:
        out.write("Default=0x7fff,ipoib:ALL=full;\nSome=0x0123:ALL=full;\n")
    restart(fabric, partition_config_file=partitions)
    heard(a, "pkey_change")


def other_prefix_changes_the_gids(fabric):
    a = Peer(fabric, **A).open()
    restart(fabric, subnet_prefix="0xfec0000000001234")
    heard(a, "gid_change")


def other_lids_change_the_lid(fabric):
    a, b = Peer(fabric, **A).open(), Peer(fabric, **B).open()
    empty = os.path.join(fabric.directory, "no-lids-yet")
    os.mkdir(empty)
    restart(fabric, cache=empty, reassign_lids="TRUE", lmc="1")
    heard(a, "lid_change")
    heard(b, "lid_change")


def last_receive_is_told_when_all_completions_are_there(fabric):
    a, b = pair(fabric, A, B, kind=["srq"])
    b.do("recv", "srq", 5, 0, 64)
    b.events()
    fabric.data_faults({"hold": "1:10000000"})
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv", 50), None)
    b.do("state", 0, ERR)
    same(b.events(1000), [EVENTS["last_wqe"]])
    same(b.poll("recv", 0), (5, "success"))
    fabric.data_faults({})


TESTS = [last_receive_is_told_when_all_completions_are_there, new_subnet_manager_asks_to_register_again,
         other_partitions_change_the_pkey_table, other_prefix_changes_the_gids, other_lids_change_the_lid]


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for test in TESTS:
            tap.run(test.__name__, test, fabric)
    tap.exit()


main()
