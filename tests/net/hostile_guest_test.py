#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A hostile guest beside an honest VM, behind one real tether-agent: whatever it says is refused and counted by kind, and each
event to the honest VM's process is answered well meanwhile. More of it with TETHER_FULL=1."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import PATIENCE_S, run_tests  # noqa: E402
from hostile_attacks import AT_ONCE, GUEST, HOST  # noqa: E402
from faults.wire import SCHEMA, table_of  # noqa: E402
from hostile_lab import LID_OF_VM2, PKEY_OF_VM2, VERSION, GuestScene, Honest, answer_to, frame, is_counted, refused, to_something_else  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL  # noqa: E402

EVENTS = 1000 if FULL else 20
WATCHED = 1024  # processes of a VM without a link
AGAIN = 20000 if FULL else WATCHED + 100

# What the enemy says of an event to vm2, which it hears of as a peer, before vm2's process has answered.
LIES = {"answered": ["vm2/11.1", "vm2/12.1"], "missing": ["vm2/11.1", "vm2", "hyp1"], "ended": ["vm2/11.1", "vm2/12.1"],
        "refusals": [{"who": "vm2/11 ib_write_bw", "reason": "veto", "text": "it says"}],
        "result": {"host": "hyp1", "vms": [{"name": "vm2"}]}}
FOREIGN = 9
LID_OF_VM3 = 9


def nobody_answers_for_another_vm():
    with GuestScene() as scene, scene.enemy() as enemy:
        enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM2}}))
        wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
        for number in range(1, EVENTS + 1):
            answer = scene.round_trip(before=lambda: lie(enemy, LIES), to_peers=True)
            assert answer["outcome"] == "OUTCOME_DONE" and answer["answered"] == ["vm2/11.1"], answer
            assert not any(answer[part] for part in ("missing", "ended", "result")), answer
            assert [refusal["who"] for refusal in answer["refusals"]] == ["hyp1/vm1"], answer
            assert scene.counted("foreign_claims") == FOREIGN * number


def nobody_tells_of_another_vms_queue_pairs():
    """Rows that would send vm2's peers elsewhere; the whole answer is worth nothing then, and is said to be its sender's."""
    rows = [{"local_lid": LID_OF_VM2, "local_qpn": 0x11, "real_qpn": 0x666, "of_vm": 1}]
    lies = ({"qps": table_of("QpRows", rows)}, {"keys": table_of("KeyRows", [{"context": 1, "virtual_rkey": 2, "real_rkey": 3}])},
            {"evidence": table_of("EvidenceRows", [{"local_lid": LID_OF_VM2, "local_qpn": 0x11, "flags": 1}])})
    with GuestScene() as scene, scene.enemy() as enemy:
        enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM2}}))
        wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
        for number, lies_of in enumerate(lies, 1):
            answer = scene.round_trip(before=lambda said=lies_of: lie(enemy, said), outcome="OUTCOME_FAILED", to_peers=True)
            assert [(refusal["who"], refusal["reason"]) for refusal in answer["refusals"]] == [("hyp1/vm1", "foreign-numbers")], answer
            assert not any(answer[table] for table in ("qps", "keys", "evidence")), answer
            assert scene.counted("foreign_claims") == number


def nobody_hears_of_a_vm_in_another_partition():
    """Though it had said that it talks to it, before the SM was asked of either."""
    with GuestScene() as scene, scene.enemy() as enemy:
        enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM2}}))
        wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
        scene.keep_apart(enemy)
        for _ in range(EVENTS):
            scene.round_trip(to_peers=True, pkeys=[PKEY_OF_VM2])
        scene.round_trip(to_peers=True, before=lambda: lie(enemy, {}))
        assert enemy.heard == [scene.sequence], enemy.heard


def nobody_tells_of_queue_pairs_at_another_vms_lid():
    """Not of the VM that moves, but of a third: here vm2's by vm1, while vm3 moves."""
    rows = ({"qps": table_of("QpRows", [{"local_lid": LID_OF_VM2, "local_qpn": 0x11, "real_qpn": 0x666}])},
            {"evidence": table_of("EvidenceRows", [{"local_lid": LID_OF_VM2, "local_qpn": 0x11, "flags": 1}])})
    with GuestScene() as scene, scene.stranger() as enemy:
        enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM3}}))
        wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
        for number, lies_of in enumerate(rows, 1):
            scene.sequence += 1
            scene.root.event(scene.sequence, vm="vm3", address={"lid": LID_OF_VM3}, to_vm=False, to_peers=True)
            lie(enemy, lies_of)
            answer = scene.root.answer(scene.sequence)
            assert answer["outcome"] == "OUTCOME_FAILED" and answer["refusals"][0]["reason"] == "foreign-numbers", answer
            assert not answer["qps"] and not answer["evidence"], answer
            assert scene.counted("foreign_claims") == number


