#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: surprise_test.py [SEED [LOSSES]]

VM 1's device is taken away by surprise, at any moment, under load of every kind (loss_load.h): without a migration and in
the middle of one, of VM 1 or of its peer, as mlx5 does it, as rxe does it, and with all work flushed. Each time: every receive and every signalled
work request completes once, an unsignalled one at most once and with an error; DEVICE_FATAL comes once; who sleeps wakes;
what is posted afterwards is flushed; everything can be destroyed; the other end is told by its transport; nothing is left
in either process, in the agents or in the fabric; and the VM is given a VF again, on which the same processes go on. 20
times, 200 with TETHER_FULL=1."""
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import tails, wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from lab.system import CommandFailed, PATIENT, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import Failed  # noqa: E402

LOSSES = 200 if FULL else 20
# loss-load's transport: 5 retries of 134 ms, which may be four times as long each (IBA 9.7.6.1.3), and a busy machine.
TRANSPORT_S = 4 * 6 * 0.134
END_S = TRANSPORT_S + 10
RUN_S = 30
LONGEST_WAIT_S = 0.2  # before the device goes; of a migration, its usual length
MIGRATION_S = 0.5
# Bytes. A queue pair's log alone has more than the first.
HEAP_OF_A_LOSS, HEAP_OF_A_MIGRATION = 1024, 8192
WAYS = {"mlx5": ["preset=mlx5"], "rxe": ["preset=rxe", "err_flushes_receives=1"], "flushed": ["preset=mlx5", "loss_flushes=1"]}


class Load:
    """One loss-load."""

    def __init__(self, lab, vm):
        self.vm = vm
        self.log = lab.path(f"load-{vm}.log")
        with open(self.log, "ab") as errors:
            self.child = subprocess.Popen([lab.build.program("loss-load")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                          text=True, env={**lab.environment(vm=vm, tether=True), "TETHER_LOG": "stderr",
                                                                    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"})

    def put(self, *words):
        print(*words, file=self.child.stdin, flush=True)

    def get(self):
        line = self.child.stdout.readline()
        assert line, f"loss-load in {self.vm} has ended: {self.child.wait()}{tails([self.log])}"
        answer = json.loads(line)
        assert "failed" not in answer, f"{self.vm}: {answer['failed']}{tails([self.log])}"
        return answer

    def do(self, *words):
        self.put(*words)
        return self.get()

    def holds(self):
        """How many descriptors and threads."""
        return tuple(len(os.listdir(f"/proc/{self.child.pid}/{what}")) for what in ("fd", "task"))

    def end(self):
        self.child.stdin.close()
        assert self.child.wait(RUN_S) == 0


def both(loads, *words):
    for load in loads:
        load.put(*words)
    return [load.get() for load in loads]


class Move(threading.Thread):
    """A migration of @vm, whatever its end."""

    def __init__(self, lab, vm, to):
        super().__init__()
        self.lab, self.vm, self.to, self.outcome = lab, vm, to, None
        self.start()

    def run(self):
        try:
            self.lab.migrate(self.vm, self.to)
            self.outcome = "done"
        except CommandFailed as error:
            self.outcome = error.answer.get("outcome", error.answer.get("reason", "?"))


class Stage:
    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.loads = [Load(lab, "vm1"), Load(lab, "vm2")]
        self.before = None  # bytes and what is open in both processes after the loss before
        self.ends = {}

    def slot_of(self, vm):
        return next((row["slot"] for row in self.lab.fabric.slots() if row["vm"] == vm), None)

    def places(self):
        """{VM: (host, slot)} by tether-smd's inventory."""
        return {row["name"]: (row["host"], row["slot"]) for row in self.lab.ask("/v1/vms")["vms"]}

    def move_one(self):
        """Of VM 1, or of its peer."""
        taken = [host for host, _ in self.places().values()]
        return Move(self.lab, self.chance.choice(["vm1", "vm2"]), self.chance.choice([host for host in self.lab.hosts if host not in taken]))

    def begin(self):
        for load, other in zip(self.loads, reversed(both(self.loads, "open"))):
            load.put("connect", other["address"])
        for load in self.loads:
            load.get()
        both(self.loads, "send")
        both(self.loads, "run", RUN_S)

    def take_away(self):
        """False: it has none just now."""
        try:
            return self.lab.fabric.detach("vm1", surprise=True)
        except Failed:
            return False

    def strike(self, moves):
        """Its device goes, at some moment, perhaps of a migration; behind the vote that one goes on without it."""
        move = self.move_one() if moves else None
        time.sleep(self.chance.uniform(0, MIGRATION_S if moves else LONGEST_WAIT_S))
        struck = self.take_away()
        outcome = "none"
        if move:
            move.join()
            outcome = f"{move.vm} {move.outcome}"
        assert struck or moves
        if self.slot_of("vm1"):
            assert self.take_away()
            outcome += ", and again" if struck else ", then"
        self.ends[outcome] = self.ends.get(outcome, 0) + 1

    def end(self):
        self.loads[0].do("lost", int(END_S))
        self.loads[1].do("broken", int(END_S))
        victim, peer = both(self.loads, "close")
        for verdict in victim, peer:
            assert not verdict["violations"], f"{verdict}{tails([load.log for load in self.loads])}"
        assert (victim["fatal"], peer["fatal"]) == (1, 0), (victim, peer)
        return victim, peer

    def leaves_nothing(self, verdicts, moved):
        """Beside what a migration leaves for good: its answers, and what peers are called."""
        heaps = [verdict["heap"] for verdict in verdicts]
        what_is_open = [load.holds() for load in self.loads]
        if self.before:
            for heap, before in zip(heaps, self.before[0]):
                assert heap <= before + (HEAP_OF_A_MIGRATION if moved else HEAP_OF_A_LOSS), f"{self.before[0]} became {heaps} bytes"
            wait_until(f"as much is open as before: {self.before[1]}, not {what_is_open}",
                       lambda: [load.holds() for load in self.loads] == self.before[1], RUN_S)
        self.before = heaps, self.before[1] if self.before else what_is_open

    def give_a_device(self):
        """To where it was; of a VM that a migration has lost tether-smd knows how."""
        if self.slot_of("vm1"):
            return
        host, slot = self.places()["vm1"]
        if slot:
            self.lab.fabric.attach("vm1", slot)
        else:
            self.lab.migrate("vm1", host)

    def lose(self, way, moves):
        self.lab.fabric.cli("data-fault", *WAYS[way])
        self.begin()
        self.strike(moves)
        self.leaves_nothing(self.end(), moves)
        self.give_a_device()

    def daemons_remember_nothing(self):
        of_smd = Metrics(f"unix:{self.lab.path('metrics.sock')}").values()
        assert of_smd["tether_smd_migrations_open"] == 0, of_smd
        for host in self.lab.hosts:
            wait_until(f"{host} knows of no process", lambda: not self.processes_at(host), RUN_S, self.lab.logs())
        assert self.lab.fabric.check()["lost"] == 0

    def processes_at(self, host):
        values = Metrics(f"unix:{self.lab.path('hosts', host, 'metrics.sock')}").values()
        return sum(count for name, count in values.items() if name.startswith("tether_agent_processes{"))


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    losses = int(sys.argv[2]) if len(sys.argv) > 2 else LOSSES
    print(f"# surprise_test.py {seed} {losses}", flush=True)
    chance = random.Random(seed)
    tap = Tap()
    with System(copy_ms=5, settings={**PATIENT, "metrics": "unix:metrics.sock"}) as lab:
        lab.start()
        stage = Stage(lab, chance)
        for nth in range(losses):
            way, moves = list(WAYS)[nth % len(WAYS)], nth % 2 == 1
            if not tap.run(f"loss {nth + 1}, {way}, {'in a migration' if moves else 'alone'}", stage.lose, way, moves):
                tap.exit()
        for load in stage.loads:
            load.end()
        tap.run("daemons_and_fabric_remember_nothing", stage.daemons_remember_nothing)
        print(f"# ends of migrations: {stage.ends}", flush=True)
    tap.exit()


main()
