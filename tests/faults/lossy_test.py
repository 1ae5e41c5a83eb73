#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: lossy_test.py [SEED [PROGRAM...]]

rc-verify, mpi-verify and hpcc through migrations of either end while one in ten messages is lost, of each kind and on each way of the
signalling, and one in a hundred packets: nothing lost, nothing twice, nothing changed. A migration counts that is done; one that was
given up, and after which the VM went on where it was, is asked for again. What was lost is counted, for each way apart, and where that
is nothing the test fails. 50 migrations each with TETHER_FULL=1."""
import os
import random
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

from faults.hpcc_job import HpccJob  # noqa: E402
from faults.lossy_counts import Result, messages_were_lost, packets_were_lost  # noqa: E402
from faults.lossy_lab import LossyLab  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import Late, wait_until  # noqa: E402
from lab.mpi import SETTINGS, MpiVerify, Wander, slots  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, CommandFailed  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import FINDINGS, RcVerify  # noqa: E402

MIGRATIONS = 50 if FULL else 2
HARMLESS = Wander.HARMLESS
LINK_LOST = "host-not-connected"  # three heartbeats in a row were lost when it was asked for
CONNECT_S = 30
MOVES_WITHOUT = 2  # migrations where nobody repeats anything
A_JOB = 3  # migrations: it takes longer than these
WORK = ["-q", "8"]
# Lost packets are sent again as soon as by rc-verify's queue pairs, so that programs work more than they wait.
os.environ["UCX_RC_TIMEOUT"] = "67ms"


class TakenTurns:
    """Of rc-verify's two ends."""

    def __init__(self, lab):
        self.turns, self.again = Turns(lab), 0

    def step(self):
        try:
            return self.turns.move()
        except CommandFailed as failed:
            if failed.answer.get("outcome") not in HARMLESS and failed.answer.get("reason") != LINK_LOST:
                raise
            self.again += 1
            if self.again > MIGRATIONS:
                raise
            print(f"# asked for again: {failed.answer.get('outcome', LINK_LOST)}, "
                  f"{[row['text'] for row in failed.answer.get('refusals', [])]}", flush=True)
        wait_until("all are connected", lambda: self.turns.lab.is_connected(self.turns.lab.hosts), CONNECT_S)
        self.turns.look()
        return None


def migrate_through(result, step, is_at_work, words):
    """@step: a migration, or None for one that is to be asked for again."""
    while result.done < result.wanted:
        moved = step()
        assert is_at_work(), f"it ended after migration {result.done}{words()}"
        result.done += moved is not None
        if moved:
            result.longest_s = max(result.longest_s, moved.ended - moved.began)


def under_rc_verify(lab, result, options=()):
    turns = TakenTurns(lab)
    with RcVerify(lab, "vm2", "vm1", [*WORK, *options]) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        migrate_through(result, turns.step, verify.is_running, verify.words)
        result.again = turns.again
        verdicts = verify.end_exactly()
    result.findings = {name: sum(verdict[name] for verdict in verdicts) for name in FINDINGS}


def under_mpi_verify(lab, result):
    wander = Wander(lab, random.Random(lab.seed), lambda what: print(f"# asked for again: {what}", flush=True),
                    links_break=True)
    with MpiVerify(lab, "openmpi", "rc_verbs", ["--seed", str(lab.seed % 1000)]) as job:
        job.wait_rounds(1)
        migrate_through(result, wander.step, job.is_running, job.words)
        result.again = wander.in_vain
        result.findings = job.end_exactly()


def hpcc_once(lab, wander, result, number):
    """A migration that ends when the job has ended does not count. It is rare: a process is not known to have ended, since whoever
    listens sees the wire's."""
    with HpccJob(lab, number) as job:
        for _ in range(min(A_JOB, result.wanted - result.done)):
            wander.pause()
            if not job.is_running():
                break
            moved = wander.step()
            result.done += job.is_running()
            result.longest_s = max(result.longest_s, moved.ended - moved.began)
        job.end_exactly()


