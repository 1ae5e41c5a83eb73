#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify while either end moves in turn between hypervisors with dynamic LIDs, under a real OpenSM: nothing lost,
repeated or changed, each VM keeps its LID, and SA says where the fabric carries whom, after each migration."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.membership import Belongings, partitions, pkeys_of  # noqa: E402
from faults.sa_truth import check_sa_truth, findings, sa_of, shown, truth_of  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

MIGRATIONS = 40 if FULL else 6
QPS = 4
# All hosts' drivers and OpenSM's sweep compete with programs that poll.
WORK = ["-q", str(QPS), "--ack-timeout", "18"]


def links_that_are_up(lab):
    """Slots"""
    slots = {row["slot"] for row in lab.fabric.slots()}
    return slots & {row["node"] for row in lab.fabric.dump("ports") if row["state"] != "down"}


def check_dynamic(lab, lids, sa):
    """The LIDs are the VMs' still, nobody else has one, and SA agrees with the fabric; no link is up without VM."""
    assert {vm: lab.lid_of(vm) for vm in lab.vms} == lids
    assert links_that_are_up(lab) == {row["slot"] for row in lab.fabric.slots() if row["vm"]}
    found = findings(truth_of(lab.fabric), sa)
    assert not found, shown(found)


def places(lab):
    return {row["name"]: row["host"] for row in lab.ask("/v1/vms")["vms"]}


def steps_of(moved):
    states = [state for state, _ in moved.steps()]
    return states[states.index("leasing"):states.index("attaching")]


def everything_arrives_once(lab, runs):
    turns, lids = Turns(lab), {vm: lab.lid_of(vm) for vm in lab.vms}
    with RcVerify(lab, "vm2", "vm1", WORK) as verify, sa_of(lab.fabric) as sa:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        for _ in range(MIGRATIONS):
            time.sleep(0.05)
            runs.append(turns.move())
            assert verify.is_running(), f"rc-verify ended after migration {len(runs)}{verify.words()}"
            check_dynamic(lab, lids, sa)
        verdicts = verify.end_exactly()
    for verdict in verdicts:
        assert verdict["sums_ok"], f"{verdict}{verify.words()}"
        assert verdict["lid_before"] == verdict["lid_after"] and verdict["qpns_same"]


def each_was_a_copy(runs):
    for moved in runs:
        assert moved.answer["kind"] == "copy", moved.answer
        assert [state for state in steps_of(moved) if state != "replanning"] == \
            ["leasing", "naming", "vacating", "linking", "applying", "unleasing", "waking"], steps_of(moved)
        # Before the sweep that follows each of them says whether it keeps them.
        assert {found["reason"] for found in moved.answer["refusals"]} <= {"reverted-by-sweep"}, moved.answer
        assert moved.count("lft_sets"), moved.answer
    waking = sorted(ms for moved in runs for state, ms in moved.steps() if state == "waking")
    print(f"# | {len(runs)} migrations; waking took {waking[len(waking) // 2]:.1f} ms, at most {waking[-1]:.1f} ms; "
          f"LFT Sets: {sum(moved.count('lft_sets') for moved in runs)}", flush=True)


def partition_and_group_go_with_the_vm(lab):
    """Under the lease, so that the SM never sees the VM without a link."""
    belongings = Belongings(lab)
    for vm, host in (("vm1", "hyp3"), ("vm2", "hyp4"), ("vm1", "hyp1")):
        lab.migrate(vm, host)
        belongings.check_group()
        check_sa_truth(lab, settle=True, pkeys=pkeys_of(lab))
        belongings.check_group()


def a_host_is_emptied(lab):
    """Its VMs move at the same time."""
    lids = {vm: lab.lid_of(vm) for vm in lab.vms}
    for host in ("hyp1", "hyp2"):
        lab.tether("evacuate", host)
        assert not [vm for vm, at in places(lab).items() if at == host]
        with sa_of(lab.fabric) as sa:
            check_dynamic(lab, lids, sa)
    for row in lab.ask("/v1/migrations")["migrations"]:
        assert row["kind"] == "copy" and row["outcome"] == "done", row


def main():
    tap, runs = Tap(), []
    with System(copy_ms=5, dynamic=True) as lab:
        lab.start()
        tap.run(f"everything_arrives_once_through_{MIGRATIONS}_migrations_of_either_end", everything_arrives_once, lab, runs)
        tap.run("each_was_a_copy_and_its_link_followed", each_was_a_copy, runs)
        tap.run("sa_and_fabric_agree_afterwards", lambda: check_sa_truth(lab, settle=True))
    with System(copy_ms=5, dynamic=True, partitions=partitions) as lab:
        lab.start()
        tap.run("partition_and_group_go_with_the_vm", partition_and_group_go_with_the_vm, lab)
    with System(copy_ms=5, dynamic=True, vms={f"vm{i}": f"hyp1_vf{i}" for i in range(1, 5)}) as lab:
        lab.start()
        tap.run("a_host_is_emptied", a_host_is_emptied, lab)
    tap.exit()


main()
