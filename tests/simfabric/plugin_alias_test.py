#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM between shared ports in what OpenSM believes and says: its alias GUID leads to another LID, GUIDInfo is set at both
ports, and no switch is touched, then or by the next sweep."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from faults.sa_truth import gid  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.lab import wait_until  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

VFS = 4
SET_S = 10


def guid_number(text):
    return int(text, 16)


class Ports:
    """What the hypervisors' drivers have told the SA: the alias GUID of each VF."""

    def __init__(self, lab):
        self.lab = lab
        with lab.sa() as sa:
            for pf in ("hyp1", "hyp2", "hyp3"):
                rows = [row for row in lab.fabric.slots() if row["hypervisor"] == pf]
                sa.set_aliases(rows[0]["lid"], {row["alias"]: guid_number(row["port_guid"]) for row in rows})

    def slot(self, name):
        return self.lab.slot_row(name)

    def move(self, source, destination):
        a, b = self.slot(source), self.slot(destination)
        return self.lab.ask("move_alias", vm_port_guid=a["port_guid"], other_port_guid=b["port_guid"], from_lid=a["lid"],
                            to_lid=b["lid"])


def lid_by_sa(lab, guid):
    sm = next(row["port_guid"] for row in lab.fabric.dump("places") if row["node"] == "sm")
    with lab.sa() as sa:
        return [row["dlid"] for row in sa.paths(gid(guid_number(sm)), gid(guid_number(guid)))]


def alias_moves_and_sa_says_where(lab):
    ports = Ports(lab)
    a, b, beside = (ports.slot(name) for name in ("hyp1_vf1", "hyp2_vf3", "hyp2_vf4"))
    assert lid_by_sa(lab, a["port_guid"]) == [a["lid"]] != [b["lid"]]
    assert lab.ask("locate", port_guid=a["port_guid"])["lid"] == a["lid"]
    lab.fabric.counters_reset()
    moved = ports.move("hyp1_vf1", "hyp2_vf3")
    assert (moved["lid_before"], moved["lid"], moved["guidinfo_sets"], moved["lft_sets"]) == (a["lid"], b["lid"], 2, 0), moved
    assert lid_by_sa(lab, a["port_guid"]) == [b["lid"]]
    assert lid_by_sa(lab, b["port_guid"]) == [a["lid"]]
    located = lab.ask("locate", port_guid=a["port_guid"])
    assert (located["lid"], located["gid"]) == (b["lid"], gid(guid_number(a["port_guid"]))), located
    wait_until("GUIDInfo is set at both ports", lambda: lab.fabric.sets("GUIDInfo") == 2, SET_S)
    assert ports.slot("hyp1_vf1")["port_guid"] == b["port_guid"] and ports.slot("hyp2_vf3")["port_guid"] == a["port_guid"]
    assert ports.slot("hyp2_vf4") == beside, "the VF beside it"
    assert not lab.fabric.sets("LinearForwardingTable") and not lab.fabric.sets("PortInfo")


def a_sweep_finds_it_right(lab):
    a, b = lab.slot_row("hyp1_vf1"), lab.slot_row("hyp2_vf3")
    assert not any(lab.heavy_sweep().values())
    assert lid_by_sa(lab, a["port_guid"]) == [a["lid"]] and lid_by_sa(lab, b["port_guid"]) == [b["lid"]]


def the_same_again_changes_nothing_and_it_goes_back(lab):
    a, b = lab.slot_row("hyp1_vf1"), lab.slot_row("hyp2_vf3")
    lab.fabric.counters_reset()
    # As asked before the move.
    again = lab.ask("move_alias", vm_port_guid=b["port_guid"], other_port_guid=a["port_guid"], from_lid=a["lid"], to_lid=b["lid"])
    assert (again["lid"], again["guidinfo_sets"]) == (b["lid"], 0), again
    back = lab.ask("move_alias", vm_port_guid=b["port_guid"], other_port_guid=a["port_guid"], from_lid=b["lid"], to_lid=a["lid"])
    assert (back["lid"], back["guidinfo_sets"]) == (a["lid"], 2), back
    assert lid_by_sa(lab, b["port_guid"]) == [a["lid"]]


def refusal_of(lab, **members):
    try:
        lab.ask("move_alias", **members)
    except Refused as refused:
        return refused.reason
    return None


def what_the_sm_was_not_told_is_refused(lab):
    """Nobody has told it of hyp4's VFs."""
    a, b = lab.slot_row("hyp1_vf1"), lab.slot_row("hyp4_vf1")
    members = {"vm_port_guid": a["port_guid"], "other_port_guid": b["port_guid"], "from_lid": a["lid"], "to_lid": b["lid"]}
    assert refusal_of(lab, **members) == "unknown-port"
    assert refusal_of(lab, **{**members, "to_lid": 0xbfff}) == "unknown-port"
    assert refusal_of(lab, **{**members, "to_lid": 0}) == "bad-request"
    assert refusal_of(lab, **{**members, "other_port_guid": "x"}) == "bad-request"


def main():
    tap = Tap()
    with PluginLab(net="shared_port.net") as lab:
        for test in (alias_moves_and_sa_says_where, a_sweep_finds_it_right, the_same_again_changes_nothing_and_it_goes_back,
                     what_the_sm_was_not_told_is_refused):
            tap.run(test.__name__, test, lab)
        assert not lab.sanitizer_reports(), lab.sanitizer_reports()
    tap.exit()


main()
