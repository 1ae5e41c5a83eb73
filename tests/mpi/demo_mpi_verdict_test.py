#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The MPI demo's exit status is 0 for a good result only: each key, spoilt alone, makes it 1; and hpcc has passed only if
all of its own checks say so."""
import copy
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

import hpcc  # noqa: E402
import mpi_verdict  # noqa: E402
from lab.tap import Tap  # noqa: E402

KEYS = {"migrations", "errors", "hpcc_passed", "runs"}
RUN_KEYS = {"mpi", "transport", "ranks", "migrations", "in_vain", "errors", "seconds"}
SPOILT = {
    "migrations": [0, 23, 25],
    "errors": [1, -1],
    "hpcc_passed": [False, None, 1],
    "runs": [[]],
}
SPOILT_RUN = {
    "mpi": ["MPICH", "another"],
    "transport": ["ud_verbs", "tcp"],
    "ranks": [0, 1, 9],
    "migrations": [0, 5, 7],
    "in_vain": [7, 100, -1],
    "errors": [1],
    "seconds": [0],
}
# What hpccoutf.txt says where something is checked.
HPCC = """Begin of MPIRandomAccess section.
Found 0 errors in 131072 locations (passed).
End of MPIRandomAccess section.
Begin of StarRandomAccess section.
Found 0 errors in 32768 locations (passed).
Node(s) with error 0
End of StarRandomAccess section.
Begin of MPIRandomAccess_LCG section.
Found 0 errors in 131072 locations (passed).
End of MPIRandomAccess_LCG section.
Begin of PTRANS section.
WALL   200   200  32  32   2   2     0.02 PASSED    0.017  0.00
    5 tests completed and passed residual checks.
    0 tests completed and failed residual checks.
End of PTRANS section.
Begin of StarDGEMM section.
Node(s) with error 0
End of StarDGEMM section.
Begin of MPIFFT section.
max(|x-x0|): 1.047e-15
End of MPIFFT section.
Begin of LatencyBandwidth section.
End of LatencyBandwidth section.
Begin of HPL section.
||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)=        0.0081691 ...... PASSED
              1 tests completed and passed residual checks,
              0 tests completed and failed residual checks,
