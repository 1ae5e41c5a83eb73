#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: notices_lost_test.py [SEED [EVENTS]]

signal = mad on a fabric that loses, doubles and delays a tenth of the Reports each, and a tenth of their acknowledgements, while OpenSM,
tether-smd and agents are killed and started again at random. Migrations go on until so many events have
been told by notices, each fault has hit, each daemon was killed and agents have counted notices that came twice and that came behind one
that had not come: each ends by name within the overall deadline, servers that were asked to prepare end in the migration's epoch, no event
reaches an agent twice over one link, none makes it begin an order twice in its life, no process takes a step more often than states of the
migration ask for it in that epoch, and rc-verify, which talks all the time, finds nothing lost and nothing executed twice.

A Report is lost for good, though OpenSM sends it again when it is not acknowledged. When a daemon is killed is random; nothing that is asserted
depends on it. SEED (printed) draws faults, victims, instants and destinations again."""
import collections
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import LONGEST_S, both_are_exact, everybody_is_there, newest, the_end_of, vm_is_where_it_should_be  # noqa: E402
from faults.fault_points import actions, passed  # noqa: E402
from faults.victims import PEER, SOURCE, VICTIMS, Agent, KillLab, Load, start_migration  # noqa: E402
from lab import journal  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

EVENTS = 500 if FULL else 50
KILL_EVERY = 2  # migrations
TENTH = 0.1
LATE_US = 300000  # several steps, and three times notice_ms
DAEMONS = [victim for victim in VICTIMS if not victim.is_process]
MET = ("repeated", "gaps")  # of what agents count of notices
TOLD = re.compile(r"migration (\d+)/\d+: host (\S+) is told of it by notice (\d+)")
# What an agent's log says of its lives, its links, and what it is handed; an order's line follows its event's.
LINE = re.compile(r"info agent: tether-agent (?P<life>\S+), protocol|info host: the root is (?P<link>here), epoch|"
                  r"info host: migration \d+/\d+: order (?P<order>\S+) |info host: (?P<event>migration \d+/\d+: [A-Z]+\.\d+)$", re.M)
STARTED = re.compile(r"info smd: epoch (\d+); ")
PREPARED = re.compile(r"info host: migration (\d+)/\d+: PREPARE\.\d+ [A-Z]+, ")
TAKEN = re.compile(r"steps: migration (\d+)/(\d+): ([A-Z]+)\.\d+ [A-Z]+$", re.M)  # a process, as it notes shim-end


class LossyLab(KillLab):
    def make_lossy(self, chance):
        for kind, options in (("drop", ["--kind", "Report", "--per-message"]), ("drop", ["--kind", "ReportResp"]),
                              ("delay", ["--kind", "Report", "--us", LATE_US]), ("duplicate", ["--kind", "Report", "--us", LATE_US])):
            self.fabric.cli("fault", kind, *options, "--chance", TENTH, "--seed", chance.randrange(1, 1 << 32))

    def hits(self):
        return {row["kind"] + " " + {6: "Report", 0x86: "ReportResp"}[row["method"]]: row["hits"] for row in self.fabric.json("fault", "list")}

    def log(self, name):
        with open(self.path(f"{name}.log")) as log:
            return log.read()

    def told(self):
        return TOLD.findall(self.log("smd"))

    def epoch_of(self, host):
        try:
            with open(self.path("hosts", host, "epoch")) as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def prepared(self, migration):
        """The hosts that have answered PREPARE."""
        return [host for host in self.hosts if str(migration) in PREPARED.findall(self.log(f"agent-{host}"))]

    def start_epoch(self):
        """Of the tether-smd that runs."""
        return int(STARTED.findall(self.log("smd"))[-1])

    def notices(self, host):
        """What its agent has counted in this life."""
        values = Metrics("unix:" + self.path("hosts", host, "metrics")).values()
        return collections.Counter({what: values[f'tether_agent_notices_total{{kind="{what}"}}'] for what in MET})


class Run:
    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.at = SOURCE
        self.notes = [lab.path(f"passed-{end}") for end in ("server", "client")]
        self.load = Load(lab, **{f"{end}_env": {"TETHER_PASSED": note, "TETHER_LOG": "stderr", "TETHER_LOG_LEVEL": "info"}
                                 for end, note in zip(("server", "client"), self.notes)})
        self.outcomes, self.killed = collections.Counter(), collections.Counter()
        self.met_by_killed, self.deck = collections.Counter(), []

    def met(self):
        return sum(map(self.lab.notices, self.lab.hosts), self.met_by_killed)

    def has_met_all(self):
        return all(self.lab.hits().values()) and all(self.killed[victim.role] for victim in DAEMONS) and all(self.met()[what] for what in MET)

    def victim(self, destination):
        if not self.deck:
            self.deck = self.chance.sample(DAEMONS, len(DAEMONS))
        victim = self.deck.pop()
        return {"source": Agent("source", self.at), "destination": Agent("destination", destination)}.get(victim.role, victim)

    def known(self):
        row = newest(self.lab)
        return row["id"] if row else 0

    def kill_one(self, destination):
        victim = self.victim(destination)
        time.sleep(self.chance.random())
        if isinstance(victim, Agent):
            self.met_by_killed += self.lab.notices(victim.host)
        victim.kill(self.lab, self.load)
        victim.bring_back(self.lab)
        self.killed[victim.role] += 1
        return victim

    def answers(self):
        try:
            return self.lab.migrations() is not None
        except OSError:
            return False

    def outcome(self, command, known):
        command.wait(LONGEST_S)
        wait_until("tether-smd answers", self.answers, START_S, self.lab.logs())
        return the_end_of(self.lab, lambda row: row["id"] > known) if self.known() > known else None

    def one(self, is_disturbed):
        destination = self.chance.choice([host for host in self.lab.hosts if host not in (self.at, PEER)])
        known = self.known()
        command = start_migration(self.lab, "vm1", destination)
        struck = self.kill_one(destination) if is_disturbed else None
        row = self.outcome(command, known)
        everybody_is_there(self.lab)
        self.outcomes[row["outcome"] if row else "not begun"] += 1
        assert self.load.is_running(), "the programs have ended"
        vm_is_where_it_should_be(self.lab, row["outcome"] if row else "refused", self.at, destination)
        if row:
            self.servers_are_right(row, struck, destination)
        if row and row["outcome"] == "done":
            self.at = destination

    def servers_are_right(self, row, struck, destination):
        """All that were asked to prepare, however it has ended; whom a tether-smd that was started since had nothing to ask is in that start's."""
        outcome, epoch, prepared = row["outcome"], row["epoch"], set(self.lab.prepared(row["id"]))
        if outcome == "done":
            assert prepared, row
            prepared |= {self.at, destination, PEER}
        if struck and struck.role == "tether-smd":
            self.servers_are_in(self.lab.start_epoch(), prepared, is_newest=False)
            told = {destination} if outcome == "done" else {self.at} if outcome == "aborted" else set()
            self.servers_are_in(epoch, told, is_newest=False)
        else:
            self.servers_are_in(epoch, prepared, is_newest=outcome == "done" or not struck)

    def servers_are_in(self, epoch, hosts, is_newest):
        wait_until(f"{sorted(hosts)} are in epoch {epoch}", lambda: all(self.lab.epoch_of(host) >= epoch for host in hosts), LONGEST_S,
                   self.lab.logs())
        if is_newest:
            assert {self.lab.epoch_of(host) for host in hosts} == {epoch}, (epoch, {host: self.lab.epoch_of(host) for host in hosts})

    def asked(self):
        """{(migration, epoch, step): how often, by tether-smd's states}; a way back settles once more."""
        action = actions()
        rows = journal.ask(self.lab.path("journal"), "SELECT migration, epoch, state FROM states")
        return collections.Counter((str(migration), str(epoch), action[state]) for migration, epoch, state in rows)

    def nothing_was_taken_twice(self):
        """By a process, in the whole run. How many steps were."""
        steps, asked = 0, self.asked()
        for log, note in zip(self.load.logs(), self.notes):
            with open(log, errors="replace") as lines:
                taken = TAKEN.findall(lines.read())
            twice = {step: times for step, times in collections.Counter(taken).items() if times > max(1, asked[step])}
            assert not twice, f"(migration, epoch, step): how often taken: {twice}"
            ended = sum(times for place, times in passed(note).items() if place.startswith("shim-end:"))
            assert ended == len(taken), f"{ended} steps noted, {len(taken)} logged"
            steps += ended
        return steps

    def nothing_came_twice(self):
        """In the whole run. How often something was handed at all."""
        handed = 0
        for host in self.lab.hosts:
            events, orders = set(), set()
            for line in LINE.finditer(self.lab.log(f"agent-{host}")):
                if line["life"]:
                    orders = set()
                if line["life"] or line["link"]:
                    events = set()
                elif line["event"]:
                    assert line["event"] not in events, f"{host} was handed twice over one link: {line['event']}"
                    events.add(line["event"])
                    last, handed = line["event"], handed + 1
                else:
                    assert (last, line["order"]) not in orders, f"{host} has begun twice in one life: {last}, {line['order']}"
                    orders.add((last, line["order"]))
        return handed


