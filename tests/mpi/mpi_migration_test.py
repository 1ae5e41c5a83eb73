#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified MPI jobs whose VMs move: the runs of `make demo-mpi`, two of them and with few migrations (TETHER_FULL: all of
it). Without libtether the same run fails."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

import mpi_verdict  # noqa: E402
from lab.build import Build  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.mpi import SETTINGS, MpiVerify, slots  # noqa: E402
from lab.system import CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import last_json  # noqa: E402
from mpi_runs import Run  # noqa: E402

SEED = 1
# MPI, transport, ranks, migrations under mpi-verify, migrations under hpcc
FEW = [("openmpi", "rc_verbs", 2, 3, 0), ("mpich", "ud_verbs", 3, 3, 0)]


# The same on a wire that loses packets while a VM moves.
HOSTILE = [(("openmpi", "rc_verbs", 3, 4, 0), {"drop.request": 0.1, "drop.ack": 0.3})]
if FULL:
    HOSTILE += [(("mpich", "rc_verbs", 4, 12, 0), {"drop.request": 0.1, "drop.ack": 0.3}),
                (("openmpi", "ud_verbs", 4, 12, 0), {"drop.ud": 0.05}), (("mpich", "ud_verbs", 3, 12, 0), {"drop.ud": 0.05})]


def say(what):
    print("\n".join("# " + line for line in what.splitlines()), flush=True)


def nothing_is_wrong_after(planned, faults=None):
    run = Run(*planned, SEED, say, faults=faults)
    row = run.go()
    assert mpi_verdict.run_is_good(row) and row["migrations"] == planned[3], row


def the_demo_is_good():
    done = subprocess.run([os.path.join(TOP, "demo-apps", "demo_mpi"), "--build", Build().directory, "--seed", str(SEED)],
                          capture_output=True, text=True)
    result = last_json(done.stdout)
    say(done.stdout)
    assert done.returncode == 0 and mpi_verdict.is_good(result), f"exit status {done.returncode}\n{done.stderr}"


def it_is_the_detach_that_failed(run):
    """And nothing before it: the job was at work. The driver says so, or that it took too long."""
    assert run.rounds >= 1 and isinstance(run.failure, CommandFailed), f"it did not come so far: {run.failure!r}"
    answer = run.failure.answer
    assert answer["outcome"] == "failed-at-source" and "detaching" in [step["state"] for step in answer["steps"]], answer
    assert any("still holds its VF" in refusal["text"] or refusal["text"].startswith("in detaching")
               for refusal in answer["refusals"]), answer


def without_libtether_the_run_fails():
    """The VM cannot be taken its VF politely."""
    run = Run(*FEW[0], SEED, say, tether=False, settings={**SETTINGS, "detach_ms": 3000}, in_vain=0)
    row = run.go()
    assert row["migrations"] == 0 and not mpi_verdict.run_is_good(row), row
    it_is_the_detach_that_failed(run)


def without_libtether_the_job_does_not_live_through_a_move(mpi, transport):
    """Nor otherwise: the VF is pulled, and there is one again elsewhere at once."""
    with System(vms=slots(2)) as lab:
        lab.start_fabric()
        lab.start_opensm()
        with MpiVerify(lab, mpi, transport, ["--stall", "10"], tether=False) as job:
            job.wait_rounds(1)
            lab.fabric.cli("detach", "vm1", "--surprise")
            lab.fabric.cli("attach", "vm1", "hyp3_vf1")
            wait_until("the job ends", lambda: not job.is_running(), 60, job.logs())
            assert job.process.wait(1) != 0 and not last_json(job.process.output()).get("ok"), job.words()


def main():
    tap = Tap()
    if FULL:
        tap.run("the_demo_is_good", the_demo_is_good)
    else:
        for planned in FEW:
            tap.run(f"nothing_is_wrong_after: {planned}", nothing_is_wrong_after, planned)
    for planned, faults in HOSTILE:
        tap.run(f"nothing_is_wrong_after: {planned}, {faults}", nothing_is_wrong_after, planned, faults)
    tap.run("without_libtether_the_run_fails", without_libtether_the_run_fails)
    for mpi, transport in (("openmpi", "rc_verbs"), ("mpich", "ud_verbs")):
        tap.run(f"without_libtether_the_job_does_not_live_through_a_move: {mpi}, {transport}",
                without_libtether_the_job_does_not_live_through_a_move, mpi, transport)
    tap.exit()


main()
