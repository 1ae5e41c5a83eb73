#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: churn_test.py [SEED [ACTIONS]]

Random migrations, evacuations, creations and destructions of VMs, four at a time, while OpenSM sweeps, cables are pulled
and put back, and OpenSM, tether-smd and agents are killed and started again. At the end every VM has a VF where tether-smd
and the fabric say so, SA and fabric agree, no LID or GID is held twice, nothing is reserved, held or open any more, and
programs that were not told errors have lost nothing. SEED (printed) draws the same actions again; who is when where is
another matter."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.aftermath import everybody_is_there, is_unharmed  # noqa: E402
from faults.churn import Churn  # noqa: E402
from faults.plugin_client import PluginClient  # noqa: E402
from faults.sa_truth import check_sa_truth  # noqa: E402
from faults.victims import KillLab, verdict_of  # noqa: E402
from lab.deadline import tails, wait_until  # noqa: E402
from lab.system import PATIENT, CommandFailed  # noqa: E402
from lab.tap import FULL, Tap, print_rows  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

ACTIONS = 1000 if FULL else 50
UNREST_EVERY = 6
SOON_S = 60
LASTING = {"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", "vm3": "hyp1_vf2", "vm4": "hyp3_vf1"}
PASSING = {"vm5": "hyp4_vf1", "vm6": "hyp4_vf2", "vm7": "hyp2_vf2", "vm8": "hyp3_vf2"}
# vm2 hears of both: it is a peer of two that may move at the same time.
PAIRS = (("vm2", "vm1"), ("vm2", "vm3"), ("vm4", "vm3"))
WORK = ["-q", "2", "--depth", "8"]


class ChurnLab(KillLab):
    """Its messages end with the logs of those who live."""

    def logs(self):
        return [self.path("smd.log"), *(self.path(f"agent-{host}.log") for host in self.hosts),
                self.fabric.opensms[-1].log]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.smd.pid}/fd"))


def a_sweep(lab, chance):
    os.kill(lab.fabric.opensms[-1].pid, signal.SIGHUP)


def a_cable_flaps(lab, chance):
    port = chance.randrange(1, 5)
    lab.fabric.link("spine1", port, "down")
    lab.fabric.link("spine1", port, "up")


def opensm_is_killed(lab, chance):
    lab.fabric.opensms[-1].kill()
    lab.start_opensm(wait=False)


def smd_is_killed(lab, chance):
    lab.smd.kill()
    lab.start_smd()


def an_agent_is_killed(lab, chance):
    host = chance.choice(lab.hosts)
    lab.agents[host].kill()
    lab.start_agent(host)


UNREST = (a_sweep, a_sweep, a_cable_flaps, a_cable_flaps, opensm_is_killed, smd_is_killed, an_agent_is_killed)


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
    """One that was left without is given one where it is."""
    alive = churn.guests.alive()
    for row in lab.ask("/v1/vms")["vms"]:
        if row["name"] not in alive:
            until_done(lab, row["name"], row["host"])
    there = {row["name"]: row["slot"] for row in lab.ask("/v1/vms")["vms"]}
    assert there == {row["vm"]: row["slot"] for row in churn.guests.slots() if row["vm"]}, there


def nothing_is_held_twice(lab, before):
    rows = lab.fabric.slots()
    for what in ("lid", "port_guid", "node_guid"):
        values = sorted(str(row[what]) for row in rows)
        assert values == before[what], f"{what}s are {values}, they were {before[what]}"


def identities(lab):
    rows = lab.fabric.slots()
    return {what: sorted(str(row[what]) for row in rows) for what in ("lid", "port_guid", "node_guid")}


def nothing_is_left_open(lab, descriptors):
    def at_rest():
        with PluginClient(lab.path("osm.sock")) as sm:
            return sm.ask("status")["quiet"]

    wait_until("OpenSM is at rest, and no lease is held", at_rest, SOON_S, lab.logs())
    wait_until("tether-smd has closed what it had opened", lambda: lab.descriptors() <= descriptors, SOON_S, lab.logs())


def all_move_once_more(lab, churn):
    """Every slot, QP, barrier and lease can be had again."""
    for vm, at in sorted(churn.guests.alive().items()):
        free = [row["hypervisor"] for row in churn.guests.slots() if not row["vm"] and row["hypervisor"] != at]
        until_done(lab, vm, sorted(free)[0])


def programs_are_exact(pairs, churn):
    """Those whose VMs kept their connections; the others were told, and nothing came twice."""
    for pair in pairs:
        pair.stop()
    for pair, vms in zip(pairs, PAIRS):
        for process in (pair.client, pair.server):
            process.wait(SOON_S)
            verdict = verdict_of(process)
            if not churn.lost & set(vms):
                assert verdict.get("ok"), f"{process.name} ({vms}): {verdict}{tails(pair.logs())}"
            assert is_unharmed(verdict), f"{process.name} ({vms}): {verdict}{tails(pair.logs())}"


def churned(tap, lab, seed, actions):
    lab.start()
    churn = Churn(lab, LASTING, PASSING, seed)
    before, descriptors = identities(lab), lab.descriptors()
    pairs = [RcVerify(lab, *vms, WORK, name=f"rc-verify-{'-'.join(vms)}") for vms in PAIRS]
    wait_until("the programs work", lambda: all(pair.is_working() for pair in pairs), SOON_S)
    tap.run(f"{actions} actions, four at a time, end by name", churn.run, actions,
            lambda chance: chance.choice(UNREST)(lab, chance), UNREST_EVERY)
    print_rows([("action", "outcome", "times"), *((*what, str(count)) for what, count in sorted(churn.outcomes.items()))])
    tap.run("all has ended and everybody is there", lambda: (everybody_is_there(lab), all_have_ended(lab)))
    tap.run("every VM has a VF, where tether-smd and the fabric say so", everyone_has_a_vf, lab, churn)
    tap.run("no LID and no GUID is held twice, none is missing", nothing_is_held_twice, lab, before)
    tap.run("SA and fabric agree", check_sa_truth, lab, True)
    tap.run("nothing is left open or held", nothing_is_left_open, lab, descriptors)
    tap.run("every VM moves once more", all_move_once_more, lab, churn)
    tap.run("programs have lost nothing unless they were told", programs_are_exact, pairs, churn)
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
