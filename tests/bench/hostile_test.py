#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make bench-hostile: what a message that is refused costs is within its limits, for each kind, and no honest round is lost
beside a hostile guest and a hostile host. Few messages and rounds in check, many with TETHER_FULL=1."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

FEW = ["--messages", "20", "--rounds", "100", "--pairs", "1", "--connections", "5000"]  # more than a VM may have at once
SIZE = ["--messages", "1000", "--rounds", "5000", "--pairs", "10"] if FULL else FEW

OF_ONE = {"guest": ["foreign_claims", "late_answers", "foreign_lids", "foreign_partitions"], "host": ["foreign_vms", "words_put_off"]}
OF_BESIEGED = {"guest": ["foreign_lids", "foreign_partitions"], "host": OF_ONE["host"]}


def bench():
    done = subprocess.run([os.path.join(TOP, "tests/bench/run_bench_hostile"), "--build", Build().directory, *SIZE],
                          capture_output=True, text=True, timeout=3600 if FULL else 300)
    print("".join(f"# {line}\n" for line in done.stdout.splitlines()[-60:]), end="")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def each_kind_is_refused(result):
    for who in ("guest", "host"):
        assert result[who]["rounds"] and all(result[who]["refused_meanwhile"].values()), result
        assert set(result[who]["refused_meanwhile"]) >= {"crowded_links", "half_frames", "silent_links", *OF_BESIEGED[who]}, result
        assert {kind for cost in result[who]["refused"].values() for kind in cost["kind"].split("+")} >= {
            "refused_hellos", "unasked_answers", "unasked_reports", "refused_interests", "garbled_frames", "large_frames",
            "half_frames", "silent_links", "out_of_place_frames", "crowded_links", *OF_ONE[who]}, result
        assert all(cost["refused"] > 0 for cost in result[who]["refused"].values()), result


def main():
    tap = Tap()
    result = {}
    tap.run("bench_hostile_ends_with_one_json_object", lambda: result.update(bench()))
    tap.run("each_kind_is_refused", each_kind_is_refused, result)
    tap.exit()


main()
