#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libosmtether.so, built with a sanitizer, inside a stock OpenSM: identities move while other connections ask, sweeps
are forced and leases are taken and dropped. The sanitizer must have nothing to report and OpenSM end by itself."""
import os
import random
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.dynamic_lab import DynamicLab  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402
from simfabric.together_lab import Mover  # noqa: E402

MOVES = 100 if FULL else 20
SWEEP_EVERY = 5
HIGH = 1100  # a LID beyond OpenSM's tables


class Bystanders:
    """Connections that ask all the time, each on a thread of its own."""

    def __init__(self, lab):
        self.lab = lab
        self.over = threading.Event()
        self.asked = 0
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(ask,))
                        for ask in (self.ask_status, self.ask_places, self.take_leases)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def run(self, ask):
        guids = [row["port_guid"] for row in self.lab.fabric.slots()]
        try:
            while not self.over.is_set():
                ask(guids)
                self.asked += 1
        except Exception as error:  # told by the test
            self.errors.append(error)

    def ask_status(self, guids):
        self.lab.ask("status")

    def ask_places(self, guids):
        with self.lab.connect() as sm:
            for guid in guids:
                sm.ask("locate", port_guid=guid)

    def take_leases(self, guids):
        """And drop them with the connection; refused while a move has it."""
        try:
            self.lab.ask("lease", migration="bystander", ms=5, wait_ms=5)
        except Refused as refused:
            if refused.reason != "busy":
                raise


def moves_among_bystanders(lab):
    draw = random.Random(1)
    with Bystanders(lab) as bystanders:
        for number in range(MOVES):
            plan, applied = lab.move(*draw.sample(lab.slots(), 2))
            assert applied["verified"] and lab.ask("verify", hash=plan["hash"])["verified"]
            if number % SWEEP_EVERY == 0:
                lab.ask_for_sweep()
    assert not bystanders.errors, bystanders.errors[0]
    assert lab.fabric.check()["lost"] == 0
    print(f"# {MOVES} moves, {bystanders.asked} rounds of the bystanders")


def evacuations_in_each_order(lab):
    """And back, by undo."""
    for order in ("fast", "consistent", "drop-first"):
        pairs = [(f"hyp1_vf{number}", f"hyp{number + 1}_vf1") for number in (1, 2, 3)]
        plan, applied = lab.move_together(pairs, order=order)
        assert applied["verified"]
        moves = [{"vm_port_guid": move["vm"]["port_guid"], "to_switch_guid": move["from"]["switch_guid"],
                  "to_switch_port": move["from"]["switch_port"]} for move in plan["moves"]]
        sm, migration = lab.leased()
        with sm:
            for source, destination in pairs:
                lab.exchange_guids(source, destination)
            assert sm.ask("undo", moves=moves, hash=plan["hash"], migration=migration)["verified"]
    assert lab.fabric.check()["lost"] == 0


def back_and_forth(lab, pair, errors):
    """One VM, over a connection of its own for each move."""
    try:
        for number in range(MOVES):
            mover = Mover(lab, *(pair if number % 2 == 0 else pair[::-1]))
            mover.lease()
            mover.exchange()
            answer = mover.apply()
            assert answer["ok"] and mover.verify(), answer
            mover.release()
    except Exception as error:  # told by the test
        errors.append(error)


def vms_move_at_the_same_time(lab):
    pairs = [(f"hyp{number}_vf{number}", f"hyp{(number % 4) + 1}_vf{(number + 1) % 4 + 1}") for number in (1, 2, 3, 4)]
    errors = []
    threads = [threading.Thread(target=back_and_forth, args=(lab, pair, errors)) for pair in pairs]
    for thread in threads:
        thread.start()
    lab.ask_for_sweep()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert lab.fabric.check()["lost"] == 0


def vms_come_move_and_end(lab):
    for number in range(3):
        slot = f"hyp{number + 1}_vf2"
        lab.create(slot, **({"lid": HIGH} if number == 1 else {}))
        lab.heavy_sweep()
        lab.copy([(slot, "hyp4_vf4")], "consistent")
        lab.heavy_sweep()
        lab.destroy("hyp4_vf4")
        lab.heavy_sweep()


def opensm_ends_by_itself_with_nothing_reported(lab):
    status = lab.opensm().stop(30)
    assert not lab.sanitizer_reports(), lab.sanitizer_reports()[:4000]
    assert status == 0, f"exit status {status}"


def main():
    tap = Tap()
    with PluginLab({"packet_life_time": "0x0c"}) as lab:
        tap.run("moves_among_bystanders", moves_among_bystanders, lab)
        tap.run("evacuations_in_each_order", evacuations_in_each_order, lab)
        tap.run("vms_move_at_the_same_time", vms_move_at_the_same_time, lab)
        tap.run("opensm_ends_by_itself_with_nothing_reported", opensm_ends_by_itself_with_nothing_reported, lab)
    with DynamicLab(("hyp1_vf1", "hyp3_vf1")) as lab:
        tap.run("vms_come_move_and_end", vms_come_move_and_end, lab)
        tap.run("and_opensm_ends_by_itself_with_nothing_reported", opensm_ends_by_itself_with_nothing_reported, lab)
    tap.exit()


main()