def every_server_ends_in_the_right_epoch(seed, events, result):
    chance = random.Random(seed)
    with LossyLab(signal="mad", settings=None) as lab:
        lab.settings = {**lab.settings, "log_level": "debug", "metrics": "unix:metrics"}
        lab.start()
        run = Run(lab, chance)
        lab.make_lossy(chance)
        number = 0
        while len(lab.told()) < events or not run.has_met_all():
            number += 1
            assert number <= events, f"not all was met: {lab.hits()}, {run.killed}, {run.met()}"
            run.one(is_disturbed=number % KILL_EVERY == 0)
        run.one(is_disturbed=False)
        result["pause"] = both_are_exact(run.load)
        result["events"], result["migrations"] = len(lab.told()), number + 1
        result["faults"], result["met"] = lab.hits(), run.met()
        result["outcomes"], result["killed"] = run.outcomes, run.killed
        assert run.nothing_came_twice() > events
        assert run.nothing_was_taken_twice() > number
    assert run.outcomes["done"] > number / 3, run.outcomes


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
    events = int(sys.argv[2]) if len(sys.argv) > 2 else EVENTS
    print(f"# | seed {seed}", flush=True)
    tap, result = Tap(), {}
    tap.run("every_server_ends_in_the_right_epoch", every_server_ends_in_the_right_epoch, seed, events, result)
    if "events" in result:
        print_rows([("events", "migrations", "outcomes", "killed", "faults", "met", "longest pause"),
                    (str(result["events"]), str(result["migrations"]), *(", ".join(f"{what} {count}" for what, count in sorted(
                        result[name].items())) for name in ("outcomes", "killed", "faults", "met")), f"{result['pause']:.2f} s")])
    tap.exit()


main()
