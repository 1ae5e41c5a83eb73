#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify on a fabric where nothing moves: exact on a good wire and on a hostile one (RC mends what is lost, repeated
or late), and not exact when a sender commits a fault on purpose."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import FINDINGS, RcVerify  # noqa: E402

COUNT = ["-n", "20000"]
SHAPES = {
    "every kind": ["-q", "4"],
    "ibv_post_send": ["-q", "2", "--post", "send"],
    "ibv_wr_*, a CQ each": ["-q", "2", "--post", "wr", "--cq", "each"],
    "16 QPs, small MTU, long messages": ["-q", "16", "-m", "256", "-s", "16384", "-n", "2000"],
    "RNR-blocked most of the time": ["-q", "2", "--depth", "8", "--late-every", "20", "--late-ms", "5", "-n", "5000"],
    "hardly a signal": ["-q", "2", "--signal-every", "1000"],
}
HOSTILE = {"drop.request": 0.002, "drop.response": 0.002, "drop.ack": 0.002, "drop.rnr": 0.01, "duplicate.request": 0.01,
           "stop_mid_message": 0.001, "receive_completion_late_us": 200}
# What the other side must report.
FAULTS = {"message_gap": "lost", "message_repeat": "duplicated", "message_corrupt": "corrupted", "write_gap": "lost",
          "write_repeat": "duplicated", "write_corrupt": "corrupted", "add_twice": "duplicated", "swap_twice": "duplicated"}


def run(lab, arguments, seconds=60):
    with RcVerify(lab, "vm2", "vm1", [*COUNT, *arguments], tether=False) as verify:
        server, client = verify.results(seconds)
        return verify.wait(1), server, client


def is_exact(lab, arguments):
    statuses, *verdicts = run(lab, arguments)
    assert statuses == (0, 0), f"exit statuses {statuses}"
    for verdict in verdicts:
        assert verdict["ok"] and not any(verdict[name] for name in FINDINGS), verdict


def nobody_is_rnr_blocked(lab):
    """Packets are counted while a fault is on."""
    lab.fabric.data_faults({"duplicate.uc": 0.5})
    is_exact(lab, ["-q", "4", "--rnr", "off"])
    lab.fabric.cli("data-fault", "none")
    seen = {kind: row["seen"] for kind, row in lab.fabric.counters()["packets"].items()}
    assert seen["request"] and not seen["rnr"], seen


def fault_is_reported(lab, fault, finding):
    statuses, server, client = run(lab, ["--inject", fault, "--stall", "4"])
    assert 0 not in statuses, f"exit statuses {statuses}"
    assert server[finding] and not client["ok"], {name: server[name] for name in FINDINGS}


def main():
    tap = Tap()
    with System() as lab:
        lab.start_fabric()
        lab.start_opensm()
        self_test = subprocess.run([lab.build.program("rc-verify"), "--self-test"], capture_output=True, text=True)
        tap.check(self_test.returncode == 0, "self_test_sees_every_fault", self_test.stderr)
        for what, arguments in SHAPES.items():
            tap.run(f"exact on a good wire: {what}", is_exact, lab, arguments)
        tap.run("nobody is RNR-blocked where that is off", nobody_is_rnr_blocked, lab)
        for fault, finding in FAULTS.items():
            tap.run(f"{fault} is reported as {finding}", fault_is_reported, lab, fault, finding)
        lab.fabric.data_faults(HOSTILE)
        for what, arguments in SHAPES.items():
            tap.run(f"exact on a hostile wire: {what}", is_exact, lab, ["-n", "2000", *arguments])
    tap.exit()


main()
