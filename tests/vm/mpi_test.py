#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Open MPI over UCX between two guests, every byte checked, under libtether: a job while nothing moves, and one through live migrations."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from vm.mpi import MEMORY_MIB, mpi_verify, start_shells, wrong  # noqa: E402
from vm.system import VmSystem  # noqa: E402

ARGUMENTS = "--quiet --rounds 7 --length 65536" if FULL else "--quiet --rounds 1 --length 4096"
MIGRATIONS = 3
STOP = "/tmp/stop"


def job(lab, launcher):
    addresses = [lab.address(vm) for vm in lab.vms]
    said = lab.guests["one"].run(mpi_verify(addresses, launcher, ARGUMENTS), 900)
    assert not wrong(said), wrong(said)


def rounds_done(job):
    return job.output().count("mpi-verify: round ")


def job_lives(lab, launcher):
    """A rank's guest moves to and fro, each time when another round has been done since; every byte is checked."""
    guest, addresses = lab.guests["one"], [lab.address(vm) for vm in lab.vms]
    lab.acquaint("one", "other")
    job = guest.start(mpi_verify(addresses, launcher, f"--until-file {STOP} --length 4096 --stall 300"))
    for move in range(MIGRATIONS):
        done = rounds_done(job)
        wait_until("another round is done", lambda: rounds_done(job) > done or job.status is not None, 300)
        assert job.status is None, job.output()
        moved = lab.migrate("other", ("h3", "h2")[move % 2])
        assert moved.answer["counts"]["qps"] and not moved.answer["counts"]["errors"], moved.answer
    guest.run(f"touch {STOP}")
    assert guest.wait(job, 600) == 0, job.output()
    assert not wrong(job.output()), wrong(job.output())


def main():
    tap = Tap()
    with VmSystem(hosts=("h1", "h2", "h3"), vfs=("vf0",), memory_mib=MEMORY_MIB) as lab:
        start_shells(lab.start(("one", "h1"), ("other", "h2")))
        tap.run("mpi-verify over rc_verbs and ud_verbs", job, lab, "tether run --")
        tap.run(f"mpi-verify through {MIGRATIONS} live migrations", job_lives, lab, "tether run --")
    tap.exit()


main()
