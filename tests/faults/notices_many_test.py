#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""signal = mad at scale: 64 hypervisors with 8 VMs each under the stock OpenSM, an agent on each and a process in each VM. Of an event OpenSM
sends as many Reports as servers are concerned, each with a number of its own, however many of their VMs are: 64 where all
are, k where k are.

Counted three times: what tether-smd gives (its log), what agents hear (theirs), what the fabric delivers (its counters, and what
OpenSM says that it reports). OpenSM sends a Report again when its acknowledgement is late: as many are delivered as were given,
and no more than agents count as repeated; in the whole run, so that one that is late is counted with the next migration. The
hypervisors' driver has nothing to do: whoever is asked whether it can says no, so that a migration is one PREPARE and one ABORT."""
import collections
import json
import os
import re
import resource
import selectors
import socket
import stat
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import Tap, print_rows  # noqa: E402

HOSTS, VMS = 64, 8
TREE = ("8,4,8", "--vf", str(VMS + 1), "--sm")
START_S = 60
EVENTS = 2  # of a migration that is refused: PREPARE, ABORT
VERSION = wire.SCHEMA.enums["Protocol"]["PROTOCOL_VERSION"]
TOLD = re.compile(r"migration (\d+)/\d+: host (\S+) is told of it by notice (\d+)")
HEARD = re.compile(r"migration (\d+)/\d+: notice (\d+) of \d+")
REPORTED = re.compile(r"Reporting Vendor Notice type:4 vend:152648 dev:29797 from LID:(\d+)")
DRIVER = """#!/bin/sh
[ "$1" = inventory ] && exec cat "{directory}/$TETHER_HOST.json"
exit 0
"""


def host_name(number):
    return f"h{number}"


def vm_name(host, number):
    return f"vm{host}.{number}"


