#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make bench ends with one JSON object that has what was measured in it. No number is judged here, but how
numbers are."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import path, plan, shim, start  # noqa: E402
from bench.bench_make import make  # noqa: E402
from lab.build import Build  # noqa: E402
from lab.tap import Tap  # noqa: E402

END_S = 600


def bench_ends_with_one_json_object():
    done = make("bench", "BENCH=--pairs 1 --moves 2")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    for program in shim.CASES:
        for way in shim.WAYS:
            row = result["shim"][f"{program} {way}"]
            assert row["ns_without"] > 0 and row["ns_with"] > 0 and row["ratio_min"] <= row["ratio"] <= row["ratio_max"], row
    move = result["move"]
    assert move["moves"] == 2 and move["lft_smps"] == move["lft_smps_physical"] + move["lft_smps_vswitch"] > 0, move
    assert move["blackout_ms"]["min"] >= move["copy_ms"] and {"stopping", "moving", "resuming"} <= set(move["states_ms"]), move


def messages_pass_on_each_path_that_is_counted():
    program = os.path.join(Build().directory, "bench", "path_cost")
    made = make(program)
    assert made.returncode == 0, made.stderr
    names = path.path_names(program)
    assert {"stubs", "rc-send", "rc-receive", "rc-send-moved"} <= set(names), names
    for name in names:
        assert subprocess.run([program, name, "100"], timeout=END_S).returncode == 0, name
    assert subprocess.run([program, "no-such-path", "1"], timeout=END_S).returncode != 0


def plans_are_made_in_each_way_that_is_counted():
    program = os.path.join(Build().directory, "bench", "plan_cost")
    made = make(program)
    assert made.returncode == 0, made.stderr
    names = plan.names(program)
    assert {"view", "far", "near-minimum", "far-minimum"} <= set(names), names
    sets = {name: plan.run(program, 324, 0, name, 1)[:3] for name in names}
    assert sets["near-minimum"] == (36, 360, 1) and sets["far"] == sets["far-consistent"] == (36, 360, 72), sets
    assert subprocess.run([program, "100", "0", "far", "1"], timeout=END_S).returncode != 0


def bench_start_ends_with_one_json_object():
    done = make("bench-start", "BENCH=--pairs 2")
    result = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode == 0) == result["is_little"] == start.is_little(result["programs"].values()), done.stderr
    assert result["pairs"] == 2 and {"true", "bash", "python3"} <= set(result["programs"]), result
    assert result["added_ms"] == max(row["added_ms"] for row in result["programs"].values()), result
    for row in result["programs"].values():
        assert row["ms_without"] > 0 and row["ms_with"] > 0 and "added_cpu_ms" in row, row


def compared(added_ms, added_cpu_ms=0.1, noise_ms=0.0, pairs=200):
    noise = [noise_ms * (number % 21 - 10) / 10 for number in range(pairs)]
    return start.compare([(5, 1)] * pairs, [(5 + added_ms + some, 1 + added_cpu_ms) for some in noise])


def a_start_that_takes_a_millisecond_longer_is_told_from_noise():
    for row in (compared(0.5), compared(-0.5), compared(0.5, noise_ms=20), compared(0.99)):
        assert start.is_little([row]), row
    for row in (compared(1), compared(5), compared(0.1, added_cpu_ms=1), compared(8, noise_ms=20)):
        assert not start.is_little([compared(0), row]), row


def main():
    tap = Tap()
    tap.run("a_start_that_takes_a_millisecond_longer_is_told_from_noise", a_start_that_takes_a_millisecond_longer_is_told_from_noise)
    tap.run("messages_pass_on_each_path_that_is_counted", messages_pass_on_each_path_that_is_counted)
    tap.run("plans_are_made_in_each_way_that_is_counted", plans_are_made_in_each_way_that_is_counted)
    tap.run("bench_ends_with_one_json_object", bench_ends_with_one_json_object)
    tap.run("bench_start_ends_with_one_json_object", bench_start_ends_with_one_json_object)
    tap.exit()


main()
