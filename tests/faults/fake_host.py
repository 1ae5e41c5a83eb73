# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-agent on a physical server: HELLO, events, orders."""
import os
import socket
import threading

import wire
from fake_peer import Peer

OLDEST, VERSION = (wire.SCHEMA.enums["Protocol"][name] for name in ("PROTOCOL_OLDEST", "PROTOCOL_VERSION"))
TABLES = {"evidence": "EvidenceRows", "qps": "QpRows", "keys": "KeyRows", "gids": "GidRows"}  # of an answer


class Host:
    """tether-agent on a physical server, its driver and the shims of its VMs."""

    def __init__(self, world, name):
        self.world, self.name, self.path = world, name, os.path.join(world.directory, "agents.sock")
        self.sock, self.epoch, self.answers, self.sending = None, 0, {}, threading.Lock()
        self.epochs, self.registrations = {}, 0
        self.told = []  # answers to registrations
        self.refused = []  # answers to HELLO that were no welcome
        self.version = VERSION
        self.reports = {}  # what else stands in its reports

    def start(self):
        self.stopped = threading.Event()
        Peer(self.run, self.stopped)

    def stop(self):
        """As if killed: whatever it was doing is never answered. May be called from inside an order or a step."""
        self.stopped.set()
        sock, self.sock = self.sock, None
        self.answers = {}
        if sock:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def run(self, stopped):
        while not stopped.is_set():
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(self.path)
                hello = self.hello()
                if stopped.is_set():
                    return
                self.sock = sock
                with self.sending:
                    wire.send(sock, "hello", hello)
                Peer(self.beat, sock, stopped)
                while not stopped.is_set():
                    body, message = wire.receive(sock)
                    if body == "event":
                        self.event(sock, message)
                    elif body == "report":
                        self.report(sock, message)
                    elif body == "interest_answer":
                        self.told.append(message)
                    elif body == "pull":
                        self.pulled(sock, message)
                    elif body == "hello_answer" and message["outcome"] != "OUTCOME_DONE":
                        self.refused.append(message["refusals"])
            except OSError:
                stopped.wait(0.02)
            finally:
                sock.close()

    def pulled(self, sock, message):
        """One that hears notices has been told that there is something, or what it asked for."""

    def beat(self, sock, stopped):
        try:
            while self.sock is sock and not stopped.wait(0.1):
                with self.sending:
                    wire.send(sock, "heartbeat", {"count": 1})
        except OSError:
            pass

    def report(self, sock, question):
        """How it is; "silent": it does not say."""
        kind = self.world.fault_now(self.name, "report")
        if callable(kind):
            kind = kind()
        if kind:
            return
        with self.world.lock:
            vms = [{"name": vm["name"], "processes": sum(s.vm == vm["name"] for s in self.shims()), "protocol": VERSION} for vm in self.inventory()["vms"]]
        with self.sending:
            wire.send(sock, "report", {"request": question["request"], "name": self.name, "role": "ROLE_HOST", "version": "0.1", "protocol": VERSION,
                                       "epoch": self.epoch, "vms": vms, "counters": [{"name": "events", "value": 7}], "last": True, **self.reports})

    def connects_to(self, vm, request=1):
        """A process here is about to connect to @vm; the outcomes of that registration come to be in `outcomes`."""
        with self.sending:
            wire.send(self.sock, "interest", {"request": request, "address": self.world.address_of(self.world.vms[vm]["lid"]),
                                              "remote_qpn": 0x100})

    def register(self, vm):
        """Its processes have come along, and say whom they talk to."""
        for shim in self.world.shims.values():
            for lid in shim.talks_to() if shim.vm == vm else ():
                self.registrations += 1
                with self.sending:
                    wire.send(self.sock, "interest", {"request": 1000 + self.registrations, "address": self.world.address_of(lid)})

    def announced(self):
        """What its HELLO says that its VMs' processes are known by: nothing, where they have LIDs."""
        return []

    def outcomes(self, request=1):
        return [answer["outcome"] for answer in self.told if answer["request"] == request]

    def shims(self):
        return [s for s in self.world.shims.values() if self.world.vms[s.vm]["host"] == self.name]

    def inventory(self):
        world = self.world
        mine = [s for s in world.slots if world.slots[s]["host"] == self.name]
        return {"vms": [{"name": v, "slot": (world.slot_of(v) or [""])[0]}
                        for v in world.vms if world.vms[v]["host"] == self.name],
                "slots": [{"name": s, **{k: v for k, v in world.slots[s].items() if k != "host"}} for s in mine]}

    def hello(self):
        with self.world.lock:
            lids = {lid for s in self.shims() for lid in s.talks_to()}
            opened = [s for s in self.shims() if s.open]
            return {"version": self.version, "role": "ROLE_HOST", "name": self.name, "epoch": self.epoch,
                    "migration": opened[0].open if opened else 0, "step": opened[0].step if opened else 0,
                    "open": sorted({m for s in opened for m in s.moves}), "addresses": [*map(self.world.address_of, sorted(lids)), *self.announced()], **self.inventory()}

    def event(self, sock, event):
        key = (event["migration"], event["epoch"], event["step"], event["sequence"])
        with self.world.lock:
            if self.sock is not sock:
                return
            if event["epoch"] < self.epochs.get(event["vm"], 0):
                self.world.log.append(f"{self.name}: an event of epoch {event['epoch']} of {event['vm']} after {self.epochs}")
            self.epochs[event["vm"]] = event["epoch"]
            self.epoch = max(self.epoch, event["epoch"])
            answer = self.answers.get(key) or (self.order(event) if event["order"] else self.step(event))
            if not answer or self.sock is not sock:
                return
            self.answers[key] = answer
        for column, kind in TABLES.items():
            if isinstance(answer.get(column), list):
                answer[column] = wire.table_of(kind, answer[column])
        with self.sending:
            wire.send(sock, "answer", {"migration": key[0], "epoch": key[1], "step": key[2], "sequence": key[3], **answer})

    def step(self, event):
        answer = {"outcome": "OUTCOME_DONE", "answered": [], "missing": [], "refusals": [], **{table: [] for table in TABLES}}
        counts = {}
        if self.world.fault_now(self.name, event["step"]) == "silent":
            return None
        for shim in self.shims():
            # That a VM has moved is news for agents.
            if event["step"] == "STEP_MOVED" or not shim.is_concerned(event):
                continue
            said = shim.ask(event)
            if said is None:
                answer["missing"].append(shim.name)
                answer["outcome"] = "OUTCOME_PARTIAL"
                continue
            answer["answered"].append(shim.name)
            for part in ("refusals", *TABLES):
                answer[part] += said.get(part, [])
            for name, value in said.get("counts", {}).items():
                counts[name] = counts.get(name, 0) + value
            if said["outcome"] != "OUTCOME_DONE":
                answer["outcome"] = said["outcome"]
        return {**answer, "counts": counts}

    def order(self, event):
        order = event["order"]
        kind = self.world.fault_now(self.name, order["action"])
        if callable(kind):
            kind = kind()
        if kind in ("silent", "died"):
            return None
        text = "as asked" if kind else getattr(self, order["action"].lower())(order)
        if text:
            return {"outcome": "OUTCOME_REFUSED" if kind == "refuse" else "OUTCOME_FAILED",
                    "refusals": [{"who": self.name, "reason": f"test-{order['action'].lower()}", "text": text}],
                    "result": self.inventory()}
        copied = 4 if order["action"] == "HOST_MOVE" else 0
        return {"outcome": "OUTCOME_DONE", "result": {"copy_ms": copied, **self.inventory()}}

    def host_nothing(self, order):
        """Only what there is."""

    def host_check(self, order):
        return self.world.slots[order["slot"]]["vm"] and "taken"

    def host_detach(self, order):
        held = [s.name for s in self.world.shims.values()
                if s.vm == order["vm"] and s.state not in ("released", "errored")]
        if held:
            self.world.log.append(f"{order['vm']} is detached while {held} hold the device")
        if self.world.slots[order["slot"]]["vm"] == order["vm"]:
            self.world.slots[order["slot"]]["vm"] = ""

    def host_move(self, order):
        vm = self.world.vms[order["vm"]]
        left = [s for s in self.world.slot_of(order["vm"]) if self.world.slots[s]["host"] == self.name]
        if left and len(self.world.guids_of(order["vm"])) > 1:
            self.world.log.append(f"{order['vm']} leaves {self.name} with {left} still attached")
        if vm["host"] == self.name:
            vm["host"] = order["peer_host"]
        elif vm["host"] != order["peer_host"]:
            return "not here"

    def host_set_guids(self, order):
        slot = self.world.slots[order["slot"]]
        if slot["vm"]:
            return "the slot is attached"
        if order["link"] == "LINK_DOWN":
            self.world.link(order["slot"], False)
        slot["node_guid"], slot["port_guid"] = order["node_guid"], order["port_guid"]
        if order["link"] == "LINK_UP":
            self.world.link(order["slot"], True)

    def host_attach(self, order):
        slot = self.world.slots[order["slot"]]
        if self.world.vms[order["vm"]]["host"] != self.name:
            return "the VM is not here"
        if slot["vm"] not in ("", order["vm"]):
            return "the slot is taken"
        slot["vm"] = order["vm"]
        if slot.get("dynamic"):
            self.world.link(order["slot"], True)
        vm = self.world.vms[order["vm"]]
        if vm["guid"] is None:
            vm["guid"], vm["lid"] = slot["port_guid"], self.world.fabric.get(slot["port_guid"], {}).get("lid")
        self.register(order["vm"])

    host_give_back = host_attach
