# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Open MPI over UCX between guests, a rank in each. A rank needs some 100 MiB: guests of 512."""
from lab.workload import last_json

MEMORY_MIB = 512
# rc_verbs alone is "unreachable" to UCX; the GID is the link-local one, which is said to whoever connects.
UCX = "-x UCX_TLS=rc_verbs,ud_verbs:aux,self -x UCX_IB_GID_INDEX=0"
MPIRUN = ("mpirun --allow-run-as-root --mca plm_rsh_agent /usr/sbin/lab-rsh --mca pml ucx --mca btl ^openib,ofi --mca osc ucx "
          + UCX)


def start_shells(guests):
    """By which mpirun reaches them, as elsewhere by ssh."""
    for guest in guests:
        shell = guest.start("exec lab-rshd")
        guest.wait_listening(514, shell)


def mpi_verify(addresses, launcher, arguments):
    """The command, for any of the guests."""
    return f"{MPIRUN} -n {len(addresses)} --host {','.join(addresses)} {launcher} mpi-verify-openmpi --json {arguments}"


def wrong(said):
    """Checks of mpi-verify that have found something, or did not run, by what it has said."""
    return [f"{name}: {row}" for name, row in last_json(said)["checks"].items()
            if not row["runs"] or any(row[what] for what in row if what != "runs")]
