#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify with 8 QPs between two VMs that both move at once, each round in another way, while the data plane is hostile:
both get there without being asked for again, never at the same instant, and nothing is lost, repeated or changed.
`both_ends_test.py SEED [ROUNDS]` draws the same again."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.both_ends import Pair  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import PATIENT, SHARED_PORT_NET, System  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from lab.workload import RcVerify, UdVerify  # noqa: E402

ROUNDS = 200 if FULL else 11
ROUNDS_OF_DATAGRAMS = 20 if FULL else 4
ROUNDS_OF_OTHERS = 20
# Other systems; the ways are the same.
OTHERS = {"dynamic_lids": {"dynamic": True}, "agents_in_the_vms": {"guests": True}, "shared_ports": {"net": SHARED_PORT_NET}} if FULL else {}
WORK = ["-q", "8", "--atomics", "client", "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400"]
# An atomic without its answer aborts a migration before the transport gives up on it.
SETTINGS = {**PATIENT, "stop_ms": 1500}
# As in rc_verify_migration_test.py; the client, in VM 1, does atomics.
FAULTS = ({}, {"drop.ack": 1}, {"VM2>VM1:cut": "1:1"}, {"drop.ack": 0.5, "hold": "1:300000"}, {"VM2>VM1:drop.request": 0.7},
          {"VM1>VM2:drop.response": 1})
SETTLE_S = 0.05  # so much work between two rounds


def with_names(setting, lids):
    for name, lid in lids.items():
        setting = setting.replace(name, lid)
    return setting


class Rounds:
    def __init__(self, lab, draw):
        self.lab, self.draw, self.pair = lab, draw, Pair(lab, draw)
        self.lids = {vm.upper(): str(lab.lid_of(vm)) for vm in lab.vms}
        self.done = self.disturbed = 0
        self.table = {}

    def run(self, verify, rounds):
        ways = self.pair.ways()
        while self.done < rounds:
            time.sleep(SETTLE_S)
            number = self.done + self.disturbed
            self.round(ways[number % len(ways)], FAULTS[number // len(ways) % len(FAULTS)])
            assert verify.is_running(), f"rc-verify ended after round {number}{verify.words()}"
            assert self.disturbed <= rounds, f"{self.disturbed} rounds were not done, {self.done} were"

    def round(self, way, faults):
        name = way.__name__
        self.pair.faults({with_names(key, self.lids): value for key, value in faults.items()})
        try:
            both = way()
        finally:
            self.pair.faults({})
        self.pair.look()
        self.done += both
        self.disturbed += not both
        row = self.table.setdefault(name, [0, 0])
        row[not both] += 1

    def show(self):
        print_rows([["asked for", "both done", "one or both aborted, then done"]]
                   + [[name.replace("_", " "), str(done), str(other)] for name, (done, other) in self.table.items()])
        made_up, replayed = (sum(m.get("counts", {}).get(what, 0) for m in self.pair.ended) for what in ("made_up", "replayed"))
        print(f"# | {len(self.pair.ended)} migrations; completions made up from evidence: {made_up}, work requests replayed: {replayed}; "
              f"waited for the other's end: {self.pair.waited} times", flush=True)


def both_move_at_once(lab, rounds, draw):
    moves = Rounds(lab, draw)
    with RcVerify(lab, "vm2", "vm1", WORK) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        moves.run(verify, rounds)
        verdicts = verify.end_exactly()
    for verdict in verdicts:
        assert verdict["sums_ok"] and verdict["qpns_same"] and verdict["lid_before"] == verdict["lid_after"]
    moves.show()
    assert moves.pair.waited >= moves.done // 2, f"the second waited {moves.pair.waited} times: they were not asked for at once"
    print(f'# | {{"both_moved_at_once": {moves.done}, "lost": {sum(v["lost"] for v in verdicts)}, '
          f'"duplicated": {sum(v["duplicated"] for v in verdicts)}, "corrupted": {sum(v["corrupted"] for v in verdicts)}}}', flush=True)


def no_datagram_is_lost(lab, rounds, draw):
    """On a calm fabric."""
    moves = Rounds(lab, draw)
    with UdVerify(lab, "vm2", "vm1") as verify:
        ways = moves.pair.ways()
        for number in range(rounds):
            time.sleep(SETTLE_S)
            moves.round(ways[number % len(ways)], {})
            assert verify.is_running(), f"ud-verify ended after round {number}{verify.words()}"
        verify.stop()
        verdicts = verify.results()
    for verdict in verdicts:
        assert verdict.get("ok") and not verdict["lost"], verdict


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    print(f"# seed {seed}", flush=True)
    tap = Tap()
    with System(copy_ms=5, settings=SETTINGS) as lab:
        lab.start()
        tap.run(f"both_ends_move_at_once_{rounds}_times_and_everything_arrives_once", both_move_at_once, lab, rounds,
                random.Random(seed))
        tap.run(f"so_they_do_{ROUNDS_OF_DATAGRAMS}_times_and_no_datagram_is_lost", no_datagram_is_lost, lab, ROUNDS_OF_DATAGRAMS,
                random.Random(seed))
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    for name, system in OTHERS.items():
        with System(copy_ms=5, settings=SETTINGS, **system) as lab:
            lab.start()
            tap.run(f"so_they_do_{ROUNDS_OF_OTHERS}_times_with_{name}", both_move_at_once, lab, ROUNDS_OF_OTHERS, random.Random(seed))
    tap.exit()


main()
