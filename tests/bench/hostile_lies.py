# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a hostile guest says of an event that it hears of as a peer of vm2, for run_bench_hostile. Each needs a scene of its own,
in which no partition keeps the two apart, and the whole time of vm2's process. The event and its answers are part of the cost."""
from agent_harness import PATIENCE_S
from faults.wire import table_of
from hostile_attacks import AT_ONCE, Attack
from hostile_lab import LID_OF_VM2, answer_to, frame
from lab.deadline import wait_until


def peer_of_vm2(scene, stack):
    enemy = stack.enter_context(scene.enemy())
    enemy.say(frame("interest", {"request": 1, "address": {"lid": LID_OF_VM2}}))
    wait_until("the enemy is a peer", lambda: scene.root.interests, PATIENCE_S, [scene.log_path])
    return enemy


def event_to(enemy):
    body, event = enemy.answer()
    while body != "event":
        body, event = enemy.answer()
    return event


def one_to_each_event(lies, outcome="OUTCOME_DONE"):
    def run(scene, count, stack):
        enemy = peer_of_vm2(scene, stack)
        for number in range(count):
            scene.about_to_say(number)
            scene.round_trip(lambda: enemy.say(frame("answer", answer_to(event_to(enemy), **lies))), outcome, to_peers=True)
    return run


def replay(scene, count, stack):
    """The first answer is right, and vm2's process has not said its own before the last one."""
    def again():
        answer = frame("answer", answer_to(event_to(enemy)))
        enemy.say(answer)
        for number in range(1, count, AT_ONCE):
            scene.about_to_say(number)
            enemy.say(answer * min(AT_ONCE, count - number))
            enemy.let_in()

    enemy = peer_of_vm2(scene, stack)
    scene.round_trip(again, to_peers=True)


replay.keeps_its_link = True

LIES = [
    Attack("an answer for another VM's process", "foreign_claims", one_to_each_event({"answered": ["vm2/11.1"]})),
    Attack("queue pairs of another VM", "foreign_claims", one_to_each_event({"qps": table_of("QpRows", [
        {"local_lid": LID_OF_VM2, "local_qpn": 0x11, "real_qpn": 0x666, "of_vm": 1}])}, "OUTCOME_FAILED")),
    Attack("an answer again while its event is open", "unasked_answers+late_answers", replay, allowed=1, least=1 + AT_ONCE),
]
