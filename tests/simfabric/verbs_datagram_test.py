#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""UD and UC queue pairs of two processes across the demo fabric: what a receiver learns, what gets lost without a word, and
faults on the way. Nothing waits for a loss: what comes next in order shows it."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import demo_fabric, wait_until  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402

A, B = {"node": "hyp1"}, {"node": "hyp2"}
QKEY, GRH, MS = 77, 40, 20000
GRH_FLAG, IMM_FLAG = 1, 2


def same(a, b):
    assert a == b, (a, b)


def datagram_pair(fabric):
    """Two processes with a UD queue pair each."""
    ends = Peer(fabric, **A).open(), Peer(fabric, **B).open()
    for end in ends:
        end.qp("ud", recv=500, wr=500)
        end.do("ready", 0, QKEY)
        end.gid = end.do("gid", 0)["gid"]
    return ends


def unreliable_pair(fabric):
    ends = Peer(fabric, **A).open(), Peer(fabric, **B).open()
    for end in ends:
        end.qp("uc", recv=500, wr=500)
    connect(*ends)
    return ends


def to(peer, **more):
    return {"lid": peer.lid, "qpn": peer.qps[0], "qkey": QKEY, **more}


def buffers(peer, count=1, first=0, bytes=2048):
    for n in range(first, first + count):
        peer.do("recv", 0, n, 0, bytes)


def next_of(peer):
    answer = peer.do("poll", "recv", MS)
    assert "none" not in answer and not answer["status"], answer
    return answer


def numbers(peer, count):
    """Immediate data of the next @count receives."""
    return [next_of(peer)["imm"] for _ in range(count)]


# ---- what a receiver learns ----


def receiver_learns_who_sent(fabric):
    a, b = datagram_pair(fabric)
    buffers(b, 2)
    a.do("fill", 0, 1000, 5)
    a.do("send", 0, 1, 0, 1000, **to(b, sl=0))
    got = next_of(b)
    same((got["bytes"], got["flags"], got["src_qp"], got["slid"]), (1000 + GRH, 0, a.qps[0], a.lid))
    assert "same" in b.do("same", GRH, 1000, 5)
    a.do("send", 0, 2, 0, 8, imm=4711, **to(b, gid=b.gid))
    got = next_of(b)
    same((got["bytes"], got["flags"], got["imm"]), (8 + GRH, GRH_FLAG | IMM_FLAG, 4711))
    same([a.poll("send"), a.poll("send")], [(1, "success"), (2, "success")])


def unreliable_messages_of_all_lengths_arrive(fabric):
    a, b = unreliable_pair(fabric)
    for n, length in enumerate((0, 1, 1024, 1025, 100000)):
        a.do("fill", 0, length, n)
        b.do("recv", 0, n, 0, 100000)
        a.do("send", 0, n, 0, length)
        same(next_of(b)["bytes"], length)
        assert "same" in b.do("same", 0, length, n)
        b.do("recv", 0, n, 0, 0)
        a.do("write", 0, n, 0, length, imm=n, **b.target(200000))
        same(next_of(b)["bytes"], length)
        assert "same" in b.do("same", 200000, length, n)
        same(a.poll("send"), (n, "success"))
        same(a.poll("send"), (n, "success"))


# ---- lost without a word ----


def datagram_for_nobody_is_lost(fabric):
    a, b = datagram_pair(fabric)
    buffers(b)
    for n, wrong in enumerate(({"lid": 999}, {"qpn": 0xabcdef}, {"qkey": QKEY + 1}, {"gid": "fe80" + "0" * 28})):
        a.do("send", 0, n, 0, 8, imm=n, **{**to(b), **wrong})
        same(a.poll("send"), (n, "success"))
    a.do("send", 0, 9, 0, 8, imm=9, **to(b))
    same(numbers(b, 1), [9])


def datagram_over_a_dead_link_is_lost(fabric):
    a, b = datagram_pair(fabric)
    buffers(b)
    fabric.link("hyp2", 1, "down")
    a.do("send", 0, 1, 0, 8, imm=1, **to(b))
    same(a.poll("send"), (1, "success"))
    fabric.link("hyp2", 1, "up")
    fabric.opensm_heavy_sweep()
    wait_until("data passes again", lambda: not fabric.check()["lost"], 20)
    a.do("send", 0, 2, 0, 8, imm=2, **to(b))
    same(numbers(b, 1), [2])


