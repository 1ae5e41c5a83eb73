#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: surprise_test.py [SEED [LOSSES]]

VM 1's device is taken away by surprise, under load of every kind (loss_load.h): every second time in a phase of a migration,
of VM 1 or of its peer, in which tether-smd has stopped itself (loss_phases.py), else at any moment, of a migration or without
one; as mlx5 does it, as rxe does it, and with all work flushed. Each time: every receive and every signalled work request
completes once, an unsignalled one at most once and with an error; DEVICE_FATAL comes once; who sleeps wakes; what is posted
afterwards is flushed; everything can be destroyed; the other end is told by its transport; nothing is left in either process,
in the agents or in the fabric; the migration ends as its phase promises; and the VM is given a VF again, on which the same
processes go on. 20 times, 200 with TETHER_FULL=1."""
import collections
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults import loss_phases  # noqa: E402
from faults.victims import KillLab  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from lab.system import CommandFailed, PATIENT  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import Failed  # noqa: E402

LOAD_ENV = {"TETHER_LOG": "stderr", "TETHER_LOG_LEVEL": "info", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
SETTLED = re.compile(r"libtether\S+ info steps: migration \S+: SETTLE\.\d+ [A-Z]+$", re.M)
LOSSES = 200 if FULL else 20
# The transport's time-out is loss-load's word, by its queue pairs' attributes. Twice: in that time as the process has it (ticks, so not
# by the clock of a busy machine) a packet that was on its way may have begun the first of its time-outs anew, and the device's thread
# runs behind the one that counts.
TRANSPORTS = 2
# What a provider does not tell of is asked for so long before it counts as lost (preload/DESIGN.md, "Unplanned loss").
ASKED_MS = {"rxe": 2000}
PATIENCE_S = 60  # for what then turns out to be too late
RUN_S = 30
PHASES = loss_phases.PHASES
ENDS = ("refused", "aborted", "done")
LONGEST_WAIT_S = 0.2  # before the device goes; of a migration, its usual length
MIGRATION_S = 0.5
# Bytes, for all losses together: 2 KiB left by each are seen at once. A process keeps the answers of so many migrations that
# have ended (preload/steps.c).
HEAP_OF_ALL_LOSSES, HEAP_OF_ALL_MIGRATIONS, HEAP_OF_AN_ANSWER, ANSWERS = 1024, 8192, 1536, 64
WAYS = {"mlx5": ["preset=mlx5"], "rxe": ["preset=rxe", "err_flushes_receives=1"], "flushed": ["preset=mlx5", "loss_flushes=1"]}


class Load:
    """One loss-load."""

    def __init__(self, lab, vm):
        self.vm = vm
        self.log = lab.path(f"load-{vm}.log")
        with open(self.log, "ab") as errors:
            self.child = subprocess.Popen([lab.build.program("loss-load")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=errors, text=True, env={**lab.environment(vm=vm, tether=True), **LOAD_ENV})

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

    def votes(self):
        """How many SETTLEs it has answered."""
        with open(self.log, errors="replace") as log:
            return len(SETTLED.findall(log.read()))

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
        self.lab, self.vm, self.to, self.outcome, self.said = lab, vm, to, None, ""
        self.start()

    def run(self):
        try:
            self.lab.migrate(self.vm, self.to)
            self.outcome = "done"
        except CommandFailed as error:
            self.outcome = error.answer.get("outcome", error.answer.get("reason", "?"))
            self.said = json.dumps(error.answer)


class Stage:
    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.loads = [Load(lab, "vm1"), Load(lab, "vm2")]
        self.way = None  # how it is lost
        self.heaps = None  # bytes in both processes after the loss before
        self.open_first = None  # descriptors and threads in both after the first
        self.migrations = 0
        self.grown = {False: [0, 0], True: [0, 0]}  # bytes since the first loss, in losses alone and in migrations
        self.ends = {}
        self.hits = collections.Counter()  # by the name of the phase
        self.slowest = collections.defaultdict(lambda: (0, 0))  # ms: until VM 1's last completion, by way; its peer's last error

    def slot_of(self, vm):
        return next((row["slot"] for row in self.lab.fabric.slots() if row["vm"] == vm), None)

    def places(self):
        """{VM: (host, slot)} by tether-smd's inventory."""
        return {row["name"]: (row["host"], row["slot"]) for row in self.lab.ask("/v1/vms")["vms"]}

    def move(self, vm):
        taken = [host for host, _ in self.places().values()]
        return Move(self.lab, vm, self.chance.choice([host for host in self.lab.hosts if host not in taken]))

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

    def in_time(self, load, how):
        """All is over within the transport's time-out since the device went, or the migration ended behind which it could be told."""
        said = load.do(how, PATIENCE_S)
        noticed_ms = ASKED_MS.get(self.way, 0) if how == "lost" else 0
        assert 0 < said["transport_ms"] and said["took_ms"] <= TRANSPORTS * said["transport_ms"] + noticed_ms, f"{load.vm}, {how}: {said}"
        how = f"{how}, {self.way}" if how == "lost" else how
        self.slowest[how] = max(self.slowest[how], (said["took_ms"], said["transport_ms"]))

    def strike(self, moves):
        """Its device goes, at some moment, perhaps of a migration; behind the vote that one goes on without it."""
        move = self.move(self.chance.choice(["vm1", "vm2"])) if moves else None
        time.sleep(self.chance.uniform(0, MIGRATION_S if moves else LONGEST_WAIT_S))
        struck = self.take_away()
        both(self.loads, "mark")
        outcome = "none"
        if move:
            move.join()
            outcome = f"{move.vm} {move.outcome}"
        assert struck or moves
        assert not move or move.outcome in ENDS, f"{outcome}: {move.said}{tails(self.lab.logs())}"
        if self.slot_of("vm1"):
            assert self.take_away()
            outcome += ", and again" if struck else ", then"
        if move:
            both(self.loads, "mark")
        self.ends[outcome] = self.ends.get(outcome, 0) + 1

    def strike_in(self, phase):
        """Its device goes in @phase; what is promised of that comes of it. Whoever goes on loses its next device as well."""
        voted, source = self.loads[1].votes() + 1, self.places()["vm1"][0]
        move = self.move(phase.vm)
        loss_phases.wait_until_stopped(self.lab)
        if phase.begun:
            loss_phases.let_begin(self.lab, source, lambda: self.loads[1].votes() == voted)
        assert self.take_away()
        both(self.loads, "mark")
        if phase.program == loss_phases.ENDS:
            self.in_time(self.loads[0], "lost")
        else:
            assert self.loads[0].do("fatal")["fatal"] == 0, phase
        loss_phases.go_on(self.lab, source)
        move.join()
        loss_phases.check_end(phase, move, self.lab.logs())
        if phase.program == loss_phases.GOES_ON:
            both(self.loads, "again", RUN_S)
            assert self.take_away()
        both(self.loads, "mark")
        self.hits[phase.name] += 1

    def end(self, told):
        """@told: VM 1's program has been, and was looked at."""
        if not told:
            self.in_time(self.loads[0], "lost")
        self.in_time(self.loads[1], "broken")
        victim, peer = both(self.loads, "close")
        for verdict in victim, peer:
            assert not verdict["violations"], f"{verdict}{tails([load.log for load in self.loads])}"
        assert (victim["fatal"], peer["fatal"]) == (1, 0), (victim, peer)
        return victim, peer

    def leaves_nothing(self, verdicts, moved):
        """All that losses have left since the first is within a fixed budget. A migration leaves for good its answers, as many as
        are kept, and what peers are called: those have an account of their own."""
        heaps = [verdict["heap"] for verdict in verdicts]
        what_is_open = [load.holds() for load in self.loads]
        self.migrations += moved
        if self.heaps:
            budget = HEAP_OF_ALL_MIGRATIONS + HEAP_OF_AN_ANSWER * min(self.migrations, ANSWERS) if moved else HEAP_OF_ALL_LOSSES
            account = self.grown[moved]
            for nth, (heap, before) in enumerate(zip(heaps, self.heaps)):
                account[nth] += heap - before
            assert max(account) <= budget, f"{account} bytes are left {'in migrations' if moved else 'alone'}, {budget} may be"
            wait_until(f"as much is open as behind the first: {self.open_first}, not {what_is_open}",
                       lambda: [load.holds() for load in self.loads] == self.open_first, RUN_S)
        self.heaps, self.open_first = heaps, self.open_first or what_is_open

    def give_a_device(self):
        """To where it was; of a VM that a migration has lost tether-smd knows how."""
        if self.slot_of("vm1"):
            return
        host, slot = self.places()["vm1"]
        if slot:
            self.lab.fabric.attach("vm1", slot)
        else:
            self.lab.migrate("vm1", host)

    def lose(self, way, moves, phase):
        self.way = way
        self.lab.fabric.cli("data-fault", *WAYS[way])
        if phase:
            loss_phases.arm(self.lab, phase)
        self.begin()
        if phase:
            self.strike_in(phase)
        else:
            self.strike(moves)
        self.leaves_nothing(self.end(phase and phase.program == loss_phases.ENDS), moves)
        self.give_a_device()

    def each_phase_was_hit(self, losses):
        """As often as is asked for, and losses at any time have hit migrations as well."""
        least = losses // 2 // len(PHASES)
        assert all(self.hits[phase.name] >= least for phase in PHASES), f"{dict(self.hits)}, not {least} each"
        assert sum(count for end, count in self.ends.items() if end != "none") >= losses // 4, self.ends

    def daemons_remember_nothing(self):
        of_smd = Metrics(f"unix:{self.lab.path('metrics.sock')}").values()
        assert of_smd["tether_smd_migrations_open"] == 0, of_smd
        for host in self.lab.hosts:
            wait_until(f"{host} knows of no process", lambda: not self.processes_at(host), RUN_S, self.lab.logs())
        assert self.lab.fabric.check()["lost"] == 0

    def processes_at(self, host):
        values = Metrics(f"unix:{self.lab.path('hosts', host, 'metrics.sock')}").values()
        return sum(count for name, count in values.items() if name.startswith("tether_agent_processes{"))


