# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What `make demo-mpi` says at its end, and whether that is good."""

LEAST_MIGRATIONS = 20
RUNS = [(mpi, transport) for mpi in ("Open MPI", "MPICH") for transport in ("rc_verbs", "ud_verbs")]
HPCC_RUNS = [run for run in RUNS if run[0] == "Open MPI"]


def errors_of(status, result):
    """Of one job of mpi-verify: what it found, or 1 if it did not come to say so."""
    return max(result.get("errors", 1), 1 if status or not result.get("ok") else 0)


def summary(runs, hpcc):
    """@runs: a dictionary each, as it is printed. @hpcc: {(mpi, transport): what hpcc's own checks found wrong}."""
    return {
        "migrations": sum(run["migrations"] for run in runs),
        "errors": sum(run["errors"] for run in runs),
        "hpcc_passed": all(hpcc.get(run) == [] for run in HPCC_RUNS),
        "runs": runs,
    }


def run_is_good(run):
    return 2 <= run["ranks"] <= 8 and run["migrations"] > 0 and run["errors"] == 0 and run["seconds"] > 0 and moves_well(run)


def moves_well(run):
    """A migration is refused when a connection is just being made, and may be given up on a busy machine: now and then."""
    return 0 <= run["in_vain"] <= run["migrations"]


def is_good(result, least=LEAST_MIGRATIONS, wanted=None):
    """@wanted: which runs there must be, each once."""
    runs = result["runs"]
    return bool(
        sorted((run["mpi"], run["transport"]) for run in runs) == sorted(RUNS if wanted is None else wanted)
        and all(map(run_is_good, runs))
        and result["migrations"] == sum(run["migrations"] for run in runs) >= least
        and result["errors"] == 0
        and result["hpcc_passed"] is True)


def exit_status(result):
    return 0 if is_good(result) else 1
