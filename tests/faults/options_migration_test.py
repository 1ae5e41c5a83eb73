#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's perftest and the pingpongs with all options that the device claims, on every transport that takes them, while
their VM moves. A few in make check, all with TETHER_FULL=1, single ones by name: options_migration_test.py "ib_send_bw -c UD -e"."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import LOAD_S, MIGRATIONS, Moving, survive, survive_counted  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import perftest, whole_count  # noqa: E402

AT_ONCE = 3

# Program: transports, options. What is not here perftest itself refuses.
PERFTEST = {
    "ib_send_bw": (("RC", "UC", "UD", "XRC"), ("-e", "--use-srq", "-q 8", "-a", "-b")),
    "ib_send_lat": (("RC", "UC", "UD", "XRC"), ("-e", "--use-srq", "-a")),
    "ib_write_bw": (("RC", "UC", "XRC"), ("-q 8", "-a", "-b")),
    "ib_write_lat": (("RC", "UC", "XRC"), ("-a",)),
    "ib_read_bw": (("RC", "XRC"), ("-e", "-q 8", "-a", "-b")),
    "ib_read_lat": (("RC", "XRC"), ("-e", "-a")),
    "ib_atomic_bw": (("RC", "XRC"), ("-e", "-q 8", "-b")),
    "ib_atomic_lat": (("RC", "XRC"), ("-e",)),
}
# Without on-demand paging and device memory, which are not claimed; and without -e -t, which takes each event for a
# completion that is still there, and fails by itself.
PINGPONG = {
    "ibv_rc_pingpong": ("", "-e", "-c", "-N", "-e -N", "-t", "-g 0", "-m 256", "-r 16", "-l 0"),
    "ibv_uc_pingpong": ("", "-e", "-c", "-g 0", "-m 256"),
    "ibv_ud_pingpong": ("", "-e", "-c", "-g 0"),
    "ibv_srq_pingpong": ("", "-e", "-c", "-q 4", "-g 0"),
    "ibv_xsrq_pingpong": ("-s 1048576", "-e -s 1048576", "-g 0 -s 1048576"),
}
# Messages, or exchanges of a pingpong, in the first try; and of each size (-a), to 8 MiB where the transport has no bound.
COUNT = 2000
COUNT_OF_EACH_SIZE = 10
# Datagrams are lost when their receiver is not given a processor for long enough. Most are told how long to run, in seconds.
# What has to count them has room for all, and a sender that waits for each to be sent: how long that takes makes it long.
UNHURRIED = ["-t", "1", "-r", str(COUNT)]
SIZES = 12  # of -a, to an MTU
# An end that is given no processor for half a second has not gone; -u: the exponent of what a QP waits for an acknowledgement.
PATIENT = ["-u", "18"]

QUICK = ("ib_send_bw -c RC --use-srq", "ib_send_bw -c UD -e", "ib_write_bw -c UC -q 8")


def rows():
    for program, (transports, options) in PERFTEST.items():
        for transport in transports:
            yield from (f"{program} -c {transport} {option}" for option in options)
    for program, options in PINGPONG.items():
        yield from (f"{program} {option}".strip() for option in options)


def is_of_many_datagrams(row):
    return row.startswith("ib_send_bw -c UD")


def counts_datagrams(row):
    return is_of_many_datagrams(row) and bool({"-a", "-e"} & set(row.split()))


def pair_of(lab, row, length):
    program, *arguments = row.split()
    patience = PATIENT if program in PERFTEST else []
    return perftest(lab, program, "vm2", "vm1", [*arguments, *patience, *length], name=row.replace(" ", ""))


def first_count(row):
    if is_of_many_datagrams(row):
        return LOAD_S
    return COUNT_OF_EACH_SIZE if "-a" in row.split() else COUNT


def length(row, count):
    """How long the program is told to run."""
    return ["-D", str(count)] if is_of_many_datagrams(row) else ["-n", str(whole_count(count))]


def batch_survives(lab, moving, batch):
    survive_counted(moving, lambda counts: [pair_of(lab, row, length(row, count)) for row, count in zip(batch, counts)],
                    list(map(first_count, batch)))


def counted_datagrams_survive(lab, moving, batch):
    def start(attempt):
        lab.fabric.data_faults({"hold_send": f"1:{(LOAD_S * 1000000 << attempt) // COUNT}"})
        return [pair_of(lab, row, ["-n", str(COUNT // SIZES if "-a" in row else COUNT), *UNHURRIED]) for row in batch]

    try:
        survive(moving, start)
    finally:
        lab.fabric.data_faults({})


def batches(rows):
    """(what survives it, rows)"""
    for survives, kind in ((batch_survives, False), (counted_datagrams_survive, True)):
        some = [row for row in rows if counts_datagrams(row) == kind]
        yield from ((survives, some[first:first + AT_ONCE]) for first in range(0, len(some), AT_ONCE))


def main():
    tap = Tap()
    wanted = sys.argv[1:] or (list(rows()) if FULL else QUICK)
    unknown = [row for row in wanted if row not in rows()]
    if unknown:
        sys.exit(f"no such row: {', '.join(unknown)}; there are:\n" + "\n".join(rows()))
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for survives, batch in batches(wanted):
            tap.run(f"{', '.join(batch)}: {MIGRATIONS} migrations", survives, lab, moving, batch)
    tap.exit()


main()
