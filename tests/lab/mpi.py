# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""MPI jobs with each rank in a VM of its own, over UCX and verbs alone (no shared memory, no TCP), and VMs that move at
random meanwhile."""
import os
import re
import time

from lab.build import TOP
from lab.deadline import tails, wait_until
from lab.migration import migrate
from lab.system import PATIENT, CommandFailed
from lab.workload import last_json

IN_VM = os.path.join(TOP, "demo-apps", "in_vm")
TRANSPORTS = {"rc_verbs": "rc_verbs,ud_verbs:aux,self", "ud_verbs": "ud_verbs,self"}
# Ranks that poll leave little time to what a move is made of, on a machine that is busy elsewhere as well.
# The plugin bounds for how long sweeps are held.
SETTINGS = {**{name: ms if name in ("guids_ms", "sm_lease_ms", "apply_ms") else 3 * ms for name, ms in PATIENT.items()},
            "move_ms": 60000, "heartbeat_ms": 1000}
ROUND_S = 120  # for a round of mpi-verify
MIGRATE_S = 200
VERIFIED = ("lost", "duplicated", "reordered", "corrupted", "failed", "errors")  # what mpi-verify may find
ROUND_LINE = re.compile(r"^mpi-verify: round (\d+) done", re.M)


def slots(vms, hosts=("hyp1", "hyp2", "hyp3", "hyp4")):
    """Where @vms VMs are at the start: spread over the hypervisors."""
    return {f"vm{n + 1}": f"{hosts[n % len(hosts)]}_vf{n // len(hosts) + 1}" for n in range(vms)}


def launcher(mpi, ranks):
    if mpi == "mpich":
        return ["mpirun.mpich", "-n", str(ranks)]
    return ["mpirun.openmpi", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ucx", "--mca", "btl",
            "^openib,ofi,vader,tcp", "--mca", "osc", "ucx", "--mca", "mpi_yield_when_idle", "1"]


def environment(system, transport, tether):
    env = {"UCX_TLS": TRANSPORTS[transport], "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
           "OPENBLAS_NUM_THREADS": "1", "MPIR_CVAR_NOLOCAL": "1", "TMPDIR": system.directory}
    if tether:
        env.update(TETHER_CLI=system.build.program("tether"), TETHER_LOG=system.path("libtether.log"))
    return env


class Job:
    """@argv as the program of every rank; as many ranks as @system has VMs. As a context it ends with it."""

    def __init__(self, system, mpi, transport, argv, tether=True, name="job", directory=None):
        # in_vm changes into no directory, so a program that writes where it is started gets there by a shell.
        go = ["sh", "-c", 'cd "$0" && exec "$@"', directory] if directory else []
        self.process = system.children.start(
            name, [*go, *launcher(mpi, len(system.vms)), IN_VM, *argv],
            {**system.environment(), **environment(system, transport, tether)}, separate_output=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.process.kill()

    def is_running(self):
        return self.process.poll() is None

    def logs(self):
        return [self.process.log, self.process.stdout_path]

    def words(self):
        return tails(self.logs())


class MpiVerify(Job):
    """mpi-verify in rounds until it is told to stop."""

    def __init__(self, system, mpi, transport, arguments=(), tether=True):
        self.stop_file = system.path(f"stop-{mpi}-{transport}")
        super().__init__(system, mpi, transport, [system.build.program(f"mpi-verify-{mpi}"), "--json", "--until-file",
                                                  self.stop_file, *arguments], tether, f"mpi-verify-{mpi}-{transport}")

    def rounds(self):
        with open(self.process.log, errors="replace") as log:
            return max(map(int, ROUND_LINE.findall(log.read())), default=0)

    def wait_rounds(self, more):
        """So many rounds after now; Late when the job ends or hangs before."""
        wanted = self.rounds() + more
        wait_until(f"mpi-verify's round {wanted}", lambda: self.rounds() >= wanted, ROUND_S, self.logs(), [self.process])

    def finish(self, seconds=ROUND_S):
        """Exit status, and what rank 0 says of all."""
        with open(self.stop_file, "w"):
            pass
        status = self.process.wait(seconds)
        return status, last_json(self.process.output())

    def end_exactly(self):
        """Stopped after one more round, all is well. What it may have found, which is nothing."""
        self.wait_rounds(1)
        status, said = self.finish()
        assert status == 0 and said.get("ok"), f"{status} {said}{self.words()}"
        return {name: said.get(name) for name in VERIFIED}


class Wander:
    """A VM drawn at random goes to a hypervisor drawn at random of those that have a VF free. A migration that is refused
    (a connection was just being made), or that was not done in time and after which the VM goes on where it was, is asked for
    again, with another draw."""

    VFS = 4
    HARMLESS = ("refused", "aborted", "failed-at-source")

    def __init__(self, system, random, report=lambda what: None, again=4, links_break=False):
        """@again: how often, one after the other. @links_break: an agent may just be connecting again when it is asked for."""
        self.reasons = ("host-not-connected",) if links_break else ()
        self.system = system
        self.again = again
        self.random = random
        self.report = report
        self.moved = []
        self.in_vain = 0

    def places(self):
        return {row["name"]: row["host"] for row in self.system.ask("/v1/vms")["vms"]}

    def attempt(self):
        at = self.places()
        vm = self.random.choice(sorted(self.system.vms))
        free = [host for host in self.system.hosts if host != at[vm] and list(at.values()).count(host) < self.VFS]
        return migrate(self.system, vm, at[vm], self.random.choice(free), seconds=MIGRATE_S)

    def is_harmless(self, answer):
        return answer.get("outcome") in self.HARMLESS or answer.get("reason") in self.reasons

    def step(self):
        for left in reversed(range(self.again + 1)):
            try:
                self.moved.append(self.attempt())
                return self.moved[-1]
            except CommandFailed as failed:
                if not self.is_harmless(failed.answer) or not left:
                    raise
                self.in_vain += 1
                self.report(f"{failed.answer.get('vm')} {failed.answer.get('outcome')}: {failed.answer.get('text', '')}"
                            f"{[refusal['text'] for refusal in failed.answer.get('refusals', [])]}")
            self.pause()

    def pause(self):
        """The program runs undisturbed for a time drawn at random, so that a move finds it anywhere."""
        time.sleep(self.random.random() / 2)