def kind_of(nth):
    """Every second loss is in a phase, each way in each in the long run; of the others one in two at any time of a migration."""
    if nth % 2 == 0:
        return list(WAYS)[nth // 2 % len(WAYS)], nth % 4 == 2, None
    rounds, which = divmod(nth // 2, len(PHASES))
    return list(WAYS)[(which + rounds) % len(WAYS)], True, PHASES[which]


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    losses = int(sys.argv[2]) if len(sys.argv) > 2 else LOSSES
    print(f"# surprise_test.py {seed} {losses}", flush=True)
    chance = random.Random(seed)
    tap = Tap()
    with KillLab(settings={**PATIENT, "metrics": "unix:metrics.sock"}) as lab:
        lab.start()
        stage = Stage(lab, chance)
        for nth in range(losses):
            way, moves, phase = kind_of(nth)
            what = phase.name if phase else "any time of a migration" if moves else "alone"
            if not tap.run(f"loss {nth + 1}, {way}, {what}", stage.lose, way, moves, phase):
                tap.exit()
        for load in stage.loads:
            load.end()
        tap.run("daemons_and_fabric_remember_nothing", stage.daemons_remember_nothing)
        tap.run("each_phase_was_hit", stage.each_phase_was_hit, losses)
        print(f"# in phases: {dict(stage.hits)}\n# at any time: {stage.ends}\n"
              f"# | until VM 1's last completion, until its peer's last error, of the transport's time-out (ms): {dict(stage.slowest)}\n"
              f"# bytes left: alone {stage.grown[False]}, by {stage.migrations} migrations {stage.grown[True]}", flush=True)
    tap.exit()


main()
