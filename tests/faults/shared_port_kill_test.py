#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: shared_port_kill_test.py [PLACE ...]

A VM moves between Shared Port hypervisors while tether-smd or OpenSM is killed around the one thing that the SM is asked
then, to lead its alias GUID to another LID (move_alias), forth and back. Finished or undone; SA leads to where each VM is,
and the next migration is done. Two cells; all with TETHER_FULL=1, those named otherwise."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import everybody_is_there, newest, the_end_of, vm_is_where_it_should_be  # noqa: E402
from faults.sa_truth import gid, sa_of  # noqa: E402
from faults.victims import KillLab, StubbornDriver, start_migration  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import SHARED_PORT_NET, START_S  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402

FORTH = ["smd-record:applying", "smd-recorded:applying", "smd-ask:applying", "smd-asked:applying", "sm-op:move_alias",
         "sm-answer:move_alias", "smd-record:attaching"]
BACK = ["smd-record:back-undoing", "smd-ask:back-undoing", "smd-asked:back-undoing", "sm-op:move_alias:2",
        "sm-answer:move_alias:2"]
QUICK = ["smd-asked:applying", "sm-answer:move_alias"]


class AliasLab(StubbornDriver, KillLab):
    def __init__(self):
        super().__init__(net=SHARED_PORT_NET)

    def tell_the_sa(self):
        """Of each VF's alias GUID, as drivers do, and again when a subnet manager has come anew."""
        with sa_of(self.fabric) as sa:
            for host in self.hosts:
                rows = [row for row in self.fabric.slots() if row["hypervisor"] == host]
                sa.set_aliases(rows[0]["lid"], {row["alias"]: int(row["port_guid"], 16) for row in rows})

    def start_anew(self, program, **env):
        if program == "tether-smd":
            self.restart_smd(env)
        else:
            self.restart_opensm(env)
            self.tell_the_sa()
        self.wait_connected(self.hosts)

    def check_sa(self):
        """By GID, before and after a sweep."""
        vms = [row for row in self.fabric.slots() if row["vm"]]
        assert {row["vm"]: int(row["port_guid"], 16) for row in vms} == self.vm_guids, "they have their GUIDs"
        for when in ("before a sweep", "after it"):
            with sa_of(self.fabric) as sa:
                for row in vms:
                    lids = [path["dlid"] for path in sa.paths(gid(self.vm_guids["vm2"]), gid(self.vm_guids[row["vm"]]))]
                    assert lids == [row["lid"]], f"{when} SA leads to {row['vm']} by {lids}, and it is at LID {row['lid']}"
            self.fabric.opensm_heavy_sweep()


def strike(lab, place, back):
    """What came of it."""
    program = "tether-smd" if place.startswith("smd") else "OpenSM"
    source = lab.place_of("vm1")[0]
    destination = "hyp3" if source != "hyp3" else "hyp4"
    lab.attach_fails_at(destination if back else "")
    lab.start_anew(program, TETHER_DIE_AT=place)
    victim = lab.smd if program == "tether-smd" else lab.fabric.opensms[-1].child
    known = (newest(lab) or {"id": 0})["id"]
    command = start_migration(lab, "vm1", destination)
    wait_until(f"{program} has died at {place}", lambda: victim.poll() is not None, START_S, lab.logs())
    assert victim.poll() == -signal.SIGKILL, victim.poll()
    if program == "tether-smd":
        lab.start_smd()
    else:
        lab.start_opensm(wait=False)
    row = the_end_of(lab, lambda row: row["id"] > known)
    everybody_is_there(lab)
    command.wait(START_S)
    ends = ("failed-at-source", "lost") if back else ("done", "failed-at-source")
    assert row["outcome"] in ends, f"{row}{tails([lab.path('smd.log')])}"
    vm_is_where_it_should_be(lab, row["outcome"], source, destination)
    lab.attach_fails_at("")
    if program == "OpenSM":
        lab.tell_the_sa()
    lab.check_sa()
    lab.migrate("vm1", "hyp1" if lab.place_of("vm1")[0] != "hyp1" else "hyp4")
    lab.check_sa()
    return row["outcome"]


def main():
    tap, table = Tap(), []
    wanted = sys.argv[1:] or ([] if FULL else QUICK)
    with AliasLab() as lab:
        lab.start()
        lab.tell_the_sa()
        for place, back in [(place, False) for place in FORTH] + [(place, True) for place in BACK]:
            if wanted and place not in wanted:
                continue
            if not tap.run(f"killed at {place}", lambda place=place, back=back: table.append((place, strike(lab, place, back)))):
                break
    print_rows([("killed at", "outcome"), *table])
    tap.exit()


main()
