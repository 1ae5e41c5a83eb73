# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What libtether.so costs a small message while nothing moves: perftest with it and without it, in turn, on one
fabric. The simulated HCA shares the processors with the programs, so only the ratio says something, and it flatters:
a message costs more here than on an adapter."""
import statistics

from lab.workload import perftest

BYTES = 8
END_S = 120


def write_ns(fields):
    """ib_write_bw: the last column is millions of messages per second."""
    return 1000 / float(fields[-1])


def send_ns(fields):
    """ib_send_lat: #bytes #iterations t_min t_max t_typical ..., in microseconds."""
    return 1000 * float(fields[4])


CASES = {"ib_write_bw": (write_ns, 50000), "ib_send_lat": (send_ns, 10000)}
WAYS = {"default": [], "old_post_send": ["--use_old_post_send"]}


def ns_per_message(lab, program, way, with_tether):
    read, count = CASES[program]
    with perftest(lab, program, "vm2", "vm1", ["-s", str(BYTES), "-n", str(count), *WAYS[way]], tether=with_tether) as pair:
        statuses = pair.wait(END_S)
        if statuses != (0, 0):
            raise RuntimeError(f"{program}: exit statuses {statuses}{pair.words()}")
        rows = [line.split() for line in pair.client.output().splitlines() if line.split()[:1] == [str(BYTES)]]
        return read(rows[-1])


def measure_case(lab, program, way, pairs):
    """Each pair of runs begins with the other one."""
    found = {False: [], True: []}
    for number in range(pairs):
        for with_tether in (number % 2 == 1, number % 2 == 0):
            found[with_tether].append(ns_per_message(lab, program, way, with_tether))
    ratios = [with_it / without for without, with_it in zip(found[False], found[True])]
    return {"ns_without": round(statistics.median(found[False]), 1), "ns_with": round(statistics.median(found[True]), 1),
            "ratio": round(statistics.median(ratios), 3), "ratio_min": round(min(ratios), 3),
            "ratio_max": round(max(ratios), 3)}


def measure(lab, pairs):
    result = {"pairs": pairs, "bytes": BYTES}
    for program in CASES:
        for way in WAYS:
            row = measure_case(lab, program, way, pairs)
            result[f"{program} {way}"] = row
            print(f"  {program:<12} {way:<14} {row['ns_without']:9.1f} ns without, {row['ns_with']:9.1f} ns with: {row['ratio']:.3f} "
                  f"({row['ratio_min']:.3f} to {row['ratio_max']:.3f})", flush=True)
    return result
