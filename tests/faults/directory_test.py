#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Two servers with valid certificates, of which one lies about the other's VMs and slots, asks for LIDs of a partition in which
none of its VMs is, and announces queue pairs there: before a migration, in the middle of it, after it, and as the first that comes when tether-smd has been
killed and started again. It is not believed, by name; it hears nothing of the VMs that are not its own (counted), and what they
do goes on: nothing lost, repeated or changed."""
import os
import re
import signal
import ssl
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.liar import Liar  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.journal import ask  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from lab.system import PATIENT, START_S, CommandFailed, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

LIAR, EVIL = "hyp4", "evil"  # a host, and the VM that it has
# VMs that it makes up: at a LID that no port can have, at a VM's LID as if that were its shared port's, with the SM's GUID
MADE_UP = ("a-nowhere", "a-shared", "a-placeless")
ROUNDS = 10 if FULL else 1
HEARTBEAT_MS = 5000  # the liar is a thread of the test, and shall not be missed
WORK = ["-q", "4", "--ack-timeout", "18"]
COUNTERS = {"foreign-lid": "foreign_lids", "foreign-partition": "foreign_partitions"}


def partitions(guids):
    """The honest VMs in one, the liar's in another; in the default one all are limited members, who may not talk to each other."""
    honest = ", ".join(f"0x{guid:016x}=full" for vm, guid in guids.items() if vm != EVIL)
    return ("Default=0x7fff, ipoib: ALL=limited, SELF=full;\n"
            f"Blue=0x1, indx0: SELF=full, {honest};\nRed=0x2, indx0: 0x{guids[EVIL]:016x}=full;\n")


class Lab(System):
    """No agent runs on the liar's server: the test speaks for it."""

    def __init__(self):
        super().__init__(copy_ms=5, tls=True, partitions=partitions, settings={**PATIENT, "heartbeat_ms": HEARTBEAT_MS, "metrics": "unix:metrics.sock"},
                         vms={"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", EVIL: f"{LIAR}_vf1"})
        self.honest = [host for host in self.hosts if host != LIAR]

    def start_agent(self, host):
        if host != LIAR:
            super().start_agent(host)

    def wait_connected(self, hosts, seconds=START_S):
        super().wait_connected([host for host in hosts if host != LIAR], seconds)

    def slot(self, vm):
        """As its host says it, by the API."""
        return next(dict(slot) for host in self.ask("/v1/hypervisors")["hypervisors"] for slot in host["slots"] if slot["vm"] == vm)

    def liar(self):
        mine = self.path("ca", f"host-{LIAR}")
        context = ssl.create_default_context(cafile=self.path("ca", "ca.crt"))
        context.check_hostname = False
        context.load_cert_chain(mine + ".crt", mine + ".key")
        address, port = self.tls.place("root")[len("tls:"):].rsplit(":", 1)
        return Liar(LIAR, (address, int(port)), context, self.lies())

    def lies(self):
        """Its own VM and slot, which nobody doubts; VMs, a place and a GUID that are others', and interest in their LIDs."""
        slots = {vm: self.as_said(self.slot(vm)) for vm in ("vm1", "vm2")}
        own = next(row for row in self.fabric.slots() if row["vm"] == EVIL)
        mine = {"name": f"{LIAR}_vf1", "vm": EVIL, "node_guid": int(own["node_guid"], 16), "port_guid": int(own["port_guid"], 16),
                "switch_guid": int(own["vswitch_guid"], 16), "switch_port": own["vswitch_port"]}
        return {"vms": [{"name": vm, "slot": slot} for vm, slot in
                        ((EVIL, mine["name"]), ("vm1", "stolen-guid"), ("vm2", "stolen-place"), *zip(MADE_UP, MADE_UP))],
                "slots": [mine, {**slots["vm1"], "name": "stolen-guid", "switch_guid": 0},
                          {**slots["vm2"], "name": "stolen-place", "port_guid": 0x77},
                          {**slots["vm1"], "name": "twice", "switch_guid": 0}, {"name": "twice", "port_guid": 0x78},
                          {"name": MADE_UP[0], "vm": MADE_UP[0], "shared_port": True, "address": {"lid": 0xc001}},
                          {"name": MADE_UP[1], "vm": MADE_UP[1], "shared_port": True, "address": {"lid": self.lid_of("vm1")}},
                          {"name": MADE_UP[2], "vm": MADE_UP[2], "port_guid": self.sm_guid()}],
                "addresses": [{"lid": self.lid_of(vm)} for vm in ("vm1", "vm2")]}

    def sm_guid(self):
        """Of a port that no host has, which is in each partition."""
        return int(re.search(r"sm guid (0x[0-9a-f]+)", self.fabric.run("sminfo", node="sm").stdout)[1], 16)

    @staticmethod
    def as_said(slot):
        numbers = {name: int(slot[name], 16) for name in ("node_guid", "port_guid", "switch_guid")}
        return {"vm": slot["vm"], "switch_port": slot["switch_port"], **numbers}

    def log(self):
        with open(self.path("smd.log"), errors="replace") as log:
            return log.read()

    def refused(self):
        """What tether-smd has counted since its start, by the reason of the answers."""
        values = Metrics(f"unix:{self.path('metrics.sock')}").values()
        return {reason: values[f"tether_smd_{counter}_total"] for reason, counter in COUNTERS.items()}

    def vms_at(self):
        return {row["name"]: row["host"] for row in self.ask("/v1/vms")["vms"]}


