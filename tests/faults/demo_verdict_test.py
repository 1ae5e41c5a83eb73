#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The demo's exit status is 0 for a good result only: each key, spoilt alone, makes it 1."""
import copy
import os
import sys
from types import SimpleNamespace

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

import verdict  # noqa: E402
from lab.tap import Tap  # noqa: E402

MIGRATIONS = 3
EXACT = {"ok": True, "lost": 0, "duplicated": 0, "corrupted": 0, "lid_before": 8, "lid_after": 8}
COUNTED = SimpleNamespace(physical=12, vswitch=6, expected=18)

SPOILT = {
    "migrations": [0, MIGRATIONS - 1, MIGRATIONS + 1],
    "lost": [1],
    "duplicated": [1],
    "corrupted": [1],
    "blackout_ms": [{"min": 0, "median": 250.0, "max": 300.0}, {"min": 99.9, "median": 250.0, "max": 300.0},
                    {"min": 200.0, "median": 199.0, "max": 300.0}, {"min": 200.0, "median": 250.0, "max": 240.0}],
    "copy_ms": [0, 201],
    "lft_smps": [0, 17, 19],
    "lft_smps_physical": [0, 11],
    "lft_smps_vswitch": [0, 7],
    "lft_smps_expected": [0, 17, 19],
    "app_exit": [1, -9, 256],
    "lid_before": [9, None],
    "lid_after": [9, None],
}


def good():
    verdicts = [dict(EXACT), dict(EXACT)]
    return verdict.summary([200.0, 250.0, 300.0], COUNTED, verdicts, [0, 0, 0, 0], 100), verdicts


def status_with(**spoilt):
    result, verdicts = good()
    return verdict.exit_status({**result, **spoilt}, verdicts, MIGRATIONS)


def a_good_result_is_good():
    assert status_with() == 0


def every_key_can_spoil_it():
    assert set(SPOILT) == set(good()[0])


def spoilt_is_not_good(key):
    for value in SPOILT[key]:
        assert status_with(**{key: value}) == 1, f"{key}: {value} is good"


def nothing_that_moved_is_not_good():
    """What a fabric without switches, or a count that never counts, would show."""
    assert status_with(lft_smps=0, lft_smps_physical=0, lft_smps_vswitch=0, lft_smps_expected=0) == 1
    assert status_with(blackout_ms={"min": 0, "median": 0, "max": 0}, copy_ms=0) == 1
    assert status_with(lid_before=None, lid_after=None) == 1


def what_a_program_did_not_say_is_not_good():
    result, verdicts = good()
    for end in range(2):
        for missing in EXACT:
            heard = copy.deepcopy(verdicts)
            del heard[end][missing]
            made = verdict.summary([200.0] * MIGRATIONS, COUNTED, heard, [0] * 4, 100)
            is_client_only = missing.startswith("lid")
            assert verdict.exit_status(made, heard, MIGRATIONS) == (0 if is_client_only and end == 1 else 1), (end, missing)
    assert verdict.exit_status(result, [verdicts[0], {**EXACT, "ok": False}], MIGRATIONS) == 1


def an_sa_that_is_wrong_is_not_good():
    result, verdicts = good()
    assert verdict.exit_status(result, verdicts, MIGRATIONS, []) == 0
    assert verdict.exit_status(result, verdicts, MIGRATIONS, ["SA has no LinkRecord"]) == 1


def the_first_bad_exit_status_is_told():
    _, verdicts = good()
    assert verdict.summary([200.0], COUNTED, verdicts, [0, 3, 1], 100)["app_exit"] == 3


def main():
    tap = Tap()
    tap.run("a_good_result_is_good", a_good_result_is_good)
    tap.run("every_key_can_spoil_it", every_key_can_spoil_it)
    for key in SPOILT:
        tap.run(f"spoilt_is_not_good: {key}", spoilt_is_not_good, key)
    tap.run("nothing_that_moved_is_not_good", nothing_that_moved_is_not_good)
    tap.run("what_a_program_did_not_say_is_not_good", what_a_program_did_not_say_is_not_good)
    tap.run("an_sa_that_is_wrong_is_not_good", an_sa_that_is_wrong_is_not_good)
    tap.run("the_first_bad_exit_status_is_told", the_first_bad_exit_status_is_told)
    tap.exit()


main()
