#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: churn_test.py [SEED [ACTIONS]]

Random migrations, evacuations, creations and destructions of VMs by tether-smd, four at a time, on hypervisors with
prepopulated slots beside such with dynamic LIDs, while OpenSM sweeps, cables are pulled and put back, and OpenSM, tether-smd
and agents are killed and started again. Much of each kind has to be done, and nobody's connections end without such a death.
At the end every VM has a VF where tether-smd and the fabric say so, with the LID that it was created with, SA and fabric
agree, no LID or GUID is held twice, guid2lid has those who are there and nobody else, nothing is reserved, held or open any
more, and programs have lost nothing unless they were told errors. SEED (printed) draws the same actions again; who is when
where is another matter."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import everybody_is_there, is_unharmed  # noqa: E402
from faults.churn import EXPLAINED, Churn, most_together  # noqa: E402
from faults.churn_lab import UNREST, ChurnLab, kind_of  # noqa: E402
from faults.plugin_client import PluginClient  # noqa: E402
from faults.sa_truth import check_sa_truth, truth_of  # noqa: E402
from faults.victims import verdict_of  # noqa: E402
from lab import journal  # noqa: E402
from lab.deadline import Late, tails, wait_until  # noqa: E402
from lab.system import PATIENT, CommandFailed  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

ACTIONS = 1000 if FULL else 50
UNREST_EVERY = 6
SOON_S = 60
AT_A_TIME = 4
LEAST_DONE = {"migrate": 0.5, "evacuate": 0.4, "create": 0.7, "destroy": 0.7}  # of those that have ended
LASTING = {"vm1": "h1_vf1", "vm2": "h2_vf1", "vm3": "h1_vf2", "vm4": "h4_vf1", "vm5": "h5_vf1"}
PASSING = {"vm6": "h3_vf1", "vm7": "h2_vf2", "vm8": "h6_vf1", "vm9": "h5_vf2"}
# vm2 hears of two: it is a peer of both that may move at the same time. vm4 and vm5 have dynamic LIDs.
PAIRS = (("vm2", "vm1"), ("vm2", "vm3"), ("vm5", "vm4"))
# A cable that has come back carries nothing before a sweep, which a lease holds off, and which takes seconds where a hundred
# programs share two processors: two seconds, eight times, instead of the usual half.
WORK = ["-q", "2", "--depth", "8", "--ack-timeout", "19"]
SIMULATED = "simfabric"
NO_LEFTOVERS = {  # of the journal
    "migrations": "SELECT id FROM migrations EXCEPT SELECT migration FROM endings",
    "evacuations": "SELECT id FROM evacuations WHERE NOT ended",
    "vm_changes": "SELECT id FROM vm_changes WHERE (SELECT state FROM vm_states WHERE change = id ORDER BY vm_states.rowid "
                  "DESC LIMIT 1) NOT IN ('present', 'absent', 'refused', 'left')",
}


def all_have_ended(lab):
    def is_so():
        try:
            return all(row["ended"] for kind in ("migrations", "evacuations") for row in lab.ask(f"/v1/{kind}")[kind])
        except OSError:
            return False

    wait_until("all migrations and evacuations have ended", is_so, SOON_S, lab.logs())


def until_done(lab, vm, host):
    """A program that was just told of an error may be connecting; a process may not have found its agent again yet."""
    def is_done():
        try:
            return lab.migrate(vm, host)["outcome"] == "done"
        except CommandFailed as error:
            assert (error.answer or {}).get("outcome") in (None, "refused", "aborted"), str(error)
            time.sleep(0.1)
            return False

    wait_until(f"{vm} moves to {host}", is_done, SOON_S, lab.logs())


def everyone_has_a_vf(lab, churn):
    """One that was left without is given one where it is; who has been destroyed has none. An agent may be about to say so."""
    expected = (set(LASTING) | set(PASSING)) - churn.guests.gone
    wait_until("only who is there is listed", lambda: {row["name"] for row in lab.ask("/v1/vms")["vms"]} == expected, SOON_S,
               lab.logs())
    for row in lab.ask("/v1/vms")["vms"]:
        if row["name"] not in churn.guests.alive():
            until_done(lab, row["name"], row["host"])
    there = {row["name"]: row["slot"] for row in lab.ask("/v1/vms")["vms"]}
    assert there == {row["vm"]: row["slot"] for row in churn.guests.slots() if row["vm"]}, there
    assert set(there) == expected, there


def identities(lab):
    """LIDs of the slots that always have one."""
    return sorted(row["lid"] for row in lab.fabric.slots() if not row["dynamic"])


