#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: notices_lost_test.py [SEED [EVENTS]]

signal = mad on a fabric that loses, doubles and delays a tenth of the Reports each, and a tenth of their acknowledgements, while OpenSM,
tether-smd and agents are killed and started again at random. Migrations go on until so many events have been told by
notices and each fault has hit: each ends by name within the overall deadline, servers end in the migration's epoch, no event reaches an agent twice over one link,
none makes it begin an order twice in its life, and rc-verify, which talks all the time, finds nothing lost and nothing executed twice.

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
from faults.victims import PEER, SOURCE, VICTIMS, Agent, KillLab, Load, start_migration  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

EVENTS = 500 if FULL else 50
KILL_EVERY = 2  # migrations
TENTH = 0.1
LATE_US = 300000  # several steps, and three times notice_ms
DAEMONS = [victim for victim in VICTIMS if not victim.is_process]
TOLD = re.compile(r"migration (\d+) epoch \d+: host (\S+) is told of it by notice (\d+)")
# What an agent's log says of its lives, its links, and what it is handed; an order's line follows its event's.
LINE = re.compile(r"info agent: tether-agent (?P<life>\S+), protocol|info host: the root is (?P<link>here), epoch|"
                  r"info host: migration \d+ epoch \d+: order (?P<order>\S+) |info host: (?P<event>migration \d+ epoch \d+: [A-Z]+\.\d+)$", re.M)


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


class Run:
    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.at = SOURCE
        self.load = Load(lab)
        self.outcomes, self.killed = collections.Counter(), collections.Counter()

    def victim(self, destination):
        victim = self.chance.choice(DAEMONS)
        return {"source": Agent("source", self.at), "destination": Agent("destination", destination)}.get(victim.role, victim)

    def known(self):
        row = newest(self.lab)
        return row["id"] if row else 0

    def kill_one(self, destination):
        victim = self.victim(destination)
        time.sleep(self.chance.random())
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
        if row and row["outcome"] == "done":
            self.servers_are_in(row["epoch"], {self.at, destination, PEER}, is_newest=not struck or struck.role != "tether-smd")
            self.at = destination
        elif row and row["outcome"] == "aborted":
            self.servers_are_in(row["epoch"], {self.at}, is_newest=not struck)

    def servers_are_in(self, epoch, hosts, is_newest):
        """In this one, or where tether-smd has been started since, that start's."""
        wait_until(f"{sorted(hosts)} are in epoch {epoch}", lambda: all(self.lab.epoch_of(host) >= epoch for host in hosts), LONGEST_S,
                   self.lab.logs())
        if is_newest:
            assert {self.lab.epoch_of(host) for host in hosts} == {epoch}, (epoch, {host: self.lab.epoch_of(host) for host in hosts})

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
        lab.settings = {**lab.settings, "log_level": "debug"}
        lab.start()
        run = Run(lab, chance)
        lab.make_lossy(chance)
        number = 0
        while len(lab.told()) < events or not all(lab.hits().values()):
            number += 1
            run.one(is_disturbed=number % KILL_EVERY == 0)
        run.one(is_disturbed=False)
        result["pause"] = both_are_exact(run.load)
        result["events"], result["migrations"] = len(lab.told()), number + 1
        result["faults"] = lab.hits()
        result["outcomes"], result["killed"] = run.outcomes, run.killed
        assert run.nothing_came_twice() > events
    assert run.outcomes["done"] > number / 3, run.outcomes


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
    events = int(sys.argv[2]) if len(sys.argv) > 2 else EVENTS
    print(f"# | seed {seed}", flush=True)
    tap, result = Tap(), {}
    tap.run("every_server_ends_in_the_right_epoch", every_server_ends_in_the_right_epoch, seed, events, result)
    if "events" in result:
        print_rows([("events", "migrations", "outcomes", "killed", "faults", "longest pause"),
                    (str(result["events"]), str(result["migrations"]), *(", ".join(f"{what} {count}" for what, count in sorted(
                        result[name].items())) for name in ("outcomes", "killed", "faults")), f"{result['pause']:.2f} s")])
    tap.exit()


main()