def under_hpcc(lab, result):
    """One job after the other, each of which finds its results right."""
    wander = Wander(lab, random.Random(lab.seed), lambda what: print(f"# asked for again: {what}", flush=True),
                    links_break=True)
    number = 0
    while result.done < result.wanted:
        number += 1
        hpcc_once(lab, wander, result, number)
    result.again = wander.in_vain
    result.program = f"hpcc, {number} jobs"


def run(seed, program, result):
    under, system = RUNS[program]
    with LossyLab(seed, **system) as lab:
        lab.start()
        try:
            under(lab, result)
        finally:
            result.take(lab)
        lab.fabric.data_faults({})
        check_sa_truth(lab)


def nothing_is_lost_twice_or_changed(seed, program, results):
    result = Result(program, MIGRATIONS)
    try:
        run(seed, program, result)
    finally:
        result.say()
    results.append(result)
    assert result.done == MIGRATIONS and not any(result.findings.values()), result.findings


def without_repeats(seed, loses):
    """rc-verify where nobody repeats anything. How many messages were lost, and what went wrong."""
    os.environ["TETHER_REPEATS"] = "off"
    try:
        with LossyLab(seed, loses, **RC_SYSTEM) as lab:
            failure = None
            try:
                lab.start()
                under_rc_verify(lab, Result("rc-verify", MOVES_WITHOUT))
            except (Late, CommandFailed) as failed:
                failure = str(failed)
            return sum(lost for _, lost in lab.wires.counts()[0].values()), failure
    finally:
        del os.environ["TETHER_REPEATS"]


def without_repeats_the_same_run_fails(seed):
    """And works where nothing is lost: it is what is lost that ends it."""
    lost, failure = without_repeats(seed, False)
    assert not lost and not failure, f"{lost} messages were lost: {failure}"
    lost, failure = without_repeats(seed, True)
    assert lost and failure, f"{lost} messages were lost, and it has come to its end"
    print(f"# | without repeats, {lost} messages lost: {failure.splitlines()[0]}; none lost: {MOVES_WITHOUT} migrations done", flush=True)


def as_much_was_lost_as_is_said(results):
    assert results, "no run came to its end"
    for result in results:
        messages_were_lost(result)
        packets_were_lost(result)


RC_SYSTEM = {"copy_ms": 5, "settings": PATIENT, "guests": True, "signal": "mad", "tree": {host: "rack" for host in ("hyp1", "hyp2")}}
MPI_SYSTEM = {"copy_ms": 20, "settings": {**SETTINGS, "heartbeat_ms": 200}, "vms": slots(2)}
RUNS = {
    "rc-verify": (under_rc_verify, RC_SYSTEM),
    "mpi-verify": (under_mpi_verify, MPI_SYSTEM),
    "hpcc": (under_hpcc, MPI_SYSTEM),
}
SHORT = ("rc-verify", "mpi-verify")  # hpcc's round is both_ends_jobs_test.py's then
if FULL:
    RUNS["rc-verify, shared receives"] = (lambda *of: under_rc_verify(*of, ["--receives", "shared", "--cq", "each"]), RC_SYSTEM)
    RUNS["rc-verify over xrc"] = (lambda *of: under_rc_verify(*of, ["--transport", "xrc"]), RC_SYSTEM)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1, 1 << 32)
    print(f"# | seed {seed}", flush=True)
    tap, results = Tap(), []
    for program in sys.argv[2:] or (RUNS if FULL else SHORT):
        tap.run(f"nothing_is_lost_twice_or_changed_through_{MIGRATIONS}_migrations: {program}", nothing_is_lost_twice_or_changed,
                seed, program, results)
    tap.run("as_much_was_lost_as_is_said", as_much_was_lost_as_is_said, results)
    tap.run("without_repeats_the_same_run_fails", without_repeats_the_same_run_fails, seed)
    tap.exit()


main()
