#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify with 16 QPs while either end moves in turn and the data plane is hostile: nothing lost, repeated or
changed, and it was not easy: completions were made up from evidence and work was replayed. With settlement switched
off the same run must fail."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

MIGRATIONS = 200 if FULL else 24
MIGRATIONS_OF_ATOMICS = 50 if FULL else 6
MIGRATIONS_OF_OTHERS = 50 if FULL else 6
ENOUGH = 100  # completions made up, and work requests replayed
QPS = 16
MOST_ABORTS = 3  # for each migration
# What the data plane does from shortly before a migration to its end (settings of simfabric's data_faults.h; VM1 and VM2
# stand for their LIDs), in turn, and what settlement has to do for it. The transport mends all of it by itself if it is
# given the time; the move does not give it. The client, in VM 1, does atomics: what keeps them from being answered
# aborts the migration, so some things happen to packets of one direction only.
FAULTS = {
    "nothing, but receives posted late: senders are RNR-blocked": ({}, "replayed"),
    "acknowledgements lost after execution": ({"drop.ack": 1}, "made_up"),
    "messages half delivered": ({"VM2>VM1:cut": "1:1"}, "replayed"),
    "acknowledged before the receive's completion is visible": ({"drop.ack": 0.5, "hold": "1:300000"}, "made_up"),
    "requests lost": ({"VM2>VM1:drop.request": 0.7}, "made_up"),
    "answers of READs lost": ({"VM1>VM2:drop.response": 1}, "replayed"),
}
# Atomics by both sides on every queue: only faults under which some migrations succeed.
FAULTS_OF_ATOMICS = {
    "nothing": ({}, None),
    "acknowledgements lost after execution": ({"drop.ack": 1}, None),
    "acknowledged before the receive's completion is visible": ({"drop.ack": 0.5, "hold": "1:300000"}, None),
    "answers of READs and atomics lost": ({"drop.response": 1}, None),
}
# A retry comes after a second, so that what is lost stays lost; receives are posted late enough that some senders stay
# RNR-blocked through the drain.
WORK = ["-q", str(QPS), "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400"]
# An atomic without its answer aborts the migration before the transport gives up on it.
SETTINGS = {**PATIENT, "stop_ms": 1500}


class Dance:
    """Either VM in turn moves under the next fault."""

    def __init__(self, lab, faults):
        self.lab = lab
        self.faults = faults
        self.turns = Turns(lab)
        self.done = []
        self.fault_of = []  # of those done
        self.aborts = 0
        self.lids = {vm.upper(): str(lab.lid_of(vm)) for vm in lab.vms}

    def step(self):
        fault = list(self.faults)[(len(self.done) + self.aborts) % len(self.faults)]
        try:
            self.done.append(self.move_under(self.faults[fault][0]))
        except CommandFailed as error:
            if error.answer.get("outcome") != "aborted":
                raise
            self.aborts += 1
            return
        self.fault_of.append(fault)

    def move_under(self, settings):
        self.lab.fabric.data_faults({with_names(key, self.lids): value for key, value in settings.items()})
        try:
            return self.turns.move()
        finally:
            self.lab.fabric.data_faults({})

    def total(self, name, fault=None):
        return sum(moved.count(name) for moved, under in zip(self.done, self.fault_of) if fault in (None, under))


def with_names(setting, names):
    for name, number in names.items():
        setting = setting.replace(name, number)
    return setting


def dance(moves, verify, migrations):
    while len(moves.done) < migrations:
        time.sleep(0.05)
        moves.step()
        assert verify.is_running(), f"rc-verify ended after migration {len(moves.done)}{verify.words()}"
        assert moves.aborts <= MOST_ABORTS * migrations, f"{moves.aborts} aborts in {len(moves.done)} migrations"


def start_verify(lab, arguments=(), env=None, server_arguments=()):
    verify = RcVerify(lab, "vm2", "vm1", [*WORK, *arguments], env=env, server_arguments=server_arguments)
    wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
    return verify


