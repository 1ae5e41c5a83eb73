#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: random_kill_test.py [SEED [KILLS]]

Any of the seven of victims.py is killed at any time of a migration, again and again on the same system: each migration
ends by name, nobody hangs past the overall deadline, nothing is executed twice, the fabric stays usable, VM 1 keeps or
gets a VF; now and then SA and fabric are compared. VM 1 moves to and fro while rc-verify in it talks to VM 2.

The instant is uniform over the length of an undisturbed migration, and nothing that is asserted depends on it. SEED
(printed) draws victims, instants and destinations again; when a process runs is another matter."""
import collections
import os
import random
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import (LONGEST_S, both_are_exact, both_are_told, everybody_is_there, is_told,  # noqa: E402
                              newest, the_end_of, vm_is_where_it_should_be)
from faults.membership import partitions, pkeys_of  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import PEER, SOURCE, STEPS, VICTIMS, Agent, KillLab, Load, start_migration  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.journal import states_after  # noqa: E402
from lab.system import START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

KILLS = 1000 if FULL else 20
KILLS_OF_A_SYSTEM = 50
LOOK_EVERY = 10
MOST_FAILED = 5  # systems; those that are left over are not tried
UNDISTURBED = 5
NOT_BEGUN = "not begun"
OUTCOMES = ("done", "refused", "aborted", "failed-at-source", "lost")


class Kill:
    """@instant, @way: from 0 to 1."""

    def __init__(self, number, chance):
        self.number = number
        self.victim = chance.choice(VICTIMS)
        self.instant, self.way = chance.random(), chance.random()
        self.step = self.outcome = "-"

    def __str__(self):
        return f"kill {self.number}, {self.victim.name} in {self.step}: {self.outcome}"


class BesiegedLab(KillLab):
    """Its messages end with the logs of those who live, not of hundreds that were killed."""

    def logs(self):
        return [self.path("smd.log"), *(self.path(f"agent-{host}.log") for host in self.hosts),
                self.fabric.opensms[-1].log]


def step_of(lab, known):
    """In which state is the migration that is newer than @known? By the journal, which is there when nobody answers."""
    states = states_after(lab.path("journal"), known)
    step = states[-1] if states else "(asking)"
    return "(ended)" if step in OUTCOMES else step


class Siege:
    """A system with its load, and where VM 1 is."""

    def __init__(self, lab):
        self.lab = lab
        self.at = SOURCE
        self.load = Load(lab)
        self.length_s = statistics.median(self.undisturbed(0) for _ in range(UNDISTURBED))
        self.pauses = []

    def destination(self, way):
        free = [host for host in self.lab.hosts if host not in (self.at, PEER)]
        return free[int(way * len(free))]

    def known(self):
        row = newest(self.lab)
        return row["id"] if row else 0

    def undisturbed(self, way):
        """A migration that nobody is killed in, in seconds. Processes beside an agent that was killed just now may not
        have found the next one yet: then it is refused."""
        destination = self.destination(way)

        def is_done():
            known, begun = self.known(), time.monotonic()
            command = start_migration(self.lab, "vm1", destination)
            command.wait(LONGEST_S)
            row = newest(self.lab)
            outcome = row["outcome"] if row and row["id"] > known else NOT_BEGUN
            words = tails([self.lab.path("smd.log"), command.log])
            assert outcome in ("done", "refused", NOT_BEGUN), f"{outcome}{words}"
            return outcome == "done" and time.monotonic() - begun

        seconds = wait_until("a migration that is not disturbed", is_done, START_S, self.lab.logs())
        vm_is_where_it_should_be(self.lab, "done", self.at, destination)
        assert self.load.is_running(), f"the programs have ended{tails(self.load.logs())}"
        self.at = destination
        return seconds

    def strike(self, kill, victim, destination):
        """When it was struck, by the monotonic clock."""
        known = self.known()
        command = start_migration(self.lab, "vm1", destination)
        time.sleep(kill.instant * self.length_s)
        victim.kill(self.lab, self.load)
        struck = time.monotonic()
        kill.step = step_of(self.lab, known)
        victim.bring_back(self.lab)
        kill.outcome = self.outcome(command, known)
        return struck

    def outcome(self, command, known):
        status = command.wait(LONGEST_S)
        wait_until("tether-smd answers", self.answers, START_S, self.lab.logs())
        if self.known() > known:
            return the_end_of(self.lab, lambda row: row["id"] > known)["outcome"]
        assert status, "the command is content, and there was no migration"
        return NOT_BEGUN

    def answers(self):
        try:
            return self.lab.migrations() is not None
        except OSError:
            return False

    def programs_hold(self, kill, victim, struck):
        if victim.is_process:
            is_told(victim.survivor(self.load), struck)
        elif kill.outcome == "lost":
            both_are_told(self.load, struck)
        else:
            assert self.load.is_running(), f"the programs have ended{tails(self.load.logs())}"
            return
        self.load.kill()
        self.load = None

    def give_it_a_vf(self):
        """As sm-side/DESIGN.md has it: a VM that is left without one gets it where it is."""
        row = self.lab.ask(f"/v1/migrations/{self.known()}")
        assert "vm-without-vf" in [refusal["reason"] for refusal in row["refusals"]], f"VM 1 has no VF, and {row}"
        self.lab.migrate("vm1", self.lab.place_of("vm1")[0])

    def vm_holds(self, kill, destination):
        if kill.outcome == "lost" and not self.lab.place_of("vm1")[1]:
            self.give_it_a_vf()
        vm_is_where_it_should_be(self.lab, kill.outcome, self.at, destination)
        self.at = self.lab.place_of("vm1")[0]

    def fabric_holds(self):
        """Whoever died in it: packets get everywhere, and nothing of the dead is left."""
        def is_at_rest():
            status = self.lab.fabric.json("status")
            return status["message_chunks"] == 0 and status["events"] == 0

        wait_until("packets get everywhere", lambda: self.lab.fabric.check()["lost"] == 0, START_S, self.lab.logs())
        wait_until("nothing is on its way", is_at_rest, START_S, self.lab.logs())

    def endure(self, kill):
        destination = self.destination(kill.way)
        victim = {"source": Agent("source", self.at), "destination": Agent("destination", destination)}.get(
            kill.victim.role, kill.victim)
        struck = self.strike(kill, victim, destination)
        self.programs_hold(kill, victim, struck)
        everybody_is_there(self.lab)
        self.vm_holds(kill, destination)
        self.fabric_holds()
        self.load = self.load or Load(self.lab, "load")

    def look_closely(self):
        check_sa_truth(self.lab, settle=True, pkeys=pkeys_of(self.lab))
        self.undisturbed(0)
        self.pauses.append(both_are_exact(self.load))
        check_sa_truth(self.lab, pkeys=pkeys_of(self.lab))
        self.load.kill()
        self.load = Load(self.lab)


def endure_all(kills, done, pauses):
    """@done gets those that were struck, in whatever way this ends."""
    with BesiegedLab(partitions=partitions) as lab:
        lab.start()
        siege = Siege(lab)
        siege.pauses = pauses
        for kill in kills:
            done.append(kill)
            siege.endure(kill)
            if len(done) % LOOK_EVERY == 0 or kill is kills[-1]:
                siege.look_closely()


def print_tables(done):
    """What became of it by victim, and in which states they were struck."""
    rows = ((lambda kill: kill.outcome, OUTCOMES), (lambda kill: kill.step, ("(asking)", *STEPS)))
    for word_of, order in rows:
        count = collections.Counter((word_of(kill), kill.victim.name) for kill in done)
        words = dict.fromkeys([*order, *sorted(word for word, _ in count)])
        print_rows([("", *(victim.name for victim in VICTIMS)),
                    *((word, *(str(count[word, victim.name]) for victim in VICTIMS)) for word in words)])


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else KILLS
    print(f"# | seed {seed}", flush=True)
    chance = random.Random(seed)
    kills = [Kill(number + 1, chance) for number in range(count)]
    tap, everything, pauses = Tap(), [], []
    while len(everything) < count and tap.failed < MOST_FAILED:
        left = kills[len(everything):][:KILLS_OF_A_SYSTEM]
        done = []
        what = f"a_system_endures_kills_{left[0].number}_to_{left[-1].number}_at_random"
        if not tap.run(what, endure_all, left, done, pauses):
            print(f"# it ended with {done[-1] if done else 'its start'}; seed {seed}", flush=True)
        everything += done
    print_tables(everything)
    print(f"# | longest pause of programs that went on: {max(pauses, default=0):.2f} s", flush=True)
    tap.exit()


main()
