# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What libtether.so adds to the start of programs that use no verbs, by the wall clock and of processor time: each program
without it and with it, in turn; medians, of the difference that of the differences within each pair."""
import math
import os
import statistics
import time

PROGRAMS = {"true": ["/bin/true"], "sh": ["/bin/sh", "-c", ":"], "bash": ["/bin/bash", "-c", ":"],
            "python3": ["/usr/bin/python3", "-c", "pass"]}
WARM_UP = 3
MOST_MS = 1  # that it may add


def run_once(argv, env):
    """(milliseconds until it has ended, milliseconds of processor time)"""
    began = time.perf_counter_ns()
    pid = os.posix_spawn(argv[0], argv, env)
    _, status, used = os.wait4(pid, 0)
    ended = time.perf_counter_ns()
    if status:
        raise RuntimeError(f"{argv}: status {status}")
    return (ended - began) / 1e6, (used.ru_utime + used.ru_stime) * 1e3


def at_least(values):
    """The lower end of where the median is, at 95 %: on a machine with other things to do it is far below."""
    place = len(values) / 2 - 0.98 * math.sqrt(len(values))
    return sorted(values)[max(0, math.floor(place))]


def compare(without, with_it):
    """@without, @with_it: what run_once returned, in pairs."""
    def median_of(values):
        return round(statistics.median(values), 3)

    def added(which):
        return [w[which] - wo[which] for wo, w in zip(without, with_it)]

    return {"ms_without": median_of(t[0] for t in without), "ms_with": median_of(t[0] for t in with_it),
            "added_ms": median_of(added(0)), "added_ms_at_least": round(at_least(added(0)), 3), "added_cpu_ms": median_of(added(1))}


def measure(argv, environments, pairs):
    found = {False: [], True: []}
    for number in range(-WARM_UP, pairs):
        for with_shim in (number % 2 == 1, number % 2 == 0):
            taken = run_once(argv, environments[with_shim])
            if number >= 0:
                found[with_shim].append(taken)
    return compare(found[False], found[True])


def is_little(rows):
    return all(row["added_ms_at_least"] < MOST_MS and row["added_cpu_ms"] < MOST_MS for row in rows)
