#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Open MPI over UCX between two guests, every byte checked, under libtether; nothing moves."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from vm.mpi import MEMORY_MIB, mpi_verify, start_shells, wrong  # noqa: E402
from vm.system import VmSystem  # noqa: E402

ARGUMENTS = "--rounds 7 --length 65536" if FULL else "--rounds 1 --length 4096"


def job(lab, launcher):
    addresses = [lab.address(vm) for vm in lab.vms]
    said = lab.guests["one"].run(mpi_verify(addresses, launcher, ARGUMENTS), 900)
    assert not wrong(said), wrong(said)


def main():
    tap = Tap()
    with VmSystem(hosts=("h1", "h2"), vfs=("vf0",), memory_mib=MEMORY_MIB) as lab:
        start_shells(lab.start(("one", "h1"), ("other", "h2")))
        tap.run("mpi-verify over rc_verbs and ud_verbs", job, lab, "tether run --")
    tap.exit()


main()
