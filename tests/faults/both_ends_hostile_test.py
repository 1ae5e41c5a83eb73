#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: both_ends_hostile_test.py [SEED]

rc-verify between two VMs that both move at once on a data plane that is hostile, then ud-verify on a calm one; no message of the
signalling is lost. The rounds are both_ends_rounds.py's."""
import os
import random
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

from faults.both_ends_rounds import SETTLE_S, WORK, Rounds, both_move_at_once  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.system import PATIENT, SHARED_PORT_NET, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import UdVerify  # noqa: E402

ROUNDS = 60 if FULL else 2
ROUNDS_OF_DATAGRAMS = 20 if FULL else 2
ROUNDS_OF_OTHERS = 20
# Other systems; the ways are the same.
OTHERS = {"dynamic_lids": {"dynamic": True}, "agents_in_the_vms": {"guests": True}, "shared_ports": {"net": SHARED_PORT_NET}} if FULL else {}
# Where for a whole round no acknowledgement comes an atomic without its answer aborts a migration before the transport gives up on it.
HOSTILE_WORK = [*WORK, "--ack-timeout", "18"]
HOSTILE_SETTINGS = {**PATIENT, "stop_ms": 1500}
# As in rc_verify_migration_test.py; the client, in VM 1, does atomics.
FAULTS = ({"drop.ack": 1}, {"VM2>VM1:cut": "1:1"}, {"drop.ack": 0.5, "hold": "1:300000"}, {"VM2>VM1:drop.request": 0.7},
          {"VM1>VM2:drop.response": 1}, {})


def on_a_hostile_plane(lab, rounds, draw):
    both_move_at_once(lab, rounds, draw, work=HOSTILE_WORK, faults=FAULTS)


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
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1, 1 << 32)
    print(f"# seed {seed}", flush=True)
    tap = Tap()
    with System(copy_ms=5, settings=HOSTILE_SETTINGS) as lab:
        lab.start()
        tap.run(f"both_ends_move_at_once_{ROUNDS}_times_on_a_hostile_data_plane", on_a_hostile_plane, lab, ROUNDS, random.Random(seed))
        tap.run(f"so_they_do_{ROUNDS_OF_DATAGRAMS}_times_and_no_datagram_is_lost", no_datagram_is_lost, lab, ROUNDS_OF_DATAGRAMS,
                random.Random(seed))
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    for name, system in OTHERS.items():
        with System(copy_ms=5, settings=HOSTILE_SETTINGS, **system) as lab:
            lab.start()
            tap.run(f"so_they_do_{ROUNDS_OF_OTHERS}_times_with_{name}", on_a_hostile_plane, lab, ROUNDS_OF_OTHERS, random.Random(seed))
    tap.exit()


main()