class Processes:
    """One in each VM, all in one thread here: they answer what they are handed; the one in the VM that is to move says no."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.handed = collections.Counter()  # by (migration, step)
        self.lock = threading.Lock()
        threading.Thread(target=self.serve, daemon=True).start()

    def connect(self, vm, path, lids):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        wire.send(sock, "hello", {"version": VERSION, "role": "ROLE_SHIM", "name": f"{vm}/1.1", "pid": 1, "program": "prog",
                                  "addresses": [{"lid": lid} for lid in lids]})
        body, answer = wire.receive(sock)
        assert body == "hello_answer" and answer["outcome"] == "OUTCOME_DONE", answer
        self.selector.register(sock, selectors.EVENT_READ, vm)

    def serve(self):
        while True:
            for key, _ in self.selector.select(0.05):
                try:
                    body, event = wire.receive(key.fileobj)
                except OSError:
                    self.selector.unregister(key.fileobj)
                    continue
                if body == "event":
                    self.answer(key.fileobj, key.data, event)

    def answer(self, sock, vm, event):
        with self.lock:
            self.handed[event["migration"], event["step"]] += 1
        answer = {name: event[name] for name in ("migration", "epoch", "step", "sequence")}
        if event["step"] == "STEP_PREPARE" and vm == event["vm"]:
            refusal = {"who": "", "reason": "veto-flow", "text": "as asked"}
            wire.send(sock, "answer", {**answer, "outcome": "OUTCOME_REFUSED", "refusals": [refusal]})
        else:
            wire.send(sock, "answer", {**answer, "outcome": "OUTCOME_DONE"})


class ManyLab(System):
    def __init__(self):
        settings = {**PATIENT, "heartbeat_ms": 2000, "log_level": "debug", "notice_ms": 5000, "metrics": "unix:metrics"}
        super().__init__(hosts=[host_name(n + 1) for n in range(HOSTS)], settings=settings, signal="mad")
        self.driver = self.path("driver")

    def start_fabric(self):
        for name in ("vms", "hosts"):
            os.mkdir(self.path(name))
        self.fabric.create_fat_tree(*TREE)
        self.write_driver()

    def write_driver(self):
        slots = collections.defaultdict(list)
        for row in self.fabric.slots():
            slots[row["hypervisor"]].append(row)
        for host, rows in slots.items():
            vms = {row["slot"]: vm_name(host[1:], number + 1) for number, row in enumerate(rows[:VMS])}  # one is left for a VM that comes
            said = {"vms": [{"name": vm, "slot": slot} for slot, vm in vms.items()],
                    "slots": [{"name": row["slot"], "vm": vms.get(row["slot"]), "node_guid": row["node_guid"], "port_guid": row["port_guid"],
                               "switch_guid": row["vswitch_guid"], "switch_port": row["vswitch_port"], "attributes": row["attributes"]}
                              for row in rows]}
            with open(self.path(f"{host}.json"), "w") as out:
                json.dump(said, out)
        with open(self.driver, "w") as out:
            out.write(DRIVER.format(directory=self.directory))
        os.chmod(self.driver, stat.S_IRWXU)

    def lid(self, host, number):
        return next(row["lid"] for row in self.fabric.slots() if row["slot"] == f"h{host}_vf{number}")

    def text(self, path):
        with open(path, errors="replace") as log:
            return log.read()

    def told(self, migration):
        return {(host, int(number)) for m, host, number in TOLD.findall(self.text(self.path("smd.log"))) if int(m) == migration}

    def heard(self, migration):
        return {(host, int(number)) for host in self.hosts
                for m, number in HEARD.findall(self.text(self.path(f"agent-{host}.log"))) if int(m) == migration}

    def counted(self, what):
        """Of notices, by all agents."""
        return sum(Metrics("unix:" + self.path("hosts", host, "metrics")).values()[f'tether_agent_notices_total{{kind="{what}"}}']
                   for host in self.hosts)

    def is_each_report_accounted_for(self, given):
        delivered = self.fabric.gmps_delivered("Report")
        return given <= delivered == self.counted("heard") <= given + self.counted("repeated")

    def reported(self):
        return collections.Counter(REPORTED.findall(self.text(self.fabric.opensms[-1].log)))

    def refused_migration(self, vm, host):
        """Its number."""
        try:
            self.tether("migrate", vm, host)
        except CommandFailed as error:
            answer = error.answer or {}
            assert answer.get("outcome") == "refused" and "veto-flow" in json.dumps(answer), answer
            return answer["id"]
        raise AssertionError(f"{vm} has moved")


def report_for_each_server(lab, processes, vm, concerned, rows):
    """@concerned: the numbers of the hosts whose VMs talk to @vm, its own among them."""
    before = lab.reported()
    migration = lab.refused_migration(vm, host_name(HOSTS))
    told = lab.told(migration)
    per_host = collections.Counter(host for host, _ in told)
    assert set(per_host) == {host_name(n) for n in concerned}, set(per_host)
    assert set(per_host.values()) == {EVENTS}, per_host
    wait_until("every notice is heard", lambda: lab.heard(migration) == told, START_S)
    reported = lab.reported() - before
    assert len(reported) == len(concerned) and set(reported.values()) == {EVENTS}, reported
    given = len(TOLD.findall(lab.text(lab.path("smd.log"))))
    wait_until(f"{given} Reports delivered, and what was sent again", lambda: lab.is_each_report_accounted_for(given), START_S)
    for step in ("STEP_PREPARE", "STEP_ABORT"):
        rows.append((f"{HOSTS} x {VMS}", step[5:].lower(), str(len(concerned)), str(len(told) // EVENTS),
                     str(sum(reported.values()) // EVENTS), str(processes.handed[migration, step])))


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    tap, rows, processes = Tap(), [], Processes()
    with ManyLab() as lab:
        lab.start()
        wait_until("every agent is subscribed", lambda: all("subscribed to the notices" in lab.text(lab.path(f"agent-{host}.log"))
                                                            for host in lab.hosts), START_S)
        everybody, some, nobody = lab.lid(1, 1), lab.lid(2, 1), vm_name(3, 1)
        few = range(2, 12)
        for host in range(1, HOSTS + 1):
            for number in range(1, VMS + 1):
                lids = [everybody, *([some] if host in few else [])]
                processes.connect(vm_name(host, number), lab.agent_vm_socket(host_name(host), vm_name(host, number)), lids)
        for what, vm, concerned in (("64_reports_where_all_are_concerned", vm_name(1, 1), range(1, HOSTS + 1)),
                                    ("k_reports_where_k_are", vm_name(2, 1), few), ("one_report_where_nobody_else_is", nobody, [3])):
            tap.run(what, report_for_each_server, lab, processes, vm, list(concerned), rows)
    print_rows([("servers x VMs", "event", "servers concerned", "unique (server, number)", "reported by OpenSM", "handed to processes"), *rows])
    tap.exit()


main()