def nothing_is_held_twice(lab, churn, before):
    rows = lab.fabric.slots()
    for what in ("port_guid", "node_guid"):
        assert len({row[what] for row in rows}) == len(rows), f"{what}s are {[row[what] for row in rows]}"
    assert identities(lab) == before, f"LIDs are {identities(lab)}, they were {before}"
    lids = {row["vm"]: row["lid"] for row in rows if row["dynamic"] and row["vm"]}
    wanted = {vm: lid for vm, lid in churn.guests.lids.items() if lid and vm in lids}
    assert {vm: lids[vm] for vm in wanted} == wanted, f"LIDs are {lids}, of who was created {wanted}"


def only_who_is_there_has_a_lid(lab):
    """No link is up without VM, and OpenSM keeps no LID for whoever has gone."""
    up = {row["node"] for row in lab.fabric.dump("ports") if row["state"] != "down"}
    slots = [row for row in lab.fabric.slots() if row["dynamic"]]
    wrong = [row["slot"] for row in slots if (row["slot"] in up) != bool(row["vm"])]
    assert not wrong, f"up without VM, or down with one: {wrong}"
    truth = truth_of(lab.fabric)
    with open(os.path.join(lab.opensm_cache, "guid2lid"), encoding="ascii") as text:
        rows = {guid: int(low, 16) for guid, low, _ in map(str.split, filter(str.strip, text))}
    kept = {guid: lid for guid, lid in rows.items() if lid not in truth.switch_lids.values()}
    there = {row["port_guid"]: row["lid"] for row in truth.end_ports.values()}
    assert kept == there, f"differ: {sorted(set(kept.items()) ^ set(there.items()))}"


def held_by(*processes):
    """(files and sockets that are open, memory that is shared) but what the simulated fabric needs itself."""
    files = shared = 0
    for process in processes:
        with open(f"/proc/{process.pid}/maps", encoding="ascii") as maps:
            shared += sum(SIMULATED not in row and row.split()[1].endswith("s") for row in maps)
        files += sum(SIMULATED not in name_of(f"/proc/{process.pid}/fd/{number}")
                     for number in os.listdir(f"/proc/{process.pid}/fd"))
    return files, shared


def name_of(link):
    try:
        return os.readlink(link)
    except OSError:
        return SIMULATED  # closed meanwhile


def held(lab):
    """A process in a VM is connected to that of the agents where it is."""
    return {"tether-smd": held_by(lab.smd), "agents": held_by(*lab.agents.values()),
            "OpenSM": held_by(lab.fabric.opensms[-1])}


def more_held(lab, before):
    """{who: (before, now)}"""
    now = held(lab)
    return {name: (before[name], now[name]) for name in before
            if any(more > less for more, less in zip(now[name], before[name]))}


def nothing_is_left_open(lab, before):
    def at_rest():
        with PluginClient(lab.path("osm.sock")) as sm:
            return sm.ask("status")["quiet"]

    wait_until("OpenSM is at rest, and no lease is held", at_rest, SOON_S, lab.logs())
    try:
        wait_until("nobody holds more than at first", lambda: not more_held(lab, before), SOON_S)
    except Late as error:
        raise AssertionError(f"more than at first: {more_held(lab, before)}") from error
    for table, sql in NO_LEFTOVERS.items():
        rows = journal.ask(lab.path("journal"), sql)
        assert not rows, f"{table} of the journal has open ones: {rows}"


def slots_are_free(lab):
    """tether-smd gives away what has no VM, and nothing else."""
    hosts = lab.ask("/v1/hypervisors")["hypervisors"]
    said = {slot["name"]: slot["vm"] or None for host in hosts for slot in host["slots"]}
    assert said == {row["slot"]: row["vm"] for row in lab.fabric.slots()}, said


def all_move_once_more(lab, churn):
    """Every slot, QP, barrier and lease can be had again."""
    for vm, at in sorted(churn.guests.alive().items()):
        free = [row["hypervisor"] for row in churn.guests.slots()
                if not row["vm"] and row["hypervisor"] != at and kind_of(row["hypervisor"]) == kind_of(at)]
        until_done(lab, vm, sorted(free)[0])


def programs_are_exact(lab, pairs, churn):
    """Those whose VMs kept their connections; the others were told, and nothing came twice."""
    assert any(not set(churn.lost) & set(vms) for vms in PAIRS), f"no pair has kept its connections: {churn.lost}"
    for pair in pairs:
        pair.stop()
    for pair, vms in zip(pairs, PAIRS):
        for process in (pair.client, pair.server):
            process.wait(SOON_S)
            verdict = verdict_of(process)
            if not set(churn.lost) & set(vms):
                assert verdict.get("ok"), f"{process.name} ({vms}): {verdict}{tails(pair.logs())}"
            assert is_unharmed(verdict), f"{process.name} ({vms}): {verdict}{tails(pair.logs())}"


