# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Rounds in which two VMs that talk to each other move at once, each in another way, under a program whose work is checked. Both get
there, one after the other: never have both closed gates, and one has waited for the other's end. What was given up was where it had
been, is asked for again, and is no such round."""
import time

from faults.both_ends import Pair
from faults.lossy_counts import messages_were_lost, packets_were_lost
from lab.deadline import wait_until
from lab.tap import print_rows
from lab.workload import FINDINGS, RcVerify

WORK = ["-q", "8", "--atomics", "client", "--late-every", "1000", "--late-ms", "400"]
CALM = ({},)
SPARE = 4  # rounds that are not done, if there are few
MANY = 30  # rounds: of so many either VM is the first in some
SETTLE_S = 0.05  # so much work between two rounds


def with_names(setting, lids):
    for name, lid in lids.items():
        setting = setting.replace(name, lid)
    return setting


class Rounds:
    def __init__(self, lab, draw, lossy=False, packets=None, **named):
        """@named: as Pair has them."""
        self.lab, self.draw, self.pair = lab, draw, Pair(lab, draw, lossy, packets, **named)
        self.lids = {vm.upper(): str(lab.lid_of(vm)) for vm in lab.vms}
        self.done = self.disturbed = 0
        self.table = {}

    def run(self, program, rounds, faults=CALM):
        """Until so many are done, in all."""
        ways = self.pair.ways()
        self.draw.shuffle(ways)
        while self.done < rounds:
            time.sleep(SETTLE_S)
            number = self.done + self.disturbed
            self.round(ways[number % len(ways)], faults[(number + number // len(ways)) % len(faults)])
            assert program.is_running(), f"{program} ended after round {number}{program.words()}"
            self.not_too_many(rounds)

    def not_too_many(self, rounds):
        assert self.disturbed <= rounds + SPARE, f"{self.disturbed} rounds were not done, {self.done} were"

    def round(self, way, faults, is_running=lambda: True):
        """One behind whose end the program does not run any more is none."""
        name = way.__name__
        self.pair.faults({with_names(key, self.lids): value for key, value in faults.items()})
        try:
            both = way() and is_running()
        finally:
            self.pair.faults({})
        self.pair.look()
        self.pair.look_at_those_at_once()
        self.done += both
        self.disturbed += not both
        row = self.table.setdefault(name, [0, 0])
        row[not both] += 1

    def show(self):
        print_rows([["asked for", "both done at once", "one or both given up, then done"]]
                   + [[name.replace("_", " "), str(done), str(other)] for name, (done, other) in self.table.items()])
        made_up, replayed = (sum(m.get("counts", {}).get(what, 0) for m in self.pair.ended) for what in ("made_up", "replayed"))
        first = ", ".join(f"{count} times for {vm}'s" for vm, count in sorted(self.pair.first.items()))
        print(f"# | {len(self.pair.ended)} migrations; completions made up from evidence: {made_up}, work requests replayed: {replayed}; "
              f"waited for the other's end: {first}; put off by an evacuation: {self.pair.put_off}", flush=True)
        print(f"# | given up: {dict(self.pair.given_up) or 'none'}; at once, nothing in common when prepared: {self.pair.shared_nothing}",
              flush=True)

    def many_have_waited(self):
        """In each round that is counted one has, or was put off, by tether-smd's log; and either has been the first."""
        waited = sum(self.pair.first.values())
        assert waited + self.pair.put_off >= self.done, f"{waited} and {self.pair.put_off} of {self.done}"
        assert len(self.pair.first) == 2 or waited < MANY, self.pair.first


def both_move_at_once(lab, rounds, draw, result=None, work=WORK, faults=CALM):
    """Under rc-verify. @result: messages and packets are lost, which it counts (since the lab began)."""
    moves = Rounds(lab, draw, bool(result), result and lab.packets())
    moves.pair.faults({})
    with RcVerify(lab, "vm2", "vm1", work) as verify:
        wait_until("rc-verify works", verify.is_working, 60, verify.logs(), [verify.client])
        try:
            moves.run(verify, rounds, faults)
            verdicts = verify.end_exactly()
        finally:
            moves.show()
    for verdict in verdicts:
        assert verdict["sums_ok"] and verdict["qpns_same"] and verdict["lid_before"] == verdict["lid_after"]
    moves.many_have_waited()
    say("rc-verify", moves, {name: sum(verdict[name] for verdict in verdicts) for name in FINDINGS}, result)


def say(program, moves, findings, result):
    assert not any(findings.values()), findings
    if result:
        result.program, result.done, result.findings = program, moves.done, findings
        result.take(moves.lab)
        result.say_lost()
        messages_were_lost(result)
        packets_were_lost(result)
    print(f'# | {program}: {{"both_moved_at_once": {moves.done}, "lost": {findings.get("lost", 0)}, '
          f'"duplicated": {findings.get("duplicated", 0)}, "corrupted": {findings.get("corrupted", 0)}}}', flush=True)