def nobody_believes_it(lab, liar):
    """Whatever it says its own counts, and of the others' is said by name that it says so."""
    at = lab.vms_at()
    assert at[EVIL] == LIAR and at["vm1"] != LIAR and at["vm2"] != LIAR, at
    disputed = {row["name"]: row.get("disputed") for row in lab.ask("/v1/vms")["vms"]}
    assert disputed == {**dict.fromkeys((EVIL, *MADE_UP)), "vm1": [LIAR], "vm2": [LIAR]}, disputed
    agent = next(row for row in lab.ask("/v1/agents")["agents"] if row["name"] == LIAR)
    refused = sorted((one["what"], one["name"]) for one in agent["not_believed"])
    assert refused == [("slot-guid", "stolen-guid"), ("slot-guid", "twice"), ("slot-place", "stolen-place"),
                       ("vm", "vm1"), ("vm", "vm2")], refused
    for vm in ("vm1", "vm2"):
        assert re.search(rf"host {LIAR} says that it has VM {vm}, which is host hyp\d's: not believed", lab.log())
    slots = {slot["name"] for host in lab.ask("/v1/hypervisors")["hypervisors"] for slot in host["slots"]}
    assert not {"stolen-guid", "stolen-place", "twice"} & slots, slots


def moved_while_it_lies(lab, liar):
    """It comes anew with all its lies, asks for LIDs that are not its VM's to ask for, and has queue pairs there, as often as it
    can meanwhile. As much is refused by each reason as was said, by tether-smd's answers and by its counters."""
    over = threading.Event()
    hellos = liar.hellos
    lids = [lab.lid_of(vm) for vm in ("vm1", "vm2")]
    said, answers, counted = 0, liar.answers.copy(), lab.refused()

    def lie():
        nonlocal said
        while not over.is_set():
            liar.hello_again()
            for lid in lids:
                for vm in (EVIL, "vm1", "vm2", ""):
                    liar.interest(lid, vm)
                    liar.announce(lid, vm)
                    said += 1
            wait_until("it is answered", liar.is_answered, START_S, lab.logs())

    lying = threading.Thread(target=lie, daemon=True)
    lying.start()
    try:
        migration = lab.migrate("vm1", "hyp1" if lab.vms_at()["vm1"] == "hyp3" else "hyp3")
    finally:
        over.set()
        lying.join()
    assert migration["outcome"] == "done", migration
    assert liar.hellos > hellos
    assert liar.answers - answers == dict.fromkeys(COUNTERS, said), (liar.answers, answers, said)
    now = lab.refused()
    # The addresses in its HELLOs are not looked at.
    assert {reason: now[reason] - counted[reason] for reason in COUNTERS} == dict.fromkeys(COUNTERS, said), (counted, now, said)


def first_after_a_restart(lab, liar):
    """Honest agents are stopped until the liar has been taken at its word, as far as it is."""
    for host in lab.honest:
        lab.agents[host].signal(signal.SIGSTOP)
    lab.smd.kill()
    lab.start_smd()
    wait_until("tether-smd answers", lambda: lab.is_connected([]), START_S, lab.logs(), [lab.smd])
    liar.hello_again()
    wait_until("it is here", lambda: lab.is_connected([LIAR]), START_S, lab.logs())
    assert lab.vms_at() == dict.fromkeys((EVIL, *MADE_UP), LIAR), lab.vms_at()
    for host in lab.honest:
        lab.agents[host].signal(signal.SIGCONT)
    lab.wait_connected(lab.honest)


