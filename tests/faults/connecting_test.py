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
from faults.victims import (DESTINATION, PEER, SOURCE, KillLab, Load, has_stopped, start_migration,  # noqa: E402
                            verdict_of)
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import START_S, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import perftest  # noqa: E402

MIGRATIONS = 100 if FULL else 12
SIDE_BY_SIDE = 3
REFUSALS = {"peer-without-shim", "vm-qp-without-shim"}
END_S = 90
WELCOME = "welcomed by"


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


class WithoutAtomics(Load):
    """One that waits for its answer would end the migration for that."""

    WORK = [*Load.WORK, "--atomics", "off"]


def count_in(path, what):
    return open(path, errors="replace").read().count(what)


def start_agents_again(lab, hosts):
    """Returns when tether-smd has heard of them."""
    heard = {host: count_in(lab.path("smd.log"), f"host {host} is here") for host in hosts}
    for host in hosts:
        lab.agents[host].kill()
        lab.start_agent(host)
    for host, before in heard.items():
        wait_until(f"{host} is here again", lambda: count_in(lab.path("smd.log"), f"host {host} is here") > before,
                   START_S, lab.logs())


def overlooked_program_does_not_move_without_its_peer(lab):
    """Two agents were started again and the programs beside them have not come back at PREPARE. The VM's comes before
    STOP, its peer does not: the VM must not move away from it."""
    load = WithoutAtomics(lab, client_env={"TETHER_LOG": "stderr", "TETHER_LOG_LEVEL": "debug"})
    for process in (load.client, load.server):
        process.signal(signal.SIGSTOP)
    start_agents_again(lab, (SOURCE, PEER))
    command = start_migration(lab, "vm1", DESTINATION)
    wait_until("tether-smd is about to say STOP", lambda: has_stopped(lab.smd), START_S, lab.logs(), [lab.smd])
    before = count_in(load.client.log, WELCOME)
    load.client.signal(signal.SIGCONT)
    wait_until("the VM's program is back", lambda: count_in(load.client.log, WELCOME) > before, START_S, load.logs())
    lab.smd.signal(signal.SIGCONT)
    status = command.wait(END_S)
    load.server.signal(signal.SIGCONT)
    assert status and "peer-without-shim" in command.output(), command.output()
    assert lab.place_of("vm1")[0] == SOURCE
    load.stop()
    for process in (load.client, load.server):
        assert process.wait(END_S) == 0, f"{verdict_of(process)}{tails(load.logs())}"


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
    with KillLab() as lab:
        lab.armed["smd"] = {"TETHER_STOP_AT": "smd-ask:stopping"}
        lab.start()
        tap.run("overlooked_program_does_not_move_without_its_peer", overlooked_program_does_not_move_without_its_peer, lab)
        tap.run("sa_and_fabric_agree_where_it_stayed", check_sa_truth, lab)
    for guests in (False, True) if FULL else (False,):
        where = ", behind agents in the VMs" if guests else ""
        with System(copy_ms=20, guests=guests) as lab:
            lab.start()
            tap.run(f"programs_that_connect_while_their_vm_moves_meet_no_errors{where}", programs_that_connect_meet_no_errors, lab)
            tap.run(f"sa_and_fabric_agree_afterwards{where}", check_sa_truth, lab)
    tap.exit()


main()
