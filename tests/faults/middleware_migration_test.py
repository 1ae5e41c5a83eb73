#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's UCX and libfabric, unmodified, while the VM of one end moves: what MPI libraries stand on."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.ports import free_port  # noqa: E402
from lab.survival import MIGRATIONS, Moving, survive_counted  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import Pair  # noqa: E402

# Rounds of each test: enough for the moves on a quick machine; three run side by side.
TESTS = ("tag_lat", "ucp_get", "stream_lat") + (("tag_bw", "ucp_put_lat", "ucp_fadd") if FULL else ())
ROUNDS = 2000
TRANSPORTS = {"rc_verbs": "rc_verbs,ud_verbs,self", "ud_verbs": "ud_verbs"}
TOGETHER = 3


def ucx(lab, test, transports, rounds):
    port = free_port()
    argv = ["ucx_perftest", "-p", str(port), "-t", test, "-s", "8", "-n", str(rounds), "-w", "10"]
    return Pair(lab, f"ucx-{test}", "vm2", "vm1", argv, [*argv, "127.0.0.1"], port,
                env={"UCX_TLS": transports, "UCX_LOG_LEVEL": "warn"})


def ucx_survives(lab, moving, tests, transports):
    pairs = []

    def start(counts):
        pairs[:] = [ucx(lab, test, transports, rounds) for test, rounds in zip(tests, counts)]
        return pairs

    survive_counted(moving, start, [ROUNDS] * len(tests))
    for pair in pairs:
        said = pair.client.output() + "".join(open(log, errors="replace").read() for log in pair.logs())
        assert "Final:" in said and "WARN" not in said and "ERROR" not in said, f"{pair.name}\n{said[-2000:]}"


def libfabric(lab, rounds):
    """Every byte is compared (-c)."""
    port = free_port()
    argv = ["fi_pingpong", "-p", "verbs;ofi_rxd", "-e", "rdm", "-c", "-S", "1000", "-I", str(rounds)]
    return Pair(lab, "fi-pingpong", "vm2", "vm1", [*argv, "-B", str(port)], [*argv, "-P", str(port), "127.0.0.1"], port)


def libfabric_survives(lab, moving):
    survive_counted(moving, lambda counts: [libfabric(lab, counts[0])], [ROUNDS])


def main():
    tap = Tap()
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for name, transports in TRANSPORTS.items():
            for some in (TESTS[i:i + TOGETHER] for i in range(0, len(TESTS), TOGETHER)):
                tap.run(f"ucx_{'_'.join(some)}_over_{name}_survive_{MIGRATIONS}_migrations", ucx_survives, lab, moving, some,
                        transports)
        tap.run(f"libfabric_survives_{MIGRATIONS}_migrations", libfabric_survives, lab, moving)
    tap.exit()


main()
