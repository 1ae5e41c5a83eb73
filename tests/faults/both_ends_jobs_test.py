#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: both_ends_jobs_test.py [SEED]

mpi-verify and hpcc with a rank in each of two VMs that both move at once, while one in ten messages of the signalling is lost, and one
in a hundred packets, as in both_ends_test.py."""
import os
import random
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

from faults.both_ends_rounds import Rounds, say  # noqa: E402
from faults.hpcc_job import HpccJob  # noqa: E402
from faults.lossy_counts import Result  # noqa: E402
from faults.lossy_lab import LossyLab  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.mpi import MIGRATE_S, MpiVerify  # noqa: E402
from lab.mpi import SETTINGS as MPI_SETTINGS  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

ROUNDS = 50 if FULL else 1
os.environ["UCX_RC_TIMEOUT"] = "67ms"  # as lossy_test.py
SYSTEM = {"copy_ms": 20, "settings": {**MPI_SETTINGS, "heartbeat_ms": 200}}
A_JOB = 2  # rounds: it takes longer than these, most times


def under_mpi_verify(lab, rounds, draw, result):
    moves = Rounds(lab, draw, True, lab.packets(), patience_s=MIGRATE_S)
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
    moves = Rounds(lab, draw, True, lab.packets(), always_connected=False, patience_s=MIGRATE_S)
    ways, jobs = moves.pair.ways(), 0
    ways[:-2] = draw.sample(ways[:-2], len(ways) - 2)  # those that nobody disturbs come first
    try:
        while moves.done < rounds:
            jobs += 1
            with HpccJob(lab, jobs) as job:
                for _ in range(min(A_JOB, rounds - moves.done)):
                    if not job.is_running():
                        break
                    number = moves.done + moves.disturbed
                    moves.round(ways[number % len(ways)], {}, job.is_running)
                job.end_exactly()
            moves.not_too_many(rounds)
    finally:
        moves.show()
    moves.many_have_waited()
    say(f"hpcc, {jobs} jobs", moves, {}, result)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1, 1 << 32)
    print(f"# seed {seed}", flush=True)
    tap = Tap()
    with LossyLab(seed, **SYSTEM) as lab:
        lab.start()
        for program, under in (("mpi-verify", under_mpi_verify), ("hpcc", under_hpcc)):
            tap.run(f"{program}: both_ends_move_at_once_{ROUNDS}_times_while_much_is_lost_and_everything_arrives_once", under, lab, ROUNDS,
                    random.Random(seed), Result(program))
        lab.fabric.data_faults({})
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    tap.exit()


main()
