#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that tether create gives a VF and tether destroy takes it from, under a real OpenSM with dynamic LIDs: programs in them
talk, they move, and what they had of the fabric is given back and given again."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

ROUNDS = 10 if FULL else 1
WORK = ["-q", "2", "--ack-timeout", "18"]
GUIDS = "0x00d0000000000771", "0x00d0000000000772"


class ShortRest(System):
    """A LID does not rest for longer than a sweep takes."""

    def opensm_conf(self):
        return {**super().opensm_conf(), "packet_life_time": "0xc"}


def guid2lid(lab):
    """{port GUID: LID}, as OpenSM has them on disk."""
    with open(os.path.join(lab.fabric.opensms[-1].directory, "guid2lid"), encoding="ascii") as rows:
        return {guid: int(low, 16) for guid, low, _ in map(str.split, filter(str.strip, rows))}


def links_that_are_up(lab):
    slots = {row["slot"] for row in lab.fabric.slots()}
    return slots & {row["node"] for row in lab.fabric.dump("ports") if row["state"] != "down"}


def all_is_well(lab):
    """No link is up without VM, OpenSM keeps no LID that nobody has, SA agrees with the fabric."""
    rows = lab.fabric.slots()
    assert links_that_are_up(lab) == {row["slot"] for row in rows if row["vm"]}
    check_sa_truth(lab, settle=True)
    kept = {guid for guid in guid2lid(lab)} & {row["port_guid"] for row in rows if not row["vm"]}
    assert not kept, f"guid2lid keeps {kept}"


def create(lab, vm, host, *options):
    change = lab.tether("create", vm, host, *options)["change"]
    assert change["outcome"] == "done" and "reason" not in change, change
    assert lab.lid_of(vm) == change["lid"] == guid2lid(lab)[change["port_guid"]], change
    return change


def destroy(lab, vm):
    change = lab.tether("destroy", vm)["change"]
    assert change["outcome"] == "done" and "reason" not in change, change
    assert change["port_guid"] not in guid2lid(lab), change
    assert next(row["slot"] for row in lab.fabric.json("vm", "list") if row["vm"] == vm) is None
    return change


def talk(lab, vm, peer, meanwhile=lambda: None):
    with RcVerify(lab, vm, peer, WORK) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        meanwhile()
        assert verify.is_running(), verify.words()
        verify.stop()
        for verdict in verify.results():
            assert verdict.get("ok") and verdict["sums_ok"] and not verdict["lost"], f"{verdict}{verify.words()}"


def one_comes_talks_and_goes(lab):
    for _ in range(ROUNDS):
        lid = create(lab, "vm3", "hyp3")["lid"]
        talk(lab, "vm3", "vm1")
        all_is_well(lab)
        destroy(lab, "vm3")
        all_is_well(lab)
        # It has rested: whoever comes next has it.
        assert create(lab, "vm9", "hyp4")["lid"] == lid
        destroy(lab, "vm9")
        all_is_well(lab)


def it_moves_and_goes_from_where_it_is(lab):
    slots = sorted(row["port_guid"] for row in lab.fabric.slots())
    change = create(lab, "vm3", "hyp3", "--lid", "900", "--node-guid", GUIDS[0], "--port-guid", GUIDS[1])
    assert (change["lid"], change["port_guid"]) == (900, GUIDS[1])
    talk(lab, "vm3", "vm2", lambda: lab.migrate("vm3", "hyp4"))
    assert lab.lid_of("vm3") == 900
    all_is_well(lab)
    destroy(lab, "vm3")
    all_is_well(lab)
    assert sorted(row["port_guid"] for row in lab.fabric.slots()) == slots, "a slot has not got its own GUIDs back"


def what_the_sm_refuses_is_told(lab):
    taken = lab.lid_of("vm1")
    try:
        lab.tether("create", "vm9", "hyp4", "--lid", str(taken))
    except CommandFailed as failed:
        assert failed.status == 1 and "lid-in-use" in failed.stderr, failed.stderr
        assert failed.answer["change"]["outcome"] == "refused"
    else:
        raise AssertionError(f"LID {taken} was given twice")
    all_is_well(lab)


def several_come_at_once(lab):
    for number in range(4, 8):
        lab.fabric.cli("vm", "add", f"vm{number}")
    commands = [lab.children.start(f"create-vm{number}", [lab.build.program("tether"), "--api", lab.api_socket, "create",
                                                          f"vm{number}", f"hyp{number - 3}"], lab.environment())
                for number in range(4, 8)]
    assert [command.wait(60) for command in commands] == [0] * 4
    lids = [lab.lid_of(f"vm{number}") for number in range(4, 8)]
    assert len(set(lids)) == 4 and all(lids), lids
    talk(lab, "vm4", "vm7")
    all_is_well(lab)
    for number in range(4, 8):
        destroy(lab, f"vm{number}")
    all_is_well(lab)


def main():
    tap = Tap()
    with ShortRest(copy_ms=5, dynamic=True) as lab:
        lab.start()
        for guest in ("vm3", "vm9"):
            lab.fabric.cli("vm", "add", guest)
        tap.run(f"one_comes_talks_and_goes_{ROUNDS}_times", one_comes_talks_and_goes, lab)
        tap.run("it_moves_and_goes_from_where_it_is", it_moves_and_goes_from_where_it_is, lab)
        tap.run("what_the_sm_refuses_is_told", what_the_sm_refuses_is_told, lab)
        tap.run("several_come_at_once", several_come_at_once, lab)
    tap.exit()


main()
