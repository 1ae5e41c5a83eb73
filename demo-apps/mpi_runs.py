# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""One run of the MPI demo: a fabric of its own, each rank in a VM of its own, and VMs that move at random while
mpi-verify, and under Open MPI then hpcc, work in them."""
import os
import random
import shutil
import time

import hpcc
import mpi_verdict
from lab.deadline import Late, wait_until
from lab.mpi import SETTINGS, Job, MpiVerify, Wander, slots
from lab.system import CommandFailed, System

COPY_MS = 20
NAMES = {"openmpi": "Open MPI", "mpich": "MPICH"}
HPCC_S = 300


def has_begun(path):
    try:
        with open(path, errors="replace") as output:
            return "Begin of" in output.read()
    except FileNotFoundError:
        return False


class Run:
    """@moves, @hpcc_moves: how many migrations under mpi-verify and under hpcc (0: no hpcc). @say: for progress lines.
    @settings: of the system, if its patience is to be another. @in_vain: how often a migration is asked for again.
    @faults: what the data plane does during a migration."""

    def __init__(self, mpi, transport, ranks, moves, hpcc_moves, seed, say, build=None, tether=True, settings=None, in_vain=4,
                 faults=None):
        self.mpi, self.transport, self.ranks = mpi, transport, ranks
        self.moves, self.hpcc_moves = moves, hpcc_moves
        self.random = random.Random(f"{seed} {mpi} {transport}")
        self.seed, self.say, self.build, self.tether = seed, say, build, tether
        self.settings, self.in_vain, self.faults = settings or SETTINGS, in_vain, faults or {}
        self.errors = 0
        self.rounds = 0  # of mpi-verify, when a migration was asked for last
        self.failure = None  # the exception that it has ended with
        self.hpcc_findings = None
        self.wander = None

    @property
    def name(self):
        return f"{NAMES[self.mpi]}, {self.transport}, {self.ranks} ranks"

    def row(self, seconds):
        return {"mpi": NAMES[self.mpi], "transport": self.transport, "ranks": self.ranks,
                "migrations": len(self.wander.moved) if self.wander else 0, "in_vain": self.wander.in_vain if self.wander else 0,
                "errors": self.errors, "seconds": round(seconds, 1)}

    def go(self):
        """The row of it. Whatever goes wrong is said and counts as an error."""
        began = time.monotonic()
        self.say(f"{self.name}: starts")
        try:
            with System(copy_ms=COPY_MS, vms=slots(self.ranks), settings=self.settings, build=self.build) as lab:
                lab.start()
                self.wander = Wander(lab, self.random, lambda what: self.say(f"  {what}"), self.in_vain)
                self.under_mpi_verify(lab)
                if self.hpcc_moves:
                    self.under_hpcc(lab)
        except (Late, CommandFailed, OSError) as error:
            self.errors += 1
            self.failure = error
            self.say(f"{self.name}: {type(error).__name__}: {error}")
        row = self.row(time.monotonic() - began)
        self.say(f"{self.name}: {row['migrations']} migrations, {row['in_vain']} in vain, {row['errors']} errors, {row['seconds']} s")
        return row

    def move(self, lab):
        lab.fabric.data_faults(self.faults)
        moved = self.wander.step()
        lab.fabric.data_faults({})
        step, step_ms = max(moved.steps(), key=lambda timed: timed[1])
        self.say(f"  {moved.vm} from {moved.source} to {moved.destination}, {(moved.ended - moved.began) * 1000:.0f} ms "
                 f"(longest: {step.lower()}, {step_ms:.0f} ms); {moved.count('processes')} processes, {moved.count('qps')} queue "
                 f"pairs; replayed: {moved.count('replayed')}, made up: {moved.count('made_up')}")

    def under_mpi_verify(self, lab):
        with MpiVerify(lab, self.mpi, self.transport, ["--seed", str(self.seed)], self.tether) as job:
            job.wait_rounds(1)
            for _ in range(self.moves):
                self.wander.pause()
                self.rounds = job.rounds()
                self.move(lab)
                job.wait_rounds(1)
            status, result = job.finish()
            self.errors += mpi_verdict.errors_of(status, result)
            if self.errors:
                self.say(f"mpi-verify's exit status {status}{job.words()}")
            self.say(f"  mpi-verify: {result.get('rounds')} rounds, {result.get('messages')} messages, "
                     f"{result.get('bytes', 0) / 1e6:.0f} MB compared, errors: {result.get('errors')}")

    def under_hpcc(self, lab):
        directory = lab.path("hpcc")
        os.mkdir(directory)
        with open(os.path.join(directory, "hpccinf.txt"), "w") as out:
            out.write(hpcc.input_text(self.ranks))
        with Job(lab, self.mpi, self.transport, [shutil.which("hpcc")], self.tether, f"hpcc-{self.transport}",
                 directory) as job:
            output = os.path.join(directory, "hpccoutf.txt")
            wait_until("hpcc's first section", lambda: has_begun(output), HPCC_S, job.logs(), [job.process])
            before = len(self.wander.moved)
            while job.is_running() and len(self.wander.moved) < before + self.hpcc_moves:
                self.wander.pause()
                self.move(lab)
            moved = len(self.wander.moved) - before
            status = job.process.wait(HPCC_S)
            self.hpcc_findings = self.findings_of_hpcc(directory, status, moved)
            if self.hpcc_findings:
                self.say(f"hpcc: {self.hpcc_findings}{job.words()}")
            self.say(f"  hpcc: {moved} migrations during it, {'passed' if not self.hpcc_findings else 'NOT passed'}")

    def findings_of_hpcc(self, directory, status, moved):
        found = [] if status == 0 else [f"exit status {status}"]
        if moved < self.hpcc_moves:
            found.append(f"only {moved} migrations during it")
        try:
            with open(os.path.join(directory, "hpccoutf.txt"), errors="replace") as output:
                return found + hpcc.findings(output.read())
        except OSError as error:
            return found + [str(error)]