def datagram_to_a_killed_process_is_lost(fabric):
    a, b = datagram_pair(fabric)
    where = to(b)
    b.kill()
    for n in range(400):  # more than a ring holds
        a.do("send", 0, n, 0, 8, **where)
        same(a.poll("send"), (n, "success"))


# ---- faults ----


def faults_of_datagrams_are_their_own(fabric):
    a, b = datagram_pair(fabric)
    buffers(b, 2)
    fabric.data_faults({"drop.request": 1, "drop.uc": 1})
    a.do("send", 0, 1, 0, 8, imm=1, **to(b))
    same(numbers(b, 1), [1])
    fabric.data_faults({"drop.ud": 1})
    a.do("send", 0, 2, 0, 8, imm=2, **to(b))
    same([a.poll("send"), a.poll("send")], [(1, "success"), (2, "success")])
    fabric.data_faults({})
    a.do("send", 0, 3, 0, 8, imm=3, **to(b))
    same(numbers(b, 1), [3])


def datagrams_come_twice(fabric):
    a, b = datagram_pair(fabric)
    buffers(b, 20)
    fabric.data_faults({"duplicate.ud": 1})
    for n in range(10):
        a.do("send", 0, n, 0, 8, imm=n, **to(b))
    same(sorted(numbers(b, 20)), sorted([*range(10)] * 2))
    fabric.data_faults({})


def late_datagrams_are_overtaken(fabric):
    a, b = datagram_pair(fabric)
    buffers(b, 200)
    fabric.data_faults({"delay.ud": "0.5:3000", "seed": 3})
    for n in range(200):
        a.do("send", 0, n, 0, 8, imm=n, **to(b))
    got = numbers(b, 200)
    fabric.data_faults({})
    same(sorted(got), [*range(200)])
    assert got != sorted(got)


def unreliable_message_cut_in_the_middle_is_lost(fabric):
    a, b = unreliable_pair(fabric)
    b.do("recv", 0, 1, 0, 10000)
    fabric.data_faults({"cut": "1:3"})
    a.do("send", 0, 1, 0, 10000, imm=1)
    same(a.poll("send"), (1, "success"))
    fabric.data_faults({})
    a.do("send", 0, 2, 0, 10000, imm=2)
    same(numbers(b, 1), [2])


def unreliable_messages_survive_whole_or_not_at_all(fabric):
    a, b = unreliable_pair(fabric)
    fabric.data_faults({"drop.uc": 0.1, "delay.uc": "0.05:500", "seed": 5})
    for n in range(100):
        b.do("recv", 0, n, 10000 * n, 10000)
    for n in range(100):
        a.do("fill", 0, 10000, n)
        a.do("send", 0, n, 0, 10000, imm=n)
        same(a.poll("send"), (n, "success"))
    fabric.data_faults({})
    a.do("send", 0, 100, 0, 4, imm=100)
    got = []
    while not got or got[-1]["imm"] != 100:
        got.append(next_of(b))
    assert 1 < len(got) < 90, got
    for place, one in enumerate(got[:-1]):
        same((one["wr_id"], one["bytes"]), (place, 10000))
        assert "same" in b.do("same", 10000 * place, 10000, one["imm"])


TESTS = [receiver_learns_who_sent, unreliable_messages_of_all_lengths_arrive, datagram_for_nobody_is_lost,
         datagram_over_a_dead_link_is_lost, datagram_to_a_killed_process_is_lost, faults_of_datagrams_are_their_own,
         datagrams_come_twice, late_datagrams_are_overtaken, unreliable_message_cut_in_the_middle_is_lost,
         unreliable_messages_survive_whole_or_not_at_all]


def main():
    tap = Tap()
    only = sys.argv[1:]
    with demo_fabric() as fabric:
        for test in TESTS:
            if not only or test.__name__ in only:
                tap.run(test.__name__, test, fabric)
    tap.exit()


main()
