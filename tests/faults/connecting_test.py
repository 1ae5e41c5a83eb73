#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Programs that connect while their VM moves end with status 0: one that begins between PREPARE and STOP, exactly, and
many that come and go while the VM moves to and fro. A migration that meets a pair of which only one end is connected is
refused by name, and then asked again."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import DESTINATION, KillLab, has_stopped, start_migration  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import START_S, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

MIGRATIONS = 100 if FULL else 12
SIDE_BY_SIDE = 3
REFUSALS = {"peer-without-shim", "vm-qp-without-shim"}
END_S = 90


def has_asked(log):
    """Has a program gone so far as to ask for its first connection?"""
    return "interest in lid" in open(log, errors="replace").read()


def connecting_between_prepare_and_stop(lab):
    """tether-smd has everybody's word on PREPARE and has not said STOP; now two programs begin to connect. Whichever end
    is free to connect alone would be cut off from the other by the move."""
    command = start_migration(lab, "vm1", DESTINATION)
    wait_until("tether-smd is about to say STOP", lambda: has_stopped(lab.smd), START_S, lab.logs(), [lab.smd])
    pair = perftest(lab, "ib_write_bw", "vm2", "vm1", ["-q", "8", "-n", "1000", "-s", "4096"],
                    env={"TETHER_LOG": "stderr", "TETHER_LOG_LEVEL": "debug"})
    wait_until("both ends have asked", lambda: all(map(has_asked, pair.logs())), START_S, pair.logs(), [pair.server, pair.client])
    lab.smd.signal(signal.SIGCONT)
    assert pair.wait(END_S) == (0, 0), pair.words()
    assert command.wait(END_S) == 0, command.output()
    assert lab.place_of("vm1")[0] == DESTINATION


class Connecting:
    """Programs that connect 8 queue pairs at each end, write a little and end; as one ends the next begins."""

    def __init__(self, lab):
        self.lab = lab
        self.started = 0
        self.pairs = []
        self.ended = 0

    def start_missing(self):
        while len(self.pairs) < SIDE_BY_SIDE:
            self.started += 1
            # By turns the VM is the one that listens.
            server, client = ("vm2", "vm1") if self.started % 2 else ("vm1", "vm2")
            self.pairs.append(perftest(self.lab, "ib_write_bw", server, client, ["-q", "8", "-n", "200", "-s", "4096"],
                                       name=f"connecting-{self.started}"))

    def check(self, pair):
        statuses = pair.wait(END_S)
        assert statuses == (0, 0), f"{pair.name}: exit statuses {statuses}\n{pair.words()}"
        self.ended += 1

    def check_ended(self):
        for pair in [pair for pair in self.pairs if pair.client.poll() is not None]:
            self.pairs.remove(pair)
            self.check(pair)

    def finish(self):
        for pair in self.pairs:
            self.check(pair)


def reasons_of(failed):
    return {refusal["reason"] for refusal in failed.answer.get("refusals", [])}


def programs_that_connect_meet_no_errors(lab):
    connecting = Connecting(lab)
    moves = refused = 0
    hosts = ["hyp1", "hyp3"]
    while moves < MIGRATIONS:
        connecting.start_missing()
        try:
            lab.migrate("vm1", hosts[(moves + 1) % 2])
            moves += 1
        except CommandFailed as failed:
            assert reasons_of(failed) and reasons_of(failed) <= REFUSALS, str(failed)
            refused += 1
        connecting.check_ended()
    connecting.finish()
    print(f"# {moves} migrations, {refused} refused; {connecting.ended} programs", flush=True)
    assert connecting.ended >= MIGRATIONS / 4


def main():
    tap = Tap()
    with KillLab() as lab:
        lab.armed["smd"] = {"TETHER_STOP_AT": "smd-ask:stopping"}
        lab.start()
        tap.run("programs_that_connect_between_prepare_and_stop_wait", connecting_between_prepare_and_stop, lab)
        tap.run("sa_and_fabric_agree", check_sa_truth, lab)
    with System(copy_ms=20) as lab:
        lab.start()
        tap.run("programs_that_connect_while_their_vm_moves_meet_no_errors", programs_that_connect_meet_no_errors, lab)
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    tap.exit()


main()
