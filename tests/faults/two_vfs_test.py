#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM with two VFs moves with both while rc-verify talks over each: nothing lost, repeated or changed. With
prepopulated and with dynamic LIDs, after an abort, and when tether-smd dies between the one and the other."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import KillLab  # noqa: E402
from lab import api  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import MIGRATE_S, PATIENT  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify, last_json  # noqa: E402

VMS = {"vm1": "hyp1_vf1", "vm1+2": "hyp1_vf2", "vm2": "hyp2_vf1"}
PLACES = ["hyp3", "hyp1", "hyp4"]
ROUNDS = 10 if FULL else 1
ABORTS_TRIED = 20
WORK = ["-q", "4"]
# Heartbeats as on a machine with other work: who is away for a moment is not refused.
SETTINGS = {**PATIENT, "stop_ms": 1500, "heartbeat_ms": 1000}


class TwoVfs:
    """rc-verify between vm2 and each VF of vm1: the client in vm1, then the server. And in vm1 a program that has both VFs open,
    with queue pairs of the one connected to those of the other."""

    def __init__(self, lab):
        self.lab = lab
        self.pairs = [RcVerify(lab, "vm2", "vm1", WORK, name="first"), RcVerify(lab, "vm1+2", "vm2", WORK, name="second")]
        for pair in self.pairs:
            wait_until(f"{pair.name} works", pair.is_working, 30, pair.logs(), [pair.server, pair.client])
        self.lids = self.lids_now()
        self.both = lab.run_in_vm("vm1 vm1+2", "loopback-verify",
                                  [lab.build.program("loopback-verify"), "-x", "hyp1_vf1", "hyp1_vf2"])
        wait_until("it works", lambda: "works" in open(self.both.log, errors="replace").read(), 30, [self.both.log], [self.both])

    def lids_now(self):
        return {vm: self.lab.lid_of(vm) for vm in VMS}

    def where(self):
        """The hosts that have a VF of vm1, each as often as it has one."""
        return sorted(row["slot"].rsplit("_", 1)[0] for row in self.lab.fabric.slots() if row["vm"] in ("vm1", "vm1+2"))

    def move(self, host):
        answer = self.lab.migrate("vm1", host)
        assert answer["outcome"] == "done", answer
        self.is_at(host)

    def is_at(self, host):
        assert self.where() == [host] * 2, f"{self.where()}, not {host}"
        assert self.lids_now() == self.lids, f"{self.lids_now()} instead of {self.lids}"
        for pair in self.pairs:
            assert pair.is_running(), f"it has ended{pair.words()}"
        assert self.both.poll() is None, tails([self.both.log])

    def begin(self, host):
        status, answer = api.request(self.lab.api_socket, "POST", "/v1/migrations", {"vm": "vm1", "to": host})
        assert status == 202, answer
        return answer["id"]

    def end_of(self, number):
        while True:
            row = self.lab.ask(f"/v1/migrations/{number}")
            if row["ended"]:
                return row
            api.request(self.lab.api_socket, "GET", f"/v1/migrations/{number}?wait=change&seen={row['changes']}",
                        timeout=MIGRATE_S)

    def end(self):
        for pair in self.pairs:
            pair.end_exactly()
        self.both.signal(15)
        status, verdict = self.both.wait(60), last_json(self.both.output())
        assert status == 0 and verdict["ok"] and verdict["devices"] == 2, f"{verdict}{tails([self.both.log])}"


def both_move(lab, vfs):
    for host in PLACES * ROUNDS:
        vfs.move(host)
    answer = lab.migrate("vm2", "hyp1")
    assert answer["outcome"] == "done", answer
    vfs.move("hyp2")


def an_abort_leaves_both(lab, vfs):
    at = vfs.where()[0]
    for _ in range(ABORTS_TRIED):
        to = "hyp3" if at != "hyp3" else "hyp4"
        number = vfs.begin(to)
        api.request(lab.api_socket, "GET", f"/v1/migrations/{number}?wait=stopping", timeout=MIGRATE_S)
        api.request(lab.api_socket, "POST", f"/v1/migrations/{number}/abort")
        row = vfs.end_of(number)
        assert row["outcome"] in ("done", "aborted"), row
        at = to if row["outcome"] == "done" else at
        vfs.is_at(at)
        if row["outcome"] == "aborted":
            break
    else:
        raise AssertionError("none was aborted")
    vfs.move("hyp3" if at != "hyp3" else "hyp4")


def tether_smd_dies_between_the_one_and_the_other(lab, vfs):
    to = "hyp1" if vfs.where()[0] != "hyp1" else "hyp2"
    lab.restart_smd({"TETHER_DIE_AT": "smd-ask:applying:2"})
    lab.wait_connected(lab.hosts)
    number = vfs.begin(to)
    lab.smd.wait(60)
    lab.start_smd()
    lab.wait_connected(lab.hosts)
    row = vfs.end_of(number)
    assert row["outcome"] == "done", row
    vfs.is_at(to)


KINDS = {"with_prepopulated_lids": {}, "with_dynamic_lids": {"dynamic": True}}
if FULL:
    KINDS.update({"with_agents_in_the_vms": {"guests": "virtio"},
                  "with_an_agent_between": {"tree": {"hyp1": "one", "hyp2": "one"}},
                  "told_by_notices": {"signal": "mad"}})


def main():
    tap = Tap()
    for kind, more in KINDS.items():
        with KillLab(settings=SETTINGS, vms=VMS, **more) as lab:
            lab.start()
            vfs = TwoVfs(lab)
            tap.run(f"{kind}_both_move", both_move, lab, vfs)
            tap.run(f"{kind}_an_abort_leaves_both", an_abort_leaves_both, lab, vfs)
            if FULL or not more:
                tap.run(f"{kind}_tether_smd_dies_between_the_one_and_the_other", tether_smd_dies_between_the_one_and_the_other,
                        lab, vfs)
            tap.run(f"{kind}_nothing_is_lost", vfs.end)
            tap.run(f"{kind}_sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    tap.exit()


main()