def lie(enemy, lies):
    event = event_to(enemy)
    enemy.heard.append(event["sequence"])
    enemy.say(frame("answer", answer_to(event, **lies)))


def an_answer_counts_once():
    with GuestScene() as scene, scene.enemy() as enemy:
        enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM2}}))
        wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
        scene.round_trip(before=lambda: replay(enemy), to_peers=True)
        scene.round_trip()
        counted = scene.counted("unasked_answers") + scene.counted("late_answers")
        assert counted == EVENTS, counted


def answers_to_something_else_are_none():
    """The event stays open for the right one: what was counted before that was not taken for it."""
    wrong = 0

    def say_wrong_ones():
        nonlocal wrong
        event = event_to(enemy)
        others = to_something_else(event)
        for other in others:
            enemy.say(frame("answer", other))
        wrong += len(others)
        is_counted(scene, "unasked_answers+late_answers", wrong)
        enemy.say(frame("answer", answer_to(event)))

    with GuestScene() as scene, scene.enemy() as enemy:
        enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM2}}))
        wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
        for _ in range(EVENTS):
            answer = scene.round_trip(before=say_wrong_ones, to_peers=True, migration=7, epoch=9)
            assert not answer["missing"], answer
            assert scene.counted("unasked_answers+late_answers") == wrong


def each_kind_of_frame_is_lied_with():
    """But heartbeats, which say nothing but what frames are counted by, as all frames do: unit/notifier_repeats has lies of that."""
    for attacks in (GUEST, HOST):
        left = set(SCHEMA.messages["Frame"]) - {attack.body for attack in attacks} - {"heartbeat", "number", "heard"}
        assert not left, left


def event_to(enemy):
    body, event = enemy.answer()
    while body != "event":
        body, event = enemy.answer()
    return event


def replay(enemy):
    event = event_to(enemy)
    for _ in range(1 + EVENTS):
        enemy.say(frame("answer", answer_to(event)))


def who_misses_everything_is_told_it_now_and_then():
    """A process that counts frames, has never heard one, and asks for all of them: each time it says so."""
    nothing_heard = frame("heartbeat", {"missing": True, "said": 2 ** 64 - 1}, heard=1) * AT_ONCE
    with GuestScene() as scene, scene.connect() as enemy:
        enemy.say(frame("hello", {"version": VERSION, "role": "ROLE_SHIM", "name": "vm1/1003.1"}, number=1, heard=1))
        enemy.welcomed()
        for _ in range(EVENTS):
            for _ in range(10):
                enemy.say(nothing_heard)
                enemy.let_in()
            scene.round_trip()
        enemy.say(frame("interest", {"request": 1, "address": {"lid": 0x10000}}, number=2, heard=1))
        again = 0
        while (said := enemy.answer())[0] != "interest_answer":
            again += said[0] == "hello_answer"
        assert again < 10 * EVENTS and enemy.told < 10 * EVENTS * len(nothing_heard) / 4, (again, enemy.told)


def whoever_comes_again_and_again_takes_few_descriptors():
    """The agent watches a process whose link is gone, by a descriptor; one process brings about any number of such."""
    with GuestScene() as scene:
        before = descriptors(scene)
        with Honest(scene.round_trip) as honest:
            for _ in range(AGAIN):
                with scene.another_enemy() as enemy:
                    enemy.say(frame("pull", {"request": 1}))
                    enemy.until_closed()
                scene.enemies.clear()
            rounds = len(honest.seconds)
            wait_until("an honest round behind it", lambda: honest.failure or len(honest.seconds) > rounds, PATIENCE_S)
        assert descriptors(scene) - before <= WATCHED + 8, descriptors(scene)


def descriptors(scene):
    return len(os.listdir(f"/proc/{scene.pid}/fd"))


TESTS = [nobody_answers_for_another_vm, nobody_tells_of_another_vms_queue_pairs, nobody_tells_of_queue_pairs_at_another_vms_lid,
         nobody_hears_of_a_vm_in_another_partition, an_answer_counts_once, answers_to_something_else_are_none, each_kind_of_frame_is_lied_with,
         who_misses_everything_is_told_it_now_and_then, whoever_comes_again_and_again_takes_few_descriptors] + [refused(GuestScene, attack, FULL) for attack in GUEST]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
