#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""window-verify while either end moves in turn: both have memory windows of both types, bound, used, invalidated here and by the
other side, both ways of posting. Every byte that is written through one is compared, and every byte around it. Calm, and while
the fabric loses and delays. The control: without binding again what was bound the same run fails."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import WindowVerify  # noqa: E402

MIGRATIONS = 40 if FULL else 6
# What is lost stays lost for as long as a stop takes, so that some work has to be settled and replayed.
FAULTS = ({"drop.ack": 0.5}, {"drop.request": 0.3}, {"drop.response": 0.5}, {"hold": "0.3:20000"})


def move_under(lab, verify, faults):
    turns, moves = Turns(lab), []
    for number in range(MIGRATIONS):
        lab.fabric.data_faults(faults[number % len(faults)])
        time.sleep(0.1)
        moves.append(turns.move())
        lab.fabric.data_faults({})
        assert verify.is_running(), f"window-verify ended after migration {number + 1}{verify.words()}"
        time.sleep(0.1)
    return sum(one.count("made_up") for one in moves), sum(one.count("replayed") for one in moves)


def windows_let_in_what_they_should(lab, faults):
    try:
        with WindowVerify(lab, "vm2", "vm1") as verify:
            made_up, replayed = move_under(lab, verify, faults)
            verify.stop()
            verdicts = verify.results()
            for verdict in verdicts:
                assert verdict.get("ok") and verdict["invalidations"] and not verdict["corrupted"], \
                    f"{verdict}{verify.words()}"
    finally:
        lab.fabric.data_faults({})
    print("# | " + ", ".join(f"{verdict['role']}: {verdict['rounds']} rounds, {verdict['invalidations']} invalidated by the "
                             f"other side, {verdict['bytes']} bytes" for verdict in verdicts)
          + f"; {made_up} made up, {replayed} replayed", flush=True)
    return made_up, replayed


def nor_do_faults_change_that(lab):
    made_up, replayed = windows_let_in_what_they_should(lab, FAULTS)
    assert made_up and replayed, "the faults did not bite"


def without_binding_again_it_fails(lab):
    with WindowVerify(lab, "vm2", "vm1", env={"TETHER_REBINDING": "off"}) as verify:
        turns = Turns(lab)
        turns.move()
        turns.move()
        verify.stop()
        verdicts = verify.results()
    assert not any(verdict.get("ok") for verdict in verdicts), f"{verdicts}"
    assert any(verdict.get("errors") for verdict in verdicts), f"{verdicts}"


def main():
    tap = Tap()
    with System(copy_ms=50, settings=PATIENT) as lab:
        lab.start()
        # Every new function gives its windows the keys that others have had.
        lab.fabric.cli("data-fault", "swapped_numbers=1")
        tap.run(f"windows_let_in_what_they_should_through_{MIGRATIONS}_migrations", windows_let_in_what_they_should, lab, [{}])
        tap.run(f"windows_let_in_what_they_should_through_{MIGRATIONS}_migrations_on_a_hostile_fabric",
                nor_do_faults_change_that, lab)
        tap.run("without_binding_again_it_fails", without_binding_again_it_fails, lab)
    tap.exit()


main()
