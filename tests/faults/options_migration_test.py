#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's perftest and the pingpongs with all options that the device claims, on every transport that takes them, while
their VM moves. What can only be told a count is given twice as much until it outlasts the migrations. A few in make check,
all with TETHER_FULL=1, single ones by name: options_migration_test.py "ib_send_bw -c UD -e"."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import LOAD_S, MIGRATIONS, Moving, survive  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

AT_ONCE = 3

# Program: transports, options. What is not here perftest itself refuses.
PERFTEST = {
    "ib_send_bw": (("RC", "UC", "UD", "XRC"), ("-e", "--use-srq", "-q 8", "-a", "-b")),
    "ib_send_lat": (("RC", "UC", "UD", "XRC"), ("-e", "--use-srq", "-a")),
    "ib_write_bw": (("RC", "UC", "XRC"), ("-q 8", "-a", "-b")),
    "ib_read_bw": (("RC", "XRC"), ("-e", "-q 8", "-a", "-b")),
    "ib_atomic_bw": (("RC", "XRC"), ("-e", "-q 8", "-b")),
}
# Without on-demand paging, device memory and timestamps of completions, which are not claimed.
PINGPONG = {
    "ibv_rc_pingpong": ("", "-e", "-c", "-N", "-e -N", "-g 0", "-m 256", "-r 16", "-l 0"),
    "ibv_uc_pingpong": ("", "-e", "-c", "-g 0", "-m 256"),
    "ibv_ud_pingpong": ("", "-e", "-c", "-g 0"),
    "ibv_srq_pingpong": ("", "-e", "-c", "-q 4", "-g 0"),
    "ibv_xsrq_pingpong": ("-s 1048576", "-e -s 1048576", "-g 0 -s 1048576"),
}
# Messages, or exchanges of a pingpong, in the first attempt.
COUNTS = {"ib_send_lat": 100000, "ib_atomic_bw": 400000, "ibv_srq_pingpong": 400000, "ibv_xsrq_pingpong": 4000}
COUNT = 60000
# One at a time: who receives datagrams must keep up, though it is not always given a processor.
UD_EVENTS = (1000000, ["-t", "1"])
COUNT_OF_EACH_SIZE = {"UD": 40000}  # -a: all sizes, to 8 MiB where the transport has no bound
COUNT_OF_EACH_LARGE_SIZE = 150

QUICK = ("ib_send_bw -c RC --use-srq", "ib_send_bw -c UD -e", "ib_write_bw -c UC -q 8", "ib_send_bw -c RC -e",
         "ib_read_bw -c RC -e", "ibv_rc_pingpong -e")


def rows():
    for program, (transports, options) in PERFTEST.items():
        for transport in transports:
            yield from (f"{program} -c {transport} {option}" for option in options)
    for program, options in PINGPONG.items():
        yield from (f"{program} {option}".strip() for option in options)


def length(program, arguments, attempt):
    """How long the program is told to run."""
    if program.startswith("ib_") and not {"-a", "-e"} & set(arguments):
        return ["-D", str(LOAD_S << attempt)]
    if {"UD", "-e"} <= set(arguments) and program == "ib_send_bw":
        count, slowly = UD_EVENTS
        return ["-n", str(count << attempt), *slowly]
    if "-a" in arguments:
        transport = arguments[arguments.index("-c") + 1]
        count = COUNT_OF_EACH_SIZE.get(transport, COUNT_OF_EACH_LARGE_SIZE)
    else:
        count = COUNTS.get(program, COUNT)
    return ["-n", str(count << attempt)]


def pair_of(lab, row, attempt):
    program, *arguments = row.split()
    return perftest(lab, program, "vm2", "vm1", [*arguments, *length(program, arguments, attempt)],
                    name=row.replace(" ", ""))


def batch_survives(lab, moving, batch):
    survive(moving, lambda attempt: [pair_of(lab, row, attempt) for row in batch])


def main():
    tap = Tap()
    wanted = sys.argv[1:] or (list(rows()) if FULL else QUICK)
    unknown = [row for row in wanted if row not in rows()]
    if unknown:
        sys.exit(f"no such row: {', '.join(unknown)}; there are:\n" + "\n".join(rows()))
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for first in range(0, len(wanted), AT_ONCE):
            batch = wanted[first:first + AT_ONCE]
            tap.run(f"{', '.join(batch)}: {MIGRATIONS} migrations", batch_survives, lab, moving, batch)
    tap.exit()


main()
