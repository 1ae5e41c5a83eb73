#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""mpi-verify over shared memory, under both MPIs: exact when nothing is wrong, every fault that a check should find is
found, a rank that hangs is noticed, and what was asked wrongly is refused."""
import contextlib
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import last_json  # noqa: E402

ALLOWED = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
# Open MPI's one-sided operations over shared memory have faults of their own; those over messages have not.
LAUNCH = {
    "openmpi": ["mpirun.openmpi", "--oversubscribe", "--mca", "pml", "ob1", "--mca", "btl", "self,vader", "--mca", "osc", "pt2pt",
                "--mca", "mpi_yield_when_idle", "1"],
    "mpich": ["mpirun.mpich"],
}
FINDINGS = ("lost", "duplicated", "reordered", "corrupted", "failed", "errors")


def command(build, mpi, ranks, arguments):
    return [*LAUNCH[mpi], "-n", str(ranks), build.program(f"mpi-verify-{mpi}"), "--stall", "30", *arguments]


def run(build, mpi, ranks, *arguments):
    return subprocess.run(command(build, mpi, ranks, arguments), capture_output=True, text=True, timeout=200,
                          env={**os.environ, **ALLOWED})


def exact(build, mpi):
    done = run(build, mpi, 3, "--rounds", "2", "--json", "--quiet")
    result = last_json(done.stdout)
    assert done.returncode == 0 and result["ok"] and not any(result[name] for name in FINDINGS), done.stdout + done.stderr
    assert result["rounds"] == 2 and result["ranks"] == 3 and result["messages"] > 1000, result
    assert all(row["runs"] == 2 for row in result["checks"].values()), result


def every_fault_is_found(build, mpi):
    done = run(build, mpi, 2, "--spoil", "--json", "--quiet")
    result = last_json(done.stdout)
    assert done.returncode == 0 and result["ok"] and result["found"] == result["spoilt"] > 200, done.stdout


def what_makes_no_sense_is_refused(build, mpi):
    assert run(build, mpi, 2, "--rounds", "0").returncode != 0
    assert run(build, mpi, 2, "--check", "nothing").returncode != 0
    assert run(build, mpi, 1, "--rounds", "1").returncode != 0


def ranks_of(launcher):
    """pids of mpi-verify below @launcher, by rank."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/comm") as comm:
                env = dict(row.split(b"=", 1) for row in environ.read().split(b"\0") if b"=" in row)
                is_rank = comm.read().startswith("mpi-verify") and env.get(b"TETHER_TEST") == str(launcher).encode()
        except OSError:
            continue
        if is_rank:
            found[int(env.get(b"OMPI_COMM_WORLD_RANK", env.get(b"PMI_RANK", b"-1")))] = int(pid)
    return found


def a_rank_that_hangs_is_noticed(build, mpi):
    argv = [*LAUNCH[mpi], "-n", "2", build.program(f"mpi-verify-{mpi}"), "--stall", "2", "--seconds", "600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                          env={**os.environ, **ALLOWED, "TETHER_TEST": str(os.getpid())}) as child:
        try:
            for line in child.stdout:
                if "round 1 done" in line:
                    break
            stopped = wait_until("rank 1 runs", lambda: ranks_of(os.getpid()).get(1), 20)
            os.kill(stopped, signal.SIGSTOP)
            for line in child.stdout:
                if "no progress" in line:
                    break
            with contextlib.suppress(ProcessLookupError):  # the launcher may have been faster
                os.kill(stopped, signal.SIGKILL)
            assert child.wait(30) != 0 and "no progress" in line, line
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def a_file_ends_it(build, mpi):
    done = run(build, mpi, 2, "--until-file", __file__, "--check", "bcast", "--json", "--quiet")
    assert done.returncode == 0 and last_json(done.stdout)["rounds"] == 1, done.stdout + done.stderr


def main():
    tap = Tap()
    build = Build()
    for mpi in LAUNCH:
        for test in (exact, every_fault_is_found, what_makes_no_sense_is_refused, a_file_ends_it, a_rank_that_hangs_is_noticed):
            tap.run(f"{mpi}: {test.__name__}", test, build, mpi)
    tap.exit()


main()