def findings(verdict):
    return {name: verdict.get(name) for name in ("lost", "duplicated", "corrupted", "out_of_order")}


def everything_arrives_once(lab, runs, arguments, faults, migrations, server_arguments=()):
    moves = Dance(lab, faults)
    runs.append(moves)
    with start_verify(lab, arguments, server_arguments=server_arguments) as verify:
        dance(moves, verify, migrations)
        verdicts = verify.end_exactly()
    for verdict in verdicts:
        assert verdict["sums_ok"]
        assert verdict["lid_before"] == verdict["lid_after"] and verdict["qpns_same"]
    print(f"# | {len(moves.done)} migrations, {moves.aborts} aborted besides; completions made up from evidence, work requests "
          "replayed:", flush=True)
    for fault in faults:
        print(f"# | {moves.total('made_up', fault):6} {moves.total('replayed', fault):6}  "
              f"in {moves.fault_of.count(fault)}: {fault}", flush=True)


def it_was_not_easy(runs):
    """In all, and each fault has bitten."""
    moves = runs[0]
    for name, what in (("made_up", "completions made up from evidence"), ("replayed", "work requests replayed")):
        count = moves.total(name)
        assert count >= ENOUGH, f"only {count} {what}: the faults did not bite"
    for fault, (_, shows) in moves.faults.items():
        assert moves.total(shows, fault), f"{fault}: nothing was {shows}"


def settlement_is_what_does_it(lab):
    """Whatever becomes of the migrations: the programs must have found something lost, repeated or changed in the end."""
    moves = Dance(lab, FAULTS)
    with start_verify(lab, ["--atomics", "off", "--stall", "10"], {"TETHER_SETTLEMENT": "off"}) as verify:
        for _ in range(2 * len(FAULTS)):
            try:
                moves.step()
            except CommandFailed as failed:
                print(f"# {failed.answer.get('outcome')}: {failed.stderr.splitlines()[-1:]}")
                moves.turns.look()
            if not verify.is_running():
                break
        verify.stop()
        verdicts = verify.results()
    print(f"# | without settlement, after {len(moves.done)} migrations: {[findings(verdict) for verdict in verdicts]}", flush=True)
    assert any(any(findings(verdict).values()) for verdict in verdicts), "nothing was found wrong"


def main():
    tap = Tap()
    runs = []
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        tap.run(f"everything_arrives_once_through_{MIGRATIONS}_migrations_of_either_end", everything_arrives_once, lab, runs,
                ["--atomics", "client"], FAULTS, MIGRATIONS)
        tap.run(f"at_least_{ENOUGH}_completions_made_up_and_work_requests_replayed", it_was_not_easy, runs)
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
        tap.run(f"everything_arrives_once_through_{MIGRATIONS_OF_ATOMICS}_more_with_atomics_by_both", everything_arrives_once,
                lab, runs, [], FAULTS_OF_ATOMICS, MIGRATIONS_OF_ATOMICS)
        tap.run(f"everything_arrives_once_through_{MIGRATIONS_OF_OTHERS}_more_with_extended_completion_queues",
                everything_arrives_once, lab, runs, ["--atomics", "client", "--cq", "each", "--extended-cq"], FAULTS,
                MIGRATIONS_OF_OTHERS, ["--extended-cq"])
        tap.run(f"everything_arrives_once_through_{MIGRATIONS_OF_OTHERS}_more_with_shared_receives", everything_arrives_once,
                lab, runs, ["--atomics", "client", "--receives", "shared"], FAULTS, MIGRATIONS_OF_OTHERS)
        tap.run(f"everything_arrives_once_through_{MIGRATIONS_OF_OTHERS}_more_over_xrc", everything_arrives_once, lab, runs,
                ["--atomics", "client", "--transport", "xrc"], FAULTS, MIGRATIONS_OF_OTHERS)
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        tap.run("without_settlement_the_same_run_fails", settlement_is_what_does_it, lab)
    tap.exit()


main()
