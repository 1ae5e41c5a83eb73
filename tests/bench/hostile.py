# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a refused message costs, and what an honest VM feels of it (run_bench_hostile)."""
import contextlib
import os
import time
from unittest import mock

from agent_harness import PATIENCE_S
from bench.hostile_lies import LIES
from bench.hostile_siege import honest_rounds
from bench.syscalls import SystemCalls
from hostile_attacks import GUEST, HOST, OTHER_WORDS
from hostile_lab import GuestScene, HostScene, count_of
from lab.deadline import wait_until

SETTLED = 3  # times the same number of system calls
SETTLED_S = 0.05
LIMITS = {"syscalls": 60, "bytes": 1024}  # for a message that costs its link
LIMITS_OF_A_LINK = {"syscalls": 2, "bytes": 128}  # for one that leaves it standing
MEGABYTE_SYSCALLS = 400  # which it takes to receive one


def sleeps(pid):
    """It waits for nothing but what others do: not for a processor, either."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


class Cost:
    """System calls of the daemon, and bytes that it said and logged, but for those of asking its counters: since the making, or
    since all was said that is allowed."""

    def __init__(self, scene, attack, calls=None):
        self.scene, self.kind, self.allowed = scene, attack.kind, attack.allowed
        self.calls = calls or SystemCalls([scene.pid])
        self.settle()
        asleep = self.calls.read()[0]
        self.counted_before, self.asked = scene.counted(self.kind), 0
        self.settle()
        self.calls_to_ask = self.calls.read()[0] - asleep
        self.before = self.now()

    def bytes(self):
        return sum(enemy.told for enemy in self.scene.enemies) + self.scene.bytes_up() + os.path.getsize(self.scene.log_path)

    def now(self):
        return self.calls.read()[0], self.bytes()

    def about_to_say(self, number):
        if number == self.allowed:
            self.settle()
            self.before = self.now()

    def let_in(self):
        for enemy in self.scene.enemies:
            if enemy.link.fileno() >= 0:
                enemy.let_in()

    def settle(self):
        """Until it does nothing any more: to ask it would be a system call itself."""
        same, last = 0, None
        while same < SETTLED:
            self.let_in()
            time.sleep(SETTLED_S)
            calls = self.calls.read()[0]
            same = same + 1 if calls == last and sleeps(self.scene.pid) else 0
            last = calls

    def counted(self):
        self.asked += 1
        return self.scene.counted(self.kind) - self.counted_before

    def until_counted(self, count):
        """It may have been waiting for the processor all the while: what is quiet is over when all is counted."""
        self.settle()
        wait_until(f"{self.kind} is {count}", lambda: self.counted() >= count, PATIENCE_S, [self.scene.log_path])
        self.settle()

    def each(self, messages):
        calls, octets = (b - a for a, b in zip(self.before, self.now()))
        self.calls.close()
        spent = calls - self.asked * self.calls_to_ask, octets
        return {name: round(max(0, all_of_it) / messages, 1) for name, all_of_it in zip(LIMITS, spent)}


def cost_of(scene, attack, wanted, calls=None):
    count = count_of(attack, wanted)
    with contextlib.ExitStack() as links:
        cost = Cost(scene, attack, calls)
        links.enter_context(mock.patch.object(scene, "about_to_say", cost.about_to_say))
        attack.run(scene, count, links)
        cost.until_counted(count - attack.allowed)
        each = cost.each(count - attack.allowed)
    return {"kind": attack.kind, "messages": count, "refused": count - attack.allowed, "weight": attack.weight,
            "keeps_its_link": hasattr(attack.run, "keeps_its_link"), **each}


def costs_of(scene_of, attacks, messages, say):
    """What is said once only has its enemy kept out for a while, and a lie of an event needs peers."""
    found = {}
    with scene_of() as scene:
        for attack in attacks:
            with scene_of() if attack.most == 1 or attack in LIES else contextlib.nullcontext(scene) as of_its_own:
                found[attack.name] = cost_of(of_its_own, attack, messages)
            say(f"{attack.name}: {found[attack.name]}")
    return found


def measure(messages, rounds, pairs, connections, say):
    result = {}
    for who, scene_of, attacks, more, links in (("guest", GuestScene, GUEST, LIES, connections),
                                                ("host", HostScene, HOST + [OTHER_WORDS], [], connections // 10)):
        result[who] = honest_rounds(scene_of, attacks, rounds, pairs, links)
        say(f"{who}: {result[who]}")
        result[who]["refused"] = costs_of(scene_of, attacks + more, messages, lambda text, who=who: say(f"{who}, {text}"))
    return result


def limits_of(name, cost):
    limits = LIMITS_OF_A_LINK if cost["keeps_its_link"] else LIMITS
    calls = MEGABYTE_SYSCALLS if name.startswith("a megabyte") else limits["syscalls"]
    return {"syscalls": calls, "bytes": limits["bytes"] * cost["weight"]}


def dear(result):
    return [f"{who}, {name}: {cost}" for who, of_who in result.items() for name, cost in of_who["refused"].items()
            if any(cost[what] > most for what, most in limits_of(name, cost).items())]
