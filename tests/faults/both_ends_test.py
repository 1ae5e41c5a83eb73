#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: both_ends_test.py [SEED [ROUNDS]]

Programs between two VMs that both move at once, each round in another way, while one in ten messages of the signalling is lost, and one
in a hundred packets (lossy_lab.py): rc-verify with 8 QPs in all rounds, mpi-verify and hpcc in a part of them. Then rc-verify on a data
plane that is hostile, where no message is lost, and ud-verify on a calm one. Both get there, one after the other: never have both closed gates, and one has waited for the other's end. Nothing is lost,
repeated or changed. What was given up was where it had been, is asked for again, and is no such round."""
import os
import random
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

from faults.both_ends import Pair  # noqa: E402
from faults.hpcc_job import HpccJob  # noqa: E402
from faults.lossy_counts import Result, messages_were_lost, packets_were_lost  # noqa: E402
from faults.lossy_lab import LossyLab  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.mpi import SETTINGS as MPI_SETTINGS  # noqa: E402
from lab.mpi import MpiVerify  # noqa: E402
from lab.system import PATIENT, SHARED_PORT_NET, System  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from lab.workload import FINDINGS, RcVerify, UdVerify  # noqa: E402

ROUNDS = 200 if FULL else 6
ROUNDS_OF_MPI = 50 if FULL else 1
ROUNDS_OF_HPCC = 50 if FULL else 1
ROUNDS_ON_HOSTILE = 60 if FULL else 2
ROUNDS_OF_DATAGRAMS = 20 if FULL else 2
ROUNDS_OF_OTHERS = 20
os.environ["UCX_RC_TIMEOUT"] = "67ms"  # as lossy_test.py
# Other systems; the ways are the same.
OTHERS = {"dynamic_lids": {"dynamic": True}, "agents_in_the_vms": {"guests": True}, "shared_ports": {"net": SHARED_PORT_NET}} if FULL else {}
WORK = ["-q", "8", "--atomics", "client", "--late-every", "1000", "--late-ms", "400"]
# Where for a whole round no acknowledgement comes an atomic without its answer aborts a migration before the transport gives up on it.
HOSTILE_WORK = [*WORK, "--ack-timeout", "18"]
HOSTILE_SETTINGS = {**PATIENT, "stop_ms": 1500}
# As in rc_verify_migration_test.py; the client, in VM 1, does atomics.
FAULTS = ({"drop.ack": 1}, {"VM2>VM1:cut": "1:1"}, {"drop.ack": 0.5, "hold": "1:300000"}, {"VM2>VM1:drop.request": 0.7},
          {"VM1>VM2:drop.response": 1}, {})
CALM = ({},)
RC_SYSTEM = {"copy_ms": 5, "settings": PATIENT, "guests": True, "signal": "mad", "tree": {host: "rack" for host in ("hyp1", "hyp2")}}
MPI_SYSTEM = {"copy_ms": 20, "settings": {**MPI_SETTINGS, "heartbeat_ms": 200}}
SPARE = 4  # rounds that are not done, if there are few
A_JOB = 2  # rounds: it takes longer than these
MANY = 30  # rounds: of so many either VM is the first in some
SETTLE_S = 0.05  # so much work between two rounds


def with_names(setting, lids):
    for name, lid in lids.items():
        setting = setting.replace(name, lid)
    return setting


class Rounds:
    def __init__(self, lab, draw, lossy=False, packets=None, always_connected=True):
        self.lab, self.draw, self.pair = lab, draw, Pair(lab, draw, lossy, packets, always_connected)
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


def both_move_at_once(lab, rounds, draw, result=None):
    """@result: messages and packets are lost, which it counts (since the lab began); else the data plane is hostile."""
    moves = Rounds(lab, draw, bool(result), result and lab.packets())
    moves.pair.faults({})
    with RcVerify(lab, "vm2", "vm1", WORK if result else HOSTILE_WORK) as verify:
        wait_until("rc-verify works", verify.is_working, 60, verify.logs(), [verify.client])
        try:
            moves.run(verify, rounds, CALM if result else FAULTS)
            verdicts = verify.end_exactly()
        finally:
            moves.show()
    for verdict in verdicts:
        assert verdict["sums_ok"] and verdict["qpns_same"] and verdict["lid_before"] == verdict["lid_after"]
    moves.many_have_waited()
    say("rc-verify", moves, {name: sum(verdict[name] for verdict in verdicts) for name in FINDINGS}, result)


def under_mpi_verify(lab, rounds, draw, result):
    moves = Rounds(lab, draw, True, lab.packets())
    with MpiVerify(lab, "openmpi", "rc_verbs", ["--seed", str(lab.seed % 1000)]) as job:
        job.wait_rounds(1)
        try:
            moves.run(job, rounds)
            findings = job.end_exactly()
        finally:
            moves.show()
    moves.many_have_waited()
    say("mpi-verify", moves, findings, result)


def under_hpcc(lab, rounds, draw, result):
    """One job after the other, each of which finds its results right."""
    moves = Rounds(lab, draw, True, lab.packets(), always_connected=False)
    ways, jobs = moves.pair.ways(), 0
    ways[:-2] = draw.sample(ways[:-2], len(ways) - 2)  # those that nobody disturbs come first
    try:
        while moves.done < rounds:
            jobs += 1
            with HpccJob(lab, jobs) as job:
                for _ in range(min(A_JOB, rounds - moves.done)):
                    number = moves.done + moves.disturbed
                    moves.round(ways[number % len(ways)], {}, job.is_running)
                job.end_exactly()
            moves.not_too_many(rounds)
    finally:
        moves.show()
    moves.many_have_waited()
    say(f"hpcc, {jobs} jobs", moves, {}, result)


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


def no_datagram_is_lost(lab, rounds, draw):
    """On a calm fabric."""
    moves = Rounds(lab, draw)
    with UdVerify(lab, "vm2", "vm1") as verify:
        ways = moves.pair.ways()
        for number in range(rounds):
            time.sleep(SETTLE_S)
            moves.round(ways[number % len(ways)], {})
            assert verify.is_running(), f"ud-verify ended after round {number}{verify.words()}"
        verify.stop()
        verdicts = verify.results()
    for verdict in verdicts:
        assert verdict.get("ok") and not verdict["lost"], verdict


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1, 1 << 32)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    print(f"# seed {seed}", flush=True)
    tap = Tap()
    with LossyLab(seed, **RC_SYSTEM) as lab:
        lab.start()
        tap.run(f"rc-verify: both_ends_move_at_once_{rounds}_times_while_much_is_lost_and_everything_arrives_once", both_move_at_once,
                lab, rounds, random.Random(seed), Result("rc-verify"))
        lab.fabric.data_faults({})
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    with LossyLab(seed, **MPI_SYSTEM) as lab:
        lab.start()
        for program, under, count in (("mpi-verify", under_mpi_verify, ROUNDS_OF_MPI), ("hpcc", under_hpcc, ROUNDS_OF_HPCC)):
            tap.run(f"{program}: both_ends_move_at_once_{count}_times_while_much_is_lost_and_everything_arrives_once", under, lab, count,
                    random.Random(seed), Result(program))
        lab.fabric.data_faults({})
        tap.run("sa_and_fabric_agree_after_these", check_sa_truth, lab)
    with System(copy_ms=5, settings=HOSTILE_SETTINGS) as lab:
        lab.start()
        tap.run(f"so_they_do_{ROUNDS_ON_HOSTILE}_times_on_a_hostile_data_plane", both_move_at_once, lab, ROUNDS_ON_HOSTILE,
                random.Random(seed))
        tap.run(f"so_they_do_{ROUNDS_OF_DATAGRAMS}_times_and_no_datagram_is_lost", no_datagram_is_lost, lab, ROUNDS_OF_DATAGRAMS,
                random.Random(seed))
        tap.run("and_sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    for name, system in OTHERS.items():
        with System(copy_ms=5, settings=HOSTILE_SETTINGS, **system) as lab:
            lab.start()
            tap.run(f"so_they_do_{ROUNDS_OF_OTHERS}_times_with_{name}", both_move_at_once, lab, ROUNDS_OF_OTHERS, random.Random(seed))
    tap.exit()


main()
