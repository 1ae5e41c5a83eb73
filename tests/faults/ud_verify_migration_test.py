#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""ud-verify while either end moves in turn, and every new function gives its queue pairs the numbers that others have
had: each datagram comes once, unchanged, where it was sent, and from whom it was sent. On a calm fabric none is lost;
on a hostile one the fabric loses, the moves do not mix up; none is sent twice though a device flushes what it has sent.
The control: what a peer without the shim sends is lost while the VM moves, and at no other time."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.migration import migrate  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import UdVerify  # noqa: E402

MIGRATIONS = 50 if FULL else 12
MOVES_OF_CONTROL = 3
FAULTS = {"drop.ud": 0.01, "duplicate.ud": 0, "delay.ud": "0.02:3000", "hold": "0.2:2000"}
WRONG = ("duplicated", "corrupted", "misdelivered", "misattributed", "strange_headers", "strange_pkeys", "errors")


def all_is_right(verdicts, words):
    for verdict in verdicts:
        assert verdict.get("ok") and verdict["unchanged"], f"{verdict}{words}"
        assert not any(verdict[name] for name in WRONG), f"{verdict}"
    print("# | " + ", ".join(f"{verdict['role']}: {verdict['received']} received, {verdict['lost']} lost, longest pause "
                             f"{verdict['longest_pause_ms']:.0f} ms" for verdict in verdicts), flush=True)


def either_end_moves(lab, migrations, verify):
    turns = Turns(lab)
    for number in range(migrations):
        turns.move()
        assert verify.is_running(), f"ud-verify ended after migration {number + 1}{verify.words()}"
        time.sleep(0.1)


def datagrams_arrive(lab, faults, migrations, arguments=()):
    lab.fabric.data_faults(faults)
    try:
        with UdVerify(lab, "vm2", "vm1", arguments) as verify:
            either_end_moves(lab, migrations, verify)
            lab.fabric.data_faults({})
            verify.stop()
            verdicts = verify.results()
            all_is_right(verdicts, verify.words())
    finally:
        lab.fabric.data_faults({})
    return verdicts


def nothing_is_lost(lab):
    verdicts = datagrams_arrive(lab, {}, MIGRATIONS, ["-q", "4"])
    assert not any(verdict["lost"] for verdict in verdicts), f"{verdicts}"


def nothing_is_mixed_up(lab):
    verdicts = datagrams_arrive(lab, FAULTS, MIGRATIONS, ["-q", "4", "-w", "300"])
    assert any(verdict["lost"] for verdict in verdicts), "the faults did not bite"


def nothing_comes_twice(lab):
    """What ERR gives back has been sent, all of it or a part."""
    lab.fabric.cli("data-fault", "err_gives_back_sent=1")
    try:
        verdicts = datagrams_arrive(lab, {}, MOVES_OF_CONTROL * 2, ["-q", "4", "-e", "8"])
        assert not any(verdict["lost"] for verdict in verdicts), f"{verdicts}"
    finally:
        lab.fabric.cli("data-fault", "err_gives_back_sent=0")


def only_the_pause_loses(lab):
    """Only the one that moves has the shim; its numbers are the same at each place, so that the other need not know others."""
    at = {row["name"]: row["host"] for row in lab.ask("/v1/vms")["vms"]}
    moves = []
    with UdVerify(lab, "vm1", "vm2", ["-q", "2", "-t", "1", "-w", "200"], without_shim=["vm2"]) as verify:
        for _ in range(MOVES_OF_CONTROL):
            destination = next(host for host in lab.hosts if host not in at.values())
            moves.append(migrate(lab, "vm1", at["vm1"], destination))
            at["vm1"] = destination
            time.sleep(0.2)
        verify.stop()
        verdicts = verify.results()
        all_is_right(verdicts, verify.words())
    losses = [loss for verdict in verdicts for loss in verdict["losses"]]
    assert sum(loss["datagrams"] for loss in losses), "nothing was lost: the control shows nothing"
    for loss in losses:
        assert any(loss["first"] < move.ended and loss["last"] > move.began for move in moves), f"{loss} is of no pause"


def main():
    tap = Tap()
    with System(copy_ms=20) as lab:
        lab.start()
        lab.fabric.cli("data-fault", "swapped_numbers=1", "shifted_tables=1")
        tap.run(f"no_datagram_is_lost_or_changed_through_{MIGRATIONS}_migrations_of_either_end", nothing_is_lost, lab)
        tap.run("what_a_device_gives_back_though_it_has_sent_it_comes_once", nothing_comes_twice, lab)
        tap.run(f"a_hostile_fabric_mixes_nothing_up_through_{MIGRATIONS}_more", nothing_is_mixed_up, lab)
    with System(copy_ms=400) as lab:
        lab.start()
        lab.fabric.cli("data-fault", "colliding_numbers=1")
        tap.run("a_peer_without_the_shim_loses_in_the_pause_only", only_the_pause_loses, lab)
    tap.exit()


main()
