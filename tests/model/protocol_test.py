#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: protocol_test.py [NAME ...]

The protocol of a migration as a model (protocol.pml, PROTOCOL.md), searched whole by spin: no property is violated in any state. Then
what the protocol stands on is taken out, one thing at a time, and a counterexample has to be found, of the property that is said here;
so each property can fail. The vote, the lease and the barrier always, the others with TETHER_FULL=1, as do searches with more
crashes; those named (`NO_VOTE`, `proof`) otherwise."""
import os
import re
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap, print_rows  # noqa: E402

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "protocol.pml")
MEMORY_MB = 12000 if FULL else 3800
DEPTH_MAX = 2000
# What is searched: name, settings. CALM: nobody dies and nothing is late or lost, so nothing may be lost.
# STANDSTILL: the same of an atomic, where tether-smd stands still for longer than leases.
PROOFS = [("proof", ["CRASHES=1", "DEATHS=0"]), ("deaths", ["CRASHES=0", "DEATHS=1"]), ("calm", ["CRASHES=1", "CALM"]),
          ("standstill", ["CRASHES=0", "STANDSTILL"])]
# ends: that there is no circle.
LONG_PROOFS = [("ends", ["CRASHES=0", "DEATHS=0"]), ("crash-and-death", ["CRASHES=1", "DEATHS=1"]),
               ("two-crashes", ["CRASHES=2", "DEATHS=0"])]
# What is taken out, the property that fails then, and what it takes beside that.
REMOVALS = [("NO_VOTE", "executed_once", []), ("NO_LEASE", "everybody_goes_on", []), ("NO_BARRIER", "both_in_rtr", []),
            ("LATE_VOTES", "nothing_is_lost", ["CRASHES=0", "STANDSTILL"])]
LONG_REMOVALS = [
    ("NO_EVIDENCE", "executed_once", []), ("SAME_PSN", "executed_once", []),
    ("CONNECTS_UNVOTED", "never_to_an_old_connection", []), ("CONNECTS_UNVOTED", "success_is_true", []),
    ("LEASE_AFTER_VOTE", "voted_stays_broken", []), ("ABORT_LETS_GO", "voted_stays_broken", []),
    ("COMMIT_UNWRITTEN", "committed_stays_committed", ["CRASHES=1"]), ("MOVES_UNRELEASED", "unplugged_when_let_go", []),
    ("ATTACHES_ANYWHERE", "one_owner", []), ("NO_OVERALL", "everybody_goes_on", []),
    ("DETACHING_LAZY", "end_is_as_named", ["CRASHES=1"]), ("NO_BARRIER", "nothing_is_lost", ["CALM"]),
]


class Search:
    """spin's verifier of the model with @settings, run to its end."""

    def __init__(self, settings, optimize, kind="-DSAFETY", *arguments):
        with tempfile.TemporaryDirectory() as self.directory:
            defines = [f"-D{setting}" for setting in settings]
            self.call("spin", "-a", *defines, MODEL)
            self.call("gcc", optimize, "-w", kind, "-DNOREDUCE", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c")
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            self.text = self.call("./pan", "-n", f"-m{DEPTH_MAX}", *arguments)
            self.seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    def call(self, *command):
        done = subprocess.run(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, f"{command[0]} has ended with {done.returncode}: {done.stdout[-2000:]}"
        return done.stdout

    def number(self, pattern):
        found = re.search(pattern, self.text)
        assert found, f"{pattern} is not in {self.text[-2000:]}"
        return int(found.group(1))

    def is_whole(self):
        """No state was left out: neither for depth nor for memory."""
        return not any(word in self.text for word in ("max search depth too small", "out of memory", "memory limit", "truncated",
                                                      "Search not completed", "interrupted"))

    @property
    def errors(self):
        return self.number(r"errors: (\d+)")

    @property
    def states(self):
        return self.number(r"(\d+) states, stored")

    @property
    def depth(self):
        return self.number(r"depth reached (\d+)")

    def violated(self):
        """(property, length of the way there) of the counterexample."""
        found = re.search(r"assertion violated \( ?!\((\w+)\).*\(at depth (\d+)\)", self.text)
        assert found, f"no property is named in {self.text[-2000:]}"
        return found.group(1), int(found.group(2))


def holds(name, settings, rows):
    # No state says that it is progress, so a way without any is one that has no end.
    kind = ("-DNP", "-l") if name == "ends" else ()
    search = Search(settings, "-O2", *kind)
    rows.append((name, f"{search.states} states", f"depth {search.depth}", f"{search.seconds:.0f} s"))
    assert search.errors == 0, search.text[:1000]
    assert search.is_whole(), f"the search was cut: {search.text[-1000:]}"
    assert search.states > 1000, f"the model does not get far: {search.text[-1000:]}"


def fails(removal, wanted, settings, rows):
    search = Search([removal, f"ONLY={wanted}_NUMBER", "DEATHS=0", *(settings or ["CRASHES=0"])], "-O0")
    assert search.errors, f"nothing is found: {search.text[-1000:]}"
    violated, length = search.violated()
    assert violated == wanted, f"{violated} is violated, not {wanted}"
    rows.append((removal, violated, f"counterexample of {length} steps", f"{search.seconds:.0f} s"))


def is_asked_for(name, is_short):
    return name in sys.argv[1:] if sys.argv[1:] else FULL or is_short


def main():
    tap, rows = Tap(), []
    for proof in PROOFS + LONG_PROOFS:
        if is_asked_for(proof[0], proof in PROOFS):
            tap.run(f"{proof[0]}: no property is violated ({', '.join(proof[1])})", holds, *proof, rows)
    for removal in REMOVALS + LONG_REMOVALS:
        if is_asked_for(removal[0], removal in REMOVALS):
            tap.run(f"{removal[0]}: {removal[1]} fails", fails, *removal, rows)
    if rows:
        print_rows(rows)
    tap.exit()


main()
