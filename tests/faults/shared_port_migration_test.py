#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify and ud-verify while either end moves in turn between Shared Port hypervisors: each move gives the VM another LID,
and what the programs know it by stays. Nothing is lost, repeated, changed, or comes from or to somebody else."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import all_know, told_of  # noqa: E402
from faults.sa_truth import gid, sa_of  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, SHARED_PORT_NET, START_S, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify, UdVerify  # noqa: E402

MIGRATIONS = 20 if FULL else 4
# A retry comes after a second, so that what is lost stays lost; receives are posted late.
WORK = ["-q", "16", "--ack-timeout", "18", "--late-every", "1000", "--late-ms", "400", "--atomics", "client"]
LOST_ACKNOWLEDGEMENTS = {"drop.ack": 0.5, "hold": "0.5:100000"}
WRONG = ("duplicated", "corrupted", "misdelivered", "misattributed", "strange_headers", "strange_pkeys", "errors")
MOST_ABORTS = 3


def either_end_moves(lab, program, faults):
    """Returns how many completions were made up, and how much work was replayed."""
    turns = Turns(lab)
    moved = aborts = 0
    counts = {"made_up": 0, "replayed": 0}
    while moved < MIGRATIONS:
        before = {vm: lab.lid_of(vm) for vm in lab.vms}
        lab.fabric.data_faults(faults)
        try:
            migration = turns.move()
        except CommandFailed as error:
            aborts += 1
            if error.answer.get("outcome") != "aborted" or aborts > MOST_ABORTS * MIGRATIONS:
                raise
            continue
        finally:
            lab.fabric.data_faults({})
        assert lab.lid_of(migration.vm) != before[migration.vm], "the LID is the port's"
        peer = turns.at["vm2" if migration.vm == "vm1" else "vm1"]
        number = migration.answer["id"]
        wait_until("its peer's agent knows that it has moved", lambda: all_know(lab, number), START_S, lab.logs())
        assert told_of(lab, number) == {peer: 1}, f"{number}: {told_of(lab, number)}, and the peer is on {peer}"
        moved += 1
        for name in counts:
            counts[name] += migration.count(name)
        assert program.is_running(), f"{program.name} ended after migration {moved}{program.words()}"
        time.sleep(0.05)
    return counts


def connections_carry_everything_once(lab, arguments=()):
    with RcVerify(lab, "vm2", "vm1", [*WORK, *arguments]) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        counts = either_end_moves(lab, verify, LOST_ACKNOWLEDGEMENTS)
        verdicts = verify.end_exactly()
    for verdict in verdicts:
        assert verdict["sums_ok"], f"{verdict}{verify.words()}"
        assert verdict["lid_before"] == verdict["lid_after"] and verdict["qpns_same"], verdict
    print(f"# | {MIGRATIONS} moves: {counts}", flush=True)


def datagrams_arrive_once(lab):
    with UdVerify(lab, "vm2", "vm1", ["-q", "4"]) as verify:
        either_end_moves(lab, verify, {})
        verify.stop()
        verdicts = verify.results()
    for verdict in verdicts:
        assert verdict.get("ok") and verdict["unchanged"], f"{verdict}{verify.words()}"
        assert not any(verdict[name] for name in WRONG) and not verdict["lost"], verdict
    print("# | " + ", ".join(f"{verdict['role']}: {verdict['received']} received" for verdict in verdicts), flush=True)


def drivers_tell_the_sa(lab):
    """Of each VF's alias GUID, as those of real hypervisors do."""
    with sa_of(lab.fabric) as sa:
        for host in lab.hosts:
            rows = [row for row in lab.fabric.slots() if row["hypervisor"] == host]
            sa.set_aliases(rows[0]["lid"], {row["alias"]: int(row["port_guid"], 16) for row in rows})


def sa_says_where_they_are(lab):
    """By GID, before and after a sweep."""
    vms = [row for row in lab.fabric.slots() if row["vm"]]
    gids = {row["vm"]: gid(int(row["port_guid"], 16)) for row in vms}
    assert {row["vm"]: int(row["port_guid"], 16) for row in vms} == lab.vm_guids, "they have their GUIDs"
    for _ in range(2):
        with sa_of(lab.fabric) as sa:
            for row in vms:
                assert [path["dlid"] for path in sa.paths(gids["vm1"], gids[row["vm"]])] == [row["lid"]], row
        lab.fabric.opensm_heavy_sweep()


def main():
    tap = Tap()
    with System(net=SHARED_PORT_NET, copy_ms=5, settings={**PATIENT, "stop_ms": 1500}) as lab:
        lab.start()
        drivers_tell_the_sa(lab)
        tap.run(f"connections_carry_everything_once_through_{MIGRATIONS}_moves", connections_carry_everything_once, lab)
        lab.fabric.cli("data-fault", "swapped_numbers=1", "shifted_tables=1")
        tap.run(f"no_datagram_is_lost_or_misdelivered_through_{MIGRATIONS}_moves", datagrams_arrive_once, lab)
        lab.fabric.cli("data-fault", "shifted_tables=0")
        tap.run("connections_do_with_numbers_that_are_others", connections_carry_everything_once, lab, ["--receives", "shared"])
        tap.run("sa_says_where_they_are", sa_says_where_they_are, lab)
    tap.exit()


main()