def what_is_not_done_says_why(churn):
    undone = churn.undone_for_nothing()
    assert not undone, f"no daemon had died, and {undone}"


def nobody_is_lost_for_nothing(lab, churn):
    spans = [(vm, span) for vm, spans in churn.lost.items() for span in spans]
    unhurt = [(vm, span) for vm, span in spans if not lab.deaths.were_between(*span)]
    assert not unhurt, f"lost, and no daemon had died: {unhurt}"


def show(churn):
    rows = [(kind, end, str(count), EXPLAINED[kind].get(end, "")) for (kind, end), count in sorted(churn.outcomes.items())]
    print_rows([("action", "outcome", "times", "refused at the request since"), *rows])
    rows = [(kind, end, str(count), reasons) for (kind, end, reasons), count in sorted(churn.why.items())]
    print_rows([("of", "outcome", "times", "reasons"), *rows])
    rows = [(state, reason, str(count)) for (state, reason), count in sorted(churn.evacuees.items())]
    print_rows([("evacuee", "reason", "times"), *rows])
    print(f"# {churn.most_at_a_time()} at a time, {most_together(churn.evacuations)} evacuations", flush=True)


def much_was_done(churn):
    most = churn.most_at_a_time()
    assert most >= AT_A_TIME, f"no more than {most} at a time"
    few = {kind: churn.done(kind) for kind, share in LEAST_DONE.items() if churn.done(kind)[0] < share * churn.done(kind)[1]}
    assert not few, f"(done, ended): {few}"
    assert all(churn.done(kind)[1] for kind in LEAST_DONE), dict(churn.outcomes)
    assert most_together(churn.evacuations) > 1 or not FULL, "no two evacuations at a time"


def churned(tap, lab, seed, actions):
    lab.start()
    churn = Churn(lab, LASTING, PASSING, seed)
    churn.guests.lids = {vm: lab.lid_of(vm) for vm, slot in {**LASTING, **PASSING}.items()
                         if kind_of(slot.split("_")[0]) == "dynamic"}
    before = identities(lab)
    pairs = [RcVerify(lab, *vms, WORK, name=f"rc-verify-{'-'.join(vms)}") for vms in PAIRS]
    wait_until("the programs work", lambda: all(pair.is_working() for pair in pairs), SOON_S)
    held_before = held(lab)
    went_well = tap.run(f"{actions} actions, four at a time, end by name", churn.run, actions,
                        lambda chance: chance.choice(UNREST)(lab, chance), UNREST_EVERY)
    show(churn)
    if not went_well:
        return
    tap.run("all has ended and everybody is there", lambda: (everybody_is_there(lab), all_have_ended(lab)))
    tap.run("much of each kind was done, four at a time", much_was_done, churn)
    tap.run("what is not done says why, or somebody has died over it", what_is_not_done_says_why, churn)
    tap.run("no connection has ended but over a death", nobody_is_lost_for_nothing, lab, churn)
    tap.run("every VM has a VF, where tether-smd and the fabric say so", everyone_has_a_vf, lab, churn)
    tap.run("no LID and no GUID is held twice, none is missing", nothing_is_held_twice, lab, churn, before)
    tap.run("SA and fabric agree", check_sa_truth, lab, True)
    tap.run("only who is there has a LID", only_who_is_there_has_a_lid, lab)
    tap.run("nothing is left open or held", nothing_is_left_open, lab, held_before)
    tap.run("tether-smd knows each free slot", slots_are_free, lab)
    tap.run("every VM moves once more", all_move_once_more, lab, churn)
    tap.run("programs have lost nothing unless they were told", programs_are_exact, lab, pairs, churn)
    tap.run("SA and fabric agree again", check_sa_truth, lab, True)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else int.from_bytes(os.urandom(4), "big")
    actions = int(sys.argv[2]) if len(sys.argv) > 2 else ACTIONS
    tap = Tap()
    # An agent or an OpenSM that is just being started does not end by a SIGHUP that comes too early.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print(f"# churn_test.py {seed} {actions}", flush=True)
    with ChurnLab(settings={**PATIENT, "heartbeat_ms": 1000}, vms={**LASTING, **PASSING}) as lab:
        churned(tap, lab, seed, actions)
    tap.exit()


if __name__ == "__main__":
    main()