def located(lab, liar):
    """The SM has said which partition its VM is in: what it asks for is refused from now on."""
    def refused():
        liar.interest(lab.lid_of("vm1"), EVIL)
        return liar.answers["foreign-partition"]

    wait_until("the liar may not ask", refused, START_S, lab.logs())
    wait_until("it is answered", liar.is_answered, START_S, lab.logs())
    liar.answers.clear()


def the_honest_go_on_and_the_liar_hears_nothing(lab):
    with lab.liar() as liar, RcVerify(lab, "vm2", "vm1", WORK) as verify:
        wait_until("rc-verify works", verify.is_working, START_S, verify.logs(), [verify.client])
        nobody_believes_it(lab, liar)
        located(lab, liar)
        for _ in range(ROUNDS):
            moved_while_it_lies(lab, liar)
            liar.hello = lab.lies()
            liar.hello_again()
            nobody_believes_it(lab, liar)
            assert verify.is_running(), verify.words()
            first_after_a_restart(lab, liar)
            nobody_believes_it(lab, liar)
            moved_while_it_lies(lab, liar)
        verify.end_exactly()
        assert liar.told_of("vm1", "vm2") == 0, liar.events
        assert set(liar.answers) == set(COUNTERS), liar.answers
        print(f"# | {liar.hellos} HELLOs with lies; answers to its {liar.request} questions: {dict(liar.answers)}", flush=True)


def of_its_own_vm_it_hears(lab):
    """So nothing else keeps events from it, and counting them works."""
    with lab.liar() as liar:
        number = lab.tether("migrate", EVIL, "hyp3", "--no-wait")["id"]
        wait_until("it hears of its own VM", lambda: liar.told_of(EVIL), START_S, lab.logs())
        try:
            lab.tether("abort", str(number))
        except CommandFailed as ended:
            assert ended.answer["outcome"] in ("refused", "aborted"), ended.answer
        assert liar.told_of("vm1", "vm2") == 0, liar.events


def who_has_no_vm_is_told_nothing(lab):
    """There is nobody whom it could ask for, whatever VM it names."""
    with lab.liar() as liar:
        liar.hello = {**liar.hello, "vms": []}
        liar.hello_again()
        asked = [(lab.lid_of(lid), vm) for lid in ("vm1", "vm2") for vm in (EVIL, "vm1", "vm2", "nobody", "")]
        for lid, vm in asked:
            liar.interest(lid, vm)
        wait_until("it is answered", lambda: liar.answers.total() >= len(asked), START_S, lab.logs())
        assert set(liar.answers) == {"foreign-partition"}, liar.answers


def the_operator_takes_it_away(lab):
    """A server that is dead, and its VM runs elsewhere: there is nobody else who may have it before the operator has said so."""
    with lab.liar() as liar:
        try:
            lab.tether("release", EVIL)
            raise AssertionError(f"{EVIL} was released though {LIAR} is here")
        except CommandFailed as error:
            assert "vm-not-disputed" in error.stderr, error.stderr
        liar.close()
        wait_until("it is away", lambda: not lab.is_connected([LIAR]), START_S, lab.logs())
        assert lab.tether("release", EVIL) == {"name": EVIL, "host": ""}
        assert EVIL not in lab.vms_at(), lab.vms_at()
        liar.hello = {**liar.hello, "vms": []}
        liar.hello_again()


def where_there_is_no_sm_nobody_is_kept_from_anything(lab):
    """Whatever an SM said before: it could not take it back."""
    def known():
        return {vm for (vm,) in ask(lab.path("journal"), "SELECT vm FROM directory_vms WHERE located")}

    assert {"vm1", "vm2"} <= known(), known()
    with lab.liar() as liar:
        located(lab, liar)
        lab.smd.kill()
        lab.with_plugin = False
        lab.start_smd()
        lab.wait_connected(lab.honest)
        liar.answers.clear()
        liar.hello_again()
        liar.interest(lab.lid_of("vm1"), EVIL)
        wait_until("it is answered", lambda: liar.answers, START_S, lab.logs())
        assert "foreign-partition" not in liar.answers, liar.answers
        assert not known(), known()


def main():
    tap = Tap()
    with Lab() as lab:
        lab.start()
        tap.run("the honest go on and the liar hears nothing", the_honest_go_on_and_the_liar_hears_nothing, lab)
        tap.run("of its own VM it hears", of_its_own_vm_it_hears, lab)
        tap.run("who has no VM is told nothing", who_has_no_vm_is_told_nothing, lab)
        tap.run("the operator takes a VM away from who is dead", the_operator_takes_it_away, lab)
        tap.run("where there is no SM nobody is kept from anything", where_there_is_no_sm_nobody_is_kept_from_anything, lab)
    tap.exit()


if __name__ == "__main__":
    main()
