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
from lab.migration import migrate  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

MIGRATIONS = 200 if FULL else 12  # in two halves
ENOUGH = 100  # completions made up, and work requests replayed
QPS = 16
MOST_ABORTS = 3  # for each migration
# What the data plane does from shortly before a migration to its end (settings of simfabric's data_faults.h), in turn.
# The transport mends all of it by itself if it is given the time; the move does not give it.
FAULTS = {
    "nothing": {},
    "acknowledgements lost after execution": {"drop.ack": 1},
    "messages half delivered": {"cut": "1:1"},
    "acknowledged before the receive's completion is visible": {"drop.ack": 0.5, "hold": "1:300000"},
    "answers of READs and atomics lost": {"drop.response": 1},
    "requests lost": {"drop.request": 0.7},
}
# An atomic that waits for its answer aborts the migration if the answer does not come, and in this half every queue has
# atomics: only faults under which some migrations succeed.
FAULTS_WITH_ATOMICS = ("nothing", "acknowledgements lost after execution",
                       "acknowledged before the receive's completion is visible", "answers of READs and atomics lost")
# A retry comes after a second, so that what is lost stays lost; receives are posted late enough that some senders stay
# RNR-blocked through the drain.
WORK = ["-q", str(QPS), "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400"]
# An atomic without its answer aborts the migration before the transport gives up on it.
SETTINGS = {**PATIENT, "stop_ms": 1500}


class Dance:
    """Either VM in turn goes to the next hypervisor that is free of the other."""

    def __init__(self, lab, faults, start):
        self.lab = lab
        self.faults = faults
        self.at = start
        self.turn = 0
        self.done = []
        self.aborts = 0

    def step(self):
        vm = ("vm1", "vm2")[self.turn % 2]
        other = self.at["vm2" if vm == "vm1" else "vm1"]
        hosts = self.lab.hosts
        place = hosts.index(self.at[vm])
        destination = next(host for host in hosts[place + 1:] + hosts[:place] if host != other)
        try:
            self.done.append(self.migrate_under_fault(vm, destination))
        except CommandFailed as error:
            if error.answer.get("outcome") != "aborted":
                raise
            self.aborts += 1
            return
        self.at[vm] = destination
        self.turn += 1

    def look(self):
        """Where the VMs are, after a migration of which that cannot be told."""
        self.at = {row["name"]: row["host"] for row in self.lab.ask("/v1/vms")["vms"]}

    def migrate_under_fault(self, vm, destination):
        fault = self.faults[(len(self.done) + self.aborts) % len(self.faults)]
        self.lab.fabric.data_faults(FAULTS[fault])
        try:
            return migrate(self.lab, vm, self.at[vm], destination)
        finally:
            self.lab.fabric.data_faults({})

    def total(self, name):
        return sum(moved.count(name) for moved in self.done)


def dance(moves, verify, migrations):
    while len(moves.done) < migrations:
        time.sleep(0.05)
        moves.step()
        assert verify.is_running(), f"rc-verify ended after migration {len(moves.done)}{verify.words()}"
        assert moves.aborts <= MOST_ABORTS * migrations, f"{moves.aborts} aborts in {len(moves.done)} migrations"


def start_verify(lab, arguments=(), env=None):
    verify = RcVerify(lab, "vm2", "vm1", [*WORK, *arguments], env=env)
    wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
    return verify


def findings(verdict):
    return {name: verdict.get(name) for name in ("lost", "duplicated", "corrupted", "out_of_order", "errors")}


def everything_arrives_once(lab, halves, arguments, faults):
    start = halves[-1].at if halves else {"vm1": "hyp1", "vm2": "hyp2"}
    moves = Dance(lab, faults, start)
    halves.append(moves)
    with start_verify(lab, arguments) as verify:
        dance(moves, verify, MIGRATIONS // 2)
        verify.stop()
        verdicts = verify.results()
    for verdict in verdicts:
        assert verdict.get("ok") and not any(findings(verdict).values()), f"{findings(verdict)}{verify.words()}"
        assert verdict["sums_ok"] and verdict["lid_before"] == verdict["lid_after"] and verdict["qpns_same"]
    print(f"# {len(moves.done)} migrations, {moves.aborts} aborted besides, {moves.total('made_up')} completions made up, "
          f"{moves.total('replayed')} work requests replayed", flush=True)


def it_was_not_easy(halves):
    for name, what in (("made_up", "completions made up from evidence"), ("replayed", "work requests replayed")):
        count = sum(moves.total(name) for moves in halves)
        assert count >= ENOUGH, f"only {count} {what}: the faults did not bite"


def settlement_is_what_does_it(lab):
    """Whatever becomes of the migrations: the programs must have found something wrong in the end."""
    moves = Dance(lab, tuple(FAULTS), {"vm1": "hyp1", "vm2": "hyp2"})
    with start_verify(lab, ["--atomics", "off", "--stall", "10"], {"TETHER_SETTLEMENT": "off"}) as verify:
        for _ in range(2 * len(FAULTS)):
            try:
                moves.step()
            except CommandFailed as failed:
                print(f"# {failed.answer.get('outcome')}: {failed.stderr.splitlines()[-1:]}")
                moves.look()
            if not verify.is_running():
                break
        verify.stop()
        verdicts = verify.results()
    assert any(any(findings(verdict).values()) for verdict in verdicts), "nothing was found wrong"


def main():
    tap = Tap()
    halves = []
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        what = f"everything_arrives_once_through_{MIGRATIONS // 2}_migrations_of_either_end"
        tap.run(what, everything_arrives_once, lab, halves, [], FAULTS_WITH_ATOMICS)
        tap.run(f"{what}_without_atomics", everything_arrives_once, lab, halves, ["--atomics", "off"], tuple(FAULTS))
        tap.run(f"at_least_{ENOUGH}_completions_made_up_and_work_requests_replayed", it_was_not_easy, halves)
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        tap.run("without_settlement_the_same_run_fails", settlement_is_what_does_it, lab)
    tap.exit()


main()
