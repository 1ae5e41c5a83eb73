#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Work of one queue pair in each of its states, between two processes, by a rule that the command line sets and takes
away; and the numbers that an adapter tells although they are not live."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import demo_fabric, wait_until  # noqa: E402
from simfabric.verbs_peer import ERR, EVENTS, pair  # noqa: E402

A, B = {"node": "hyp1"}, {"node": "hyp2"}
PSN = 1000  # of the first packet from A to B
MTU = 1024
IN_VAIN_MS = 50
TIMEOUT = 17  # half a second a try: no test waits for the last one


def same(got, want):
    assert got == want, f"got {got}, not {want}"


def connected(fabric, kind=()):
    return pair(fabric, A, B, kind=kind, timeout=TIMEOUT)


def rule(fabric, end, text):
    fabric.cli("data-fault", f"{end.lid}/{end.qps[0]}:{text}")


def frontiers(a, b):
    """Which PSN the requester sends next, and which one the responder expects."""
    return a.do("query", 0)["sq_psn"], b.do("query", 0)["rq_psn"]


def held_work_is_not_sent(fabric):
    a, b = connected(fabric)
    rule(fabric, a, "hold=1")
    for n in range(2):
        a.do("write", 0, n, 0, 8, **b.target())
    same(a.poll("send"), (0, "success"))
    same(a.poll("send", IN_VAIN_MS), None)
    same(frontiers(a, b), (PSN + 1, PSN + 1))
    rule(fabric, a, "pass")
    same(a.poll("send"), (1, "success"))


def a_message_stops_at_its_packet(fabric):
    a, b = connected(fabric)
    b.do("recv", 0, 9, 0, 3 * MTU)
    rule(fabric, a, "lose=0.2")
    a.do("send", 0, 1, 0, 3 * MTU)
    wait_until("two packets are there", lambda: frontiers(a, b) == (PSN + 3, PSN + 2), 5)
    same(b.poll("recv", IN_VAIN_MS), None)
    rule(fabric, a, "pass")
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv"), (9, "success"))


def executed_work_is_not_acknowledged(fabric):
    a, b = connected(fabric)
    b.do("recv", 0, 9, 0, 8)
    rule(fabric, a, "lose_acks=0")
    a.do("send", 0, 1, 0, 8)
    same(b.poll("recv"), (9, "success"))
    same(a.poll("send", IN_VAIN_MS), None)
    rule(fabric, a, "pass")
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv", 0), None)


def acknowledged_work_has_no_receive_to_be_seen(fabric):
    a, b = connected(fabric)
    b.do("recv", 0, 9, 0, 8)
    rule(fabric, a, "hold_receives=0")
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv", IN_VAIN_MS), None)
    rule(fabric, a, "pass")
    same(b.poll("recv"), (9, "success"))


def hidden_receive_raises_its_event_when_it_is_seen(fabric):
    a, b = connected(fabric)
    b.do("recv", 0, 9, 0, 8)
    b.do("arm", "recv")
    rule(fabric, a, "hold_receives=0")
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send"), (1, "success"))
    assert "none" in b.do("cqevent", IN_VAIN_MS)
    rule(fabric, a, "pass")
    assert "none" not in b.do("cqevent", 5000)
    same(b.poll("recv", 0), (9, "success"))


def rnr_blocks_although_there_is_a_receive(fabric):
    a, b = connected(fabric)
    b.do("recv", 0, 9, 0, 8)
    rule(fabric, a, "rnr=0")
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send", IN_VAIN_MS), None)
    same(frontiers(a, b), (PSN + 1, PSN))
    rule(fabric, a, "pass")
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv"), (9, "success"))


def an_atomic_whose_answer_is_lost_is_done_once(fabric):
    a, b = connected(fabric)
    rule(fabric, a, "lose_answers=0")
    a.do("add", 0, 1, 0, 8, add=5, **b.target(512))
    wait_until("the atomic is executed", lambda: frontiers(a, b)[1] == PSN + 1, 5)
    same(a.poll("send", IN_VAIN_MS), None)
    rule(fabric, a, "pass")
    same(a.poll("send"), (1, "success"))
    same(b.do("word", 512)["word"], 5)


def the_other_direction_is_spared(fabric):
    a, b = connected(fabric)
    rule(fabric, a, "lose=0")
    a.do("write", 0, 1, 0, 8, **b.target())
    b.do("write", 0, 2, 0, 8, **a.target())
    same(b.poll("send"), (2, "success"))
    same(a.poll("send", IN_VAIN_MS), None)


def dead_numbers_are_zero_or_what_was_given(fabric):
    a, b = connected(fabric)
    a.do("write", 0, 1, 0, 8, **b.target())
    same(a.poll("send"), (1, "success"))
    same(frontiers(a, b), (PSN + 1, PSN + 1))
    fabric.cli("data-fault", "live_rq_psn=0", "live_sq_psn=0")
    same(frontiers(a, b), (0, 0))
    fabric.cli("data-fault", "given_psns=1")
    same(frontiers(a, b), (PSN, PSN))
    fabric.cli("data-fault", "preset=mlx5")


def rxe_says_nothing_of_the_last_receive(fabric):
    a, b = connected(fabric, kind=["srq"])
    fabric.cli("data-fault", "preset=rxe")
    b.do("state", 0, ERR)
    assert EVENTS["last_wqe"] not in b.events(IN_VAIN_MS)
    fabric.cli("data-fault", "preset=mlx5")


TESTS = [held_work_is_not_sent, a_message_stops_at_its_packet, executed_work_is_not_acknowledged,
         acknowledged_work_has_no_receive_to_be_seen, hidden_receive_raises_its_event_when_it_is_seen,
         rnr_blocks_although_there_is_a_receive, an_atomic_whose_answer_is_lost_is_done_once, the_other_direction_is_spared,
         dead_numbers_are_zero_or_what_was_given, rxe_says_nothing_of_the_last_receive]


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        for test in TESTS:
            tap.run(test.__name__, test, fabric)
            fabric.data_faults({})
            for child in [c for c in fabric.children if c.stdin]:
                child.kill()
                child.wait()
                fabric.children.remove(child)
    tap.exit()


main()
