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
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import WindowVerify  # noqa: E402

MIGRATIONS = 40 if FULL else 6
MOST_ABORTS = 3  # for each migration
MOST_FOR_ALL = 5  # times as many migrations, until work has been settled in either way
# A peer's bind that stays without its completion, as an atomic without its answer, aborts the migration.
UNANSWERED = "window-unanswered"
SETTINGS = {**PATIENT, "stop_ms": 1500}
# What is lost stays lost for as long as a stop takes, so that some work has to be settled and replayed.
FAULTS = ({"drop.ack": 0.5}, {"drop.request": 0.3}, {"drop.response": 0.5}, {"hold": "0.3:20000"})


class Moves:
    """Either VM in turn moves under the next fault, until so many migrations are done."""

    def __init__(self, lab, faults):
        self.lab, self.faults, self.turns = lab, faults, Turns(lab)
        self.done, self.aborts = [], 0

    def step(self):
        self.lab.fabric.data_faults(self.faults[(len(self.done) + self.aborts) % len(self.faults)])
        time.sleep(0.1)
        try:
            self.done.append(self.turns.move())
        except CommandFailed as error:
            if [refusal["reason"] for refusal in error.answer.get("refusals", [])] != [UNANSWERED]:
                raise
            self.aborts += 1
        self.lab.fabric.data_faults({})
        time.sleep(0.1)

    def go(self, verify):
        while len(self.done) < MIGRATIONS or not self.has_met_all() and len(self.done) < MOST_FOR_ALL * MIGRATIONS:
            self.step()
            assert verify.is_running(), f"window-verify ended after migration {len(self.done)}{verify.words()}"
            assert self.aborts <= MOST_ABORTS * max(MIGRATIONS, len(self.done)), f"{self.aborts} aborts in {len(self.done)} migrations"

    def total(self, name):
        return sum(moved.count(name) for moved in self.done)

    def has_met_all(self):
        """Where there are faults: work that had to be settled in either way."""
        return self.faults == [{}] or bool(self.total("made_up") and self.total("replayed"))


def windows_let_in_what_they_should(lab, faults):
    try:
        with WindowVerify(lab, "vm2", "vm1") as verify:
            moves = Moves(lab, faults)
            moves.go(verify)
            verify.stop()
            verdicts = verify.results()
            for verdict in verdicts:
                assert verdict.get("ok") and verdict["invalidations"] and not verdict["corrupted"], \
                    f"{verdict}{verify.words()}"
    finally:
        lab.fabric.data_faults({})
    print("# | " + ", ".join(f"{verdict['role']}: {verdict['rounds']} rounds, {verdict['invalidations']} invalidated by the "
                             f"other side, {verdict['bytes']} bytes" for verdict in verdicts)
          + f"; {moves.aborts} aborted besides, {moves.total('made_up')} made up, {moves.total('replayed')} replayed", flush=True)
    return moves


def nor_do_faults_change_that(lab):
    moves = windows_let_in_what_they_should(lab, FAULTS)
    assert moves.total("made_up") and moves.total("replayed"), "the faults did not bite"


def nothing_is_aborted_where_nothing_is_lost(lab):
    moves = windows_let_in_what_they_should(lab, [{}])
    assert not moves.aborts, f"{moves.aborts} aborts"


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
    with System(copy_ms=50, settings=SETTINGS) as lab:
        lab.start()
        # Every new function gives its windows the keys that others have had.
        lab.fabric.cli("data-fault", "swapped_numbers=1")
        tap.run(f"windows_let_in_what_they_should_through_{MIGRATIONS}_migrations", nothing_is_aborted_where_nothing_is_lost, lab)
        tap.run(f"windows_let_in_what_they_should_through_{MIGRATIONS}_migrations_on_a_hostile_fabric",
                nor_do_faults_change_that, lab)
        tap.run("without_binding_again_it_fails", without_binding_again_it_fails, lab)
    tap.exit()


main()
