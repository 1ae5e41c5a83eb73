#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: both_ends_test.py [SEED [ROUNDS]]

rc-verify with 8 QPs between two VMs that both move at once, each round in another way (both_ends_rounds.py), while one in ten messages
of the signalling is lost, and one in a hundred packets (lossy_lab.py): nothing is lost, repeated or changed."""
import os
import random
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "demo-apps")]

from faults.both_ends_rounds import both_move_at_once  # noqa: E402
from faults.lossy_counts import Result  # noqa: E402
from faults.lossy_lab import LossyLab  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.system import PATIENT  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

ROUNDS = 200 if FULL else 6
SYSTEM = {"copy_ms": 5, "settings": PATIENT, "guests": True, "signal": "mad", "tree": {host: "rack" for host in ("hyp1", "hyp2")}}


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1, 1 << 32)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    print(f"# seed {seed}", flush=True)
    tap = Tap()
    with LossyLab(seed, **SYSTEM) as lab:
        lab.start()
        tap.run(f"rc-verify: both_ends_move_at_once_{rounds}_times_while_much_is_lost_and_everything_arrives_once", both_move_at_once,
                lab, rounds, random.Random(seed), Result("rc-verify"))
        lab.fabric.data_faults({})
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    tap.exit()


main()
