#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM that talks to itself moves: both ends of each queue pair in one process, one of them connected to itself
(loopback-verify), and in two processes (rc-verify), with work open in both directions on a hostile data plane. Exact."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import tails, wait_until  # noqa: E402
from lab.migration import migrate  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify, last_json  # noqa: E402

VM = "vm1"
MOVES = 30 if FULL else 6
MOST_ABORTS = 3  # for each move
# As in rc_verify_migration_test.py; packets go from the VM's LID to itself, so that each concerns both directions.
FAULTS = ({}, {"drop.ack": 1}, {"SELF>SELF:cut": "1:1"}, {"drop.ack": 0.5, "hold": "1:300000"}, {"SELF>SELF:drop.request": 0.7},
          {"SELF>SELF:drop.response": 1})
SETTINGS = {**PATIENT, "stop_ms": 1500}
WORK = ["-q", "8", "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400"]
SETTLE_S = 0.05  # so much work between two moves


class Itself:
    """@lab's VM moves from host to host, each time under the next faults."""

    bitten = []  # of all runs

    def __init__(self, lab):
        self.lab, self.lid = lab, str(lab.lid_of(VM))
        self.at = {row["name"]: row["host"] for row in lab.ask("/v1/vms")["vms"]}[VM]
        self.moved, self.aborts = [], 0

    def moves(self, is_running):
        done = len(self.moved) + MOVES
        while len(self.moved) < done:
            time.sleep(SETTLE_S)
            self.move(FAULTS[(len(self.moved) + self.aborts) % len(FAULTS)])
            assert is_running(), f"it ended after move {len(self.moved)}"
            assert self.aborts <= MOST_ABORTS * done, f"{self.aborts} aborts in {len(self.moved)} moves"

    def move(self, faults):
        to = self.lab.hosts[(self.lab.hosts.index(self.at) + 1) % len(self.lab.hosts)]
        self.lab.fabric.data_faults({key.replace("SELF", self.lid): value for key, value in faults.items()})
        try:
            self.moved.append(migrate(self.lab, VM, self.at, to))
            self.at = to
        except CommandFailed as error:  # an atomic without its answer
            if error.answer.get("outcome") != "aborted":
                raise
            self.aborts += 1
        finally:
            self.lab.fabric.data_faults({})

    def show(self, what):
        made_up, replayed = (sum(moved.count(name) for moved in self.moved) for name in ("made_up", "replayed"))
        print(f"# | {what}: {len(self.moved)} moves, {self.aborts} aborted besides; made up from evidence: {made_up}, "
              f"replayed: {replayed}", flush=True)
        self.bitten += [made_up, replayed]


def in_one_process(lab):
    program = lab.run_in_vm(VM, "loopback-verify", [lab.build.program("loopback-verify")])
    wait_until("it works", lambda: "works" in open(program.log, errors="replace").read(), 30, [program.log], [program])
    itself = Itself(lab)
    itself.moves(lambda: program.poll() is None)
    program.signal(15)
    status = program.wait(60)
    verdict = last_json(program.output())
    assert status == 0 and verdict["ok"], f"{verdict}{tails([program.log])}"
    itself.show(f"one process, {verdict['messages']} messages")


def in_two_processes(lab, arguments, server_arguments=()):
    itself = Itself(lab)
    with RcVerify(lab, VM, VM, [*WORK, *arguments], server_arguments=server_arguments) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        itself.moves(verify.is_running)
        verdicts = verify.end_exactly()
    assert all(v["sums_ok"] and v["qpns_same"] and v["lid_before"] == v["lid_after"] for v in verdicts)
    itself.show(f"two processes {' '.join(arguments)}")


def it_was_not_easy():
    assert sum(Itself.bitten[::2]) and sum(Itself.bitten[1::2]), f"made up, replayed: {Itself.bitten}"


def main():
    tap = Tap()
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        tap.run("queue_pairs_of_one_process_go_on", in_one_process, lab)
        tap.run("queue_pairs_of_two_processes_of_the_vm_go_on", in_two_processes, lab, ["--atomics", "off"])
        tap.run("so_they_do_with_shared_receives", in_two_processes, lab, ["--atomics", "client", "--receives", "shared"])
        tap.run("and_over_xrc", in_two_processes, lab, ["--atomics", "client", "--transport", "xrc"])
        tap.run("and_it_was_not_easy", it_was_not_easy)
    tap.exit()


main()
