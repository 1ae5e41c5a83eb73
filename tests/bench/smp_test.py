#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make bench-smp ends with one JSON object; what it expects is what equations 4 and 5 say, and nothing is faster than that when
SMPs are sent one at a time. How much slower is not judged."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import smp  # noqa: E402
from bench.bench_make import make  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

WORST = {"324": (36, 72), "648": (54, 108), "5832": (972, 1944)}  # switches, Sets
SIZES = list(WORST) if FULL else ["324"]
K_US, R_US = 300, 50


def check_row(size, row):
    assert (row["switches"], row["sets"]) == WORST[size], row
    extra = {"directed": R_US * row["mean_hops"], "lid": 0}
    for route in smp.ROUTES:
        part = row[route]
        expected = row["sets"] * (K_US + extra[route]) / 1000
        assert abs(part["expected_ms"] - expected) < 0.01 * expected, (route, part, expected)
        assert part["measured_ms"]["1"] >= 0.99 * part["expected_ms"], (route, part)
        assert list(part["gain"]) == [str(window) for window in smp.WINDOWS], part
    assert row["consistent"]["waves"] > 1 and row["consistent"]["sets"] >= row["sets"], row


def bench_smp_ends_with_one_json_object():
    done = make("bench-smp", "SIZES=" + ",".join(SIZES), f"BENCH=--k-us {K_US} --r-us {R_US} --repeats 1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["k_us"], result["r_us_per_hop"], list(result["sizes"])) == (K_US, R_US, SIZES), result
    for size, row in result["sizes"].items():
        check_row(size, row)


def main():
    tap = Tap()
    tap.run("bench_smp_ends_with_one_json_object", bench_smp_ends_with_one_json_object)
    tap.exit()


main()
