#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Each change in mutations.txt makes a library that the model test finds wrong, by at most 2,000 random programs.

    mutations_test.py [NAME...]
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mutations.txt")
MOST = 2000
SHORT = ("last_packet_is_no_execution", "a_part_is_execution", "oldest_is_not_replayed")


def mutations():
    with open(LIST) as lines:
        return [line.split(None, 2) for line in lines if line.strip() and not line.startswith("#")]


def make(build, name, file, expression):
    """The changed library's own check-model."""
    source = os.path.join(build.directory, "mutants", name + ".c")
    os.makedirs(os.path.dirname(source), exist_ok=True)
    with open(os.path.join(TOP, file)) as original:
        before = original.read()
    after = subprocess.run(["sed", "-E", expression.strip()], input=before, text=True, stdout=subprocess.PIPE, check=True).stdout
    if after == before:
        raise RuntimeError(f"{expression} changes nothing in {file}")
    with open(source, "w") as changed:
        changed.write(after)
    subprocess.run(["make", "-s", "-C", TOP, "mutant", "B=" + build.directory, "NAME=" + name, "FILE=" + file, "SOURCE=" + source],
                   check=True, stdout=subprocess.DEVNULL)
    return os.path.join(build.directory, "mutants", name)


def find(tap, build, name, file, expression):
    run = subprocess.run([make(build, name, file, expression), "--first", "--programs", str(MOST), "--seed", "1"],
                         stdout=subprocess.PIPE, text=True)
    result = json.loads(run.stdout.splitlines()[-1])
    said = [line.lstrip("# ") for line in run.stdout.splitlines() if line.startswith("#   ")]
    tap.check(result["violations"] > 0, f"{name} is found, after {result['programs']} programs: {said[0] if said else '?'}", result)


def main():
    tap = Tap()
    build = Build()
    wanted = sys.argv[1:] or ([name for name, *_ in mutations()] if FULL else SHORT)
    tap.check(len(mutations()) >= 10, "there are ten or more")
    for mutation in mutations():
        if mutation[0] in wanted:
            find(tap, build, *mutation)
    tap.exit()


main()