End of HPL section.
Begin of Summary section.
Success=1
MPIRandomAccess_Errors=0
End of Summary section.
########################################################################
End of HPC Challenge tests.
"""
WRONG_HPCC = {
    "an error in a table": ("Found 0 errors in 131072 locations (passed).", "Found 1 errors in 131072 locations (passed)."),
    "a table that failed": ("Found 0 errors in 32768 locations (passed).", "Found 9000 errors in 32768 locations (failed)."),
    "a node with an error": ("Node(s) with error 0", "Node(s) with error 2"),
    "PTRANS failed once": ("    0 tests completed and failed", "    1 tests completed and failed"),
    "PTRANS passed never": ("    5 tests completed and passed", "    0 tests completed and passed"),
    "HPL passed never": ("              1 tests completed and passed", "              0 tests completed and passed"),
    "HPL is off": ("...... PASSED", "...... FAILED"),
    "HPL says nothing": ("              1 tests completed and passed residual checks,\n", ""),
    "FFT is off": ("1.047e-15", "1.047e-02"),
    "FFT is no number": ("1.047e-15", "nan"),
    "FFT says nothing": ("max(|x-x0|): 1.047e-15\n", ""),
    "no success": ("Success=1", "Success=0"),
    "no word of success": ("Success=1\n", ""),
    "no end": ("End of HPC Challenge tests.", ""),
    "no end of a section": ("End of LatencyBandwidth section.", ""),
}


def row(mpi, transport):
    return {"mpi": mpi, "transport": transport, "ranks": 4, "migrations": 6, "in_vain": 3, "errors": 0, "seconds": 20.5}


def good():
    return mpi_verdict.summary([row(*run) for run in mpi_verdict.RUNS], {run: [] for run in mpi_verdict.HPCC_RUNS})


def a_good_result_is_good():
    assert mpi_verdict.exit_status(good()) == 0
    assert set(good()) == KEYS == set(SPOILT) and RUN_KEYS == set(SPOILT_RUN)


def spoilt_is_not_good(key):
    for value in SPOILT[key]:
        assert mpi_verdict.exit_status({**good(), key: value}) == 1, f"{key}: {value} is good"


def a_spoilt_run_is_not_good(key):
    for number in range(len(mpi_verdict.RUNS)):
        for value in SPOILT_RUN[key]:
            result = copy.deepcopy(good())
            if result["runs"][number][key] == value:
                continue
            result["runs"][number][key] = value
            assert mpi_verdict.exit_status(result) == 1, f"{key}: {value} in run {number} is good"


def a_run_too_few_or_twice_is_not_good():
    for number in range(len(mpi_verdict.RUNS)):
        result = copy.deepcopy(good())
        gone = result["runs"].pop(number)
        result["migrations"] -= gone["migrations"]
        result["runs"][0]["migrations"] += 6
        result["migrations"] += 6
        assert mpi_verdict.exit_status(result) == 1
        result["runs"].append(result["runs"][0])
        result["migrations"] += result["runs"][0]["migrations"]
        assert mpi_verdict.exit_status(result) == 1


def fewer_migrations_than_promised_are_not_good():
    few = [{**row(*run), "migrations": 4} for run in mpi_verdict.RUNS]
    assert mpi_verdict.exit_status(mpi_verdict.summary(few, {run: [] for run in mpi_verdict.HPCC_RUNS})) == 1


def hpcc_must_have_passed_in_both_runs():
    rows = [row(*run) for run in mpi_verdict.RUNS]
    for run in mpi_verdict.HPCC_RUNS:
        for wrong in (["no end"], None):
            heard = {**{other: [] for other in mpi_verdict.HPCC_RUNS}, run: wrong}
            assert mpi_verdict.summary(rows, heard)["hpcc_passed"] is False
    assert mpi_verdict.summary(rows, {})["hpcc_passed"] is False


def what_mpi_verify_did_not_say_is_an_error():
    exact = {"errors": 0, "ok": True}
    assert mpi_verdict.errors_of(0, exact) == 0
    assert mpi_verdict.errors_of(1, exact) == 1
    assert mpi_verdict.errors_of(-9, {}) == 1
    assert mpi_verdict.errors_of(0, {}) == 1
    assert mpi_verdict.errors_of(0, {"errors": 0, "ok": False}) == 1
    assert mpi_verdict.errors_of(1, {"errors": 7, "ok": False}) == 7


def hpcc_that_is_right_has_passed():
    assert hpcc.findings(HPCC) == []


def hpcc_that_is_wrong_has_not(what):
    right, wrong = WRONG_HPCC[what]
    assert right in HPCC
    assert hpcc.findings(HPCC.replace(right, wrong)), what
    assert hpcc.findings("")


def hpcc_uses_every_rank():
    for ranks in range(2, 9):
        lines = hpcc.input_text(ranks).splitlines()
        assert int(lines[10].split()[0]) * int(lines[11].split()[0]) == ranks
        assert len(lines) == 36 and "32" in lines[31]


def main():
    tap = Tap()
    tap.run("a_good_result_is_good", a_good_result_is_good)
    for key in SPOILT:
        tap.run(f"spoilt_is_not_good: {key}", spoilt_is_not_good, key)
    for key in SPOILT_RUN:
        tap.run(f"a_spoilt_run_is_not_good: {key}", a_spoilt_run_is_not_good, key)
    for what in WRONG_HPCC:
        tap.run(f"hpcc_that_is_wrong_has_not_passed: {what}", hpcc_that_is_wrong_has_not, what)
    for test in (a_run_too_few_or_twice_is_not_good, fewer_migrations_than_promised_are_not_good,
                 hpcc_must_have_passed_in_both_runs, what_mpi_verify_did_not_say_is_an_error, hpcc_that_is_right_has_passed,
                 hpcc_uses_every_rank):
        tap.run(test.__name__, test)
    tap.exit()


main()
