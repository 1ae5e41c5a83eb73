#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify between VMs whose ports are Ethernet (no LIDs, no SM for tether-smd; QPNs of different devices are the same numbers)
while either end moves in turn: nothing lost, repeated or changed. Behind agents in VMs and one between, through a move that fails, and
while tether-smd and agents are started again. With TETHER_FULL=1 many moves by GIDs of each kind."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

MIGRATIONS = 40
HOSTS = ("hyp1", "hyp2", "hyp3", "hyp4")
GIDS = {"link-local": "0", "of an IPv4 address": "1"}
WORK = ["-q", "2", "--ack-timeout", "18", "--atomics", "client"]
END_S = 30


def start_verify(lab, gid, server="vm2", client="vm1"):
    verify = RcVerify(lab, server, client, [*WORK, "-x", gid], server_arguments=["-x", gid])
    wait_until("rc-verify works", verify.is_working, 30, verify.logs() + lab.logs(), [verify.client])
    return verify


def move(lab, turns, verify):
    done = turns.move()
    assert verify.is_running(), f"rc-verify ended after a move{verify.words()}"
    return done


def everything_arrives_once(lab, gid):
    turns = Turns(lab)
    with start_verify(lab, gid) as verify:
        for _ in range(MIGRATIONS):
            move(lab, turns, verify)
        verify.end_exactly()


def a_gid_is_one_vms_while_a_program_of_it_shows_it(lab):
    """VM 2 comes to the slot that VM 1 has left: what starts there would be taken for VM 1's."""
    home = {row["name"]: row["host"] for row in lab.ask("/v1/vms")["vms"]}
    with start_verify(lab, "0") as verify:
        other = next(host for host in HOSTS if host not in home.values())
        lab.migrate("vm1", other)
        lab.migrate("vm2", home["vm1"])
        with RcVerify(lab, "vm1", "vm2", [*WORK, "-x", "0"], server_arguments=["-x", "0"]) as later:
            assert 0 not in later.wait(30) and "RTR: Address already in use" in later.words(), later.words()
        verify.end_exactly()
    with start_verify(lab, "0", "vm1", "vm2") as later:
        later.end_exactly()


def end(process):
    process.signal(signal.SIGKILL)
    process.wait(END_S)


def tether_smd_is_started_again(lab):
    end(lab.smd)
    lab.start_smd()
    lab.wait_connected(HOSTS)


def agents_are_started_again(lab):
    for name in [*lab.between, *HOSTS]:
        end(lab.agents[name])
        (lab.start_between if name in lab.between else lab.start_agent)(name)
    lab.wait_connected(HOSTS)
    wait_until("both VMs are where they were", lambda: len(lab.ask("/v1/vms")["vms"]) == 2, END_S, lab.logs())


def a_move_fails(lab, turns, verify):
    fail = lab.path("fail-move")
    with open(fail, "w"):
        pass
    try:
        move(lab, turns, verify)
    except CommandFailed as failed:
        assert failed.answer["outcome"] == "failed-at-source", failed.answer
    else:
        raise AssertionError("it has moved")
    finally:
        os.unlink(fail)
    turns.look()
    assert verify.is_running(), verify.words()


def what_goes_wrong_is_lived_through(lab):
    """A move that fails; tether-smd, then agents started again. What starts later connects by what these know then, the other way
    round and by GIDs of the other kind; no slot's GID is one that another VM's older program shows."""
    turns = Turns(lab)
    with start_verify(lab, "0") as verify:
        move(lab, turns, verify)
        a_move_fails(lab, turns, verify)
        tether_smd_is_started_again(lab)
        move(lab, turns, verify)
        agents_are_started_again(lab)
        with start_verify(lab, "1", "vm1", "vm2") as later:
            move(lab, turns, later)
            move(lab, turns, later)
            later.end_exactly()
        verify.end_exactly()


def failing_driver(lab):
    """A move fails while there is a file that says so."""
    path = lab.path("driver")
    with open(path, "w") as script:
        script.write(f'#!/bin/sh\n[ "$1" = move ] && [ -e "{lab.path("fail-move")}" ] && exit 1\nexec "{lab.driver}" "$@"\n')
    os.chmod(path, 0o700)
    return path


def system(**named):
    return System(hosts=HOSTS, copy_ms=5, settings=PATIENT, with_plugin=False, **named)


def start(lab):
    lab.start()
    lab.fabric.cli("data-fault", "ethernet=1", "colliding_numbers=1")


def main():
    tap = Tap()
    with system(guests=True, tree={"hyp1": "rack", "hyp2": "rack"}) as lab:
        lab.driver = failing_driver(lab)
        start(lab)
        tap.run("what goes wrong is lived through", what_goes_wrong_is_lived_through, lab)
        tap.run("a GID is one VM's while a program of it shows it", a_gid_is_one_vms_while_a_program_of_it_shows_it, lab)
        for kind, gid in GIDS.items() if FULL else ():
            tap.run(f"everything arrives once by the GID {kind}", everything_arrives_once, lab, gid)
    if FULL:
        with system() as lab:
            start(lab)
            tap.run("everything arrives once without agents in VMs", everything_arrives_once, lab, "0")
    tap.exit()


main()
