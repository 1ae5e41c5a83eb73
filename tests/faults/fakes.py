# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Physical servers, shims and an SM for tether-smd to drive, in threads of the test, over the real sockets.

A World holds what is true: which slot shows which GUIDs, which VM holds which slot, where the fabric carries a GUID, and
what each process with libtether has been through. Fakes break the rules of the contract as little as they can: a shim
that is asked for a step out of order refuses it, a host attaches only a free slot. After each migration
`World.complaints` lists what must not be so.
"""
import json
import os
import socket
import threading
import time

import wire

BROKEN = wire.SCHEMA.enums["EvidenceFlag"]["EVIDENCE_BROKEN"]


class World:
    def __init__(self, directory, hosts=("hyp1", "hyp2", "hyp3"), slots=2):
        self.lock = threading.RLock()
        self.directory = directory
        self.slots, self.vms, self.fabric, self.shims = {}, {}, {}, {}
        self.faults = []  # see fault()
        self.log = []
        for i, host in enumerate(hosts):
            for k in range(slots):
                n = 16 * (i + 1) + k
                self.slots[f"{host}-vf{k}"] = {"host": host, "vm": "", "node_guid": 0x1000 + n, "port_guid": 0x2000 + n,
                                               "switch_guid": 0x100 + i, "switch_port": k + 1}
        for slot in self.slots.values():
            self.fabric[slot["port_guid"]] = {"lid": slot["port_guid"] - 0x2000, "node_guid": slot["node_guid"],
                                              "place": (slot["switch_guid"], slot["switch_port"])}
        self.hosts = {host: Host(self, host) for host in hosts}
        self.sm = Sm(self)

    def vm(self, name, host):
        slot = next(s for s in self.slots if self.slots[s]["host"] == host and not self.slots[s]["vm"])
        self.slots[slot]["vm"] = name
        guid = self.slots[slot]["port_guid"]
        self.vms[name] = {"host": host, "lid": self.fabric[guid]["lid"], "guid": guid}

    def process(self, vm, pid):
        shim = Shim(self, vm, pid)
        self.shims[shim.name] = shim
        return shim

    def connect(self, a, b):
        """A QP of each, connected to the other's."""
        qpn = 0x100 + 2 * sum(len(s.qps) for s in self.shims.values())
        a.qps[qpn] = {"remote_lid": self.vms[b.vm]["lid"], "remote_qpn": qpn + 1, "real": qpn}
        b.qps[qpn + 1] = {"remote_lid": self.vms[a.vm]["lid"], "remote_qpn": qpn, "real": qpn + 1}

    def fault(self, who, what, kind, times=1):
        """When @who (a host, a shim's name, or "sm") is asked @what (an order, a step, an op): do @kind instead:
        refuse, fail, silent, or a function."""
        with self.lock:
            self.faults.append([who, what, kind, times])

    def fault_now(self, who, what):
        for fault in self.faults:
            if fault[0] == who and fault[1] == what and fault[3]:
                fault[3] -= 1
                return fault[2]
        return None

    def slot_of(self, vm):
        return [s for s in self.slots if self.slots[s]["vm"] == vm]

    def start(self):
        self.sm.start()
        for host in self.hosts.values():
            host.start()

    def stop(self):
        for host in self.hosts.values():
            host.stop()
        self.sm.stop()

    def complaints(self):
        with self.lock:
            bad = []
            guids = [s["port_guid"] for s in self.slots.values()]
            if len(set(guids)) != len(guids):
                bad.append("a GUID is shown by two slots")
            for name, vm in self.vms.items():
                held = self.slot_of(name)
                if len(held) != 1 or self.slots[held[0]]["host"] != vm["host"]:
                    bad.append(f"{name} on {vm['host']} holds {held}")
                elif self.slots[held[0]]["port_guid"] != vm["guid"]:
                    bad.append(f"{name}'s slot {held[0]} shows another GUID")
            for name, slot in self.slots.items():
                if self.fabric[slot["port_guid"]]["place"] != (slot["switch_guid"], slot["switch_port"]):
                    bad.append(f"the fabric carries the GUID of {name} elsewhere")
            for shim in self.shims.values():
                if shim.state not in ("running", "errored"):
                    bad.append(f"{shim.name} is left {shim.state}")
            return bad + self.log


class Shim:
    """A process with libtether: the steps it has been through, and no more than that."""

    def __init__(self, world, vm, pid):
        self.world, self.vm, self.name, self.pid = world, vm, f"{vm}/{pid}.{pid * 7}", pid
        self.qps, self.state, self.open, self.step = {}, "running", 0, "STEP_NONE"
        self.history, self.broken = [], False

    def rows(self, lid):
        mine = self.world.vms[self.vm]["lid"]
        return [{"local_lid": mine, "local_qpn": qpn, "real_qpn": qp["real"], "remote_lid": qp["remote_lid"],
                 "remote_qpn": qp["remote_qpn"], "sq_psn": 7, "context": self.pid}
                for qpn, qp in self.qps.items() if lid in (mine, qp["remote_lid"])]

    def is_concerned(self, event):
        if self.vm == event["vm"]:
            return event["to_vm"]
        return event["to_peers"] and any(q["remote_lid"] == event["address"]["lid"] for q in self.qps.values())

    def ask(self, event):
        """An answer's parts, or None: no answer."""
        step, kind = event["step"], self.world.fault_now(self.name, event["step"])
        if callable(kind):
            kind = kind()
        if kind == "silent":
            return None
        if kind in ("refuse", "fail"):
            return {"outcome": "OUTCOME_REFUSED" if kind == "refuse" else "OUTCOME_FAILED",
                    "refusals": [{"who": f"{self.vm}/{self.pid} prog", "reason": f"test-{kind}", "text": "as asked"}]}
        if step != "STEP_PREPARE" and self.open != event["migration"]:
            return {"outcome": "OUTCOME_DONE"}  # not ours, or over
        self.history.append(step)
        answer = getattr(self, step.lower())(event)
        self.step = step
        return {"outcome": "OUTCOME_DONE", **answer}

    def wrong(self, event):
        self.world.log.append(f"{self.name} was asked {event['step']} while {self.state}")
        return {"outcome": "OUTCOME_REFUSED"}

    def evidence(self, event, flags):
        return [{"local_lid": r["local_lid"], "local_qpn": r["local_qpn"], "remote_lid": r["remote_lid"],
                 "remote_qpn": r["remote_qpn"], "flags": flags} for r in self.rows(event["address"]["lid"])]

    def step_prepare(self, event):
        if self.state != "running":
            return {"outcome": "OUTCOME_REFUSED"} if self.state == "errored" else self.wrong(event)
        self.open = event["migration"]
        return {"qps": self.rows(event["address"]["lid"]), "counts": {"processes": 1, "qps": len(self.qps)}}

    def step_stop(self, event):
        if self.state not in ("running", "stopped"):
            return self.wrong(event)
        self.state = "stopped"
        return {"evidence": self.evidence(event, BROKEN) if self.broken else []}

    def step_settle(self, event):
        if self.state not in ("stopped", "voted"):
            return self.wrong(event)
        self.state = "voted"
        return {"evidence": self.evidence(event, BROKEN), "qps": self.rows(event["address"]["lid"])}

    def step_release(self, event):
        if self.state not in ("voted", "released"):
            return self.wrong(event)
        others = {(e["local_lid"], e["local_qpn"]) for e in wire.rows_of(event["evidence"])}
        if any((q["remote_lid"], q["remote_qpn"]) not in others for q in self.qps.values()
               if event["address"]["lid"] in (q["remote_lid"], self.world.vms[self.vm]["lid"])):
            self.world.log.append(f"{self.name}: RELEASE without the other side's evidence")
        if self.vm == event["vm"]:
            self.state = "released"
        return {}

    def step_attach(self, event):
        if self.state not in ("released", "rebuilt", "voted") or not self.world.slot_of(self.vm):
            return self.wrong(event)
        self.state = "rebuilt"
        for qp in self.qps.values():
            qp["real"] += 0x1000
        return {"qps": self.rows(event["address"]["lid"]),
                "keys": [{"context": self.pid, "virtual_rkey": 5, "real_rkey": 6}]}

    def step_reconnect(self, event):
        if self.state not in ("rebuilt", "voted", "connected"):
            return self.wrong(event)
        numbers = {(r["local_lid"], r["local_qpn"]): r["real_qpn"] for r in wire.rows_of(event["qps"])}
        for row in self.rows(event["address"]["lid"]):
            qp = self.qps[row["local_qpn"]]
            qp["connected_to"] = numbers.get((row["remote_lid"], row["remote_qpn"]))
        self.state = "connected"
        return {}

    def step_resume(self, event):
        lost = [q for q in self.qps.values() if "connected_to" in q and q["connected_to"] is None]
        if self.state not in ("connected", "voted", "stopped"):
            return self.wrong(event)
        self.state = "errored" if lost or self.state != "connected" else "running"
        self.open = 0
        for qp in self.qps.values():
            qp.pop("connected_to", None)
        return {"counts": {"replayed": 3, "made_up": 2, "errors": len(lost)}}

    def step_abort(self, event):
        if self.state in ("released", "rebuilt", "connected"):
            return self.wrong(event)
        if self.state == "voted" or self.broken and self.state == "stopped":
            return {"evidence": self.evidence(event, BROKEN)}
        self.state, self.open = "running", 0
        return {}

    def step_error(self, event):
        self.state, self.open = "errored", 0
        return {}


class Peer(threading.Thread):
    def __init__(self, target, *args):
        super().__init__(target=target, args=args, daemon=True)
        self.start()


class Host:
    """tether-agent on a physical server, its driver and the shims of its VMs."""

    def __init__(self, world, name):
        self.world, self.name, self.path = world, name, os.path.join(world.directory, "agents.sock")
        self.sock, self.epoch, self.answers, self.sending = None, 0, {}, threading.Lock()
        self.told = []  # answers to registrations

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
                    elif body == "interest_answer":
                        self.told.append(message)
            except OSError:
                stopped.wait(0.02)
            finally:
                sock.close()

    def beat(self, sock, stopped):
        try:
            while self.sock is sock and not stopped.wait(0.1):
                with self.sending:
                    wire.send(sock, "heartbeat", {"count": 1})
        except OSError:
            pass

    def connects_to(self, vm, request=1):
        """A process here is about to connect to @vm; the outcomes of that registration come to be in `outcomes`."""
        with self.sending:
            wire.send(self.sock, "interest", {"request": request, "address": {"lid": self.world.vms[vm]["lid"]},
                                              "remote_qpn": 0x100})

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
            lids = {q["remote_lid"] for s in self.shims() for q in s.qps.values()}
            opened = [s for s in self.shims() if s.open]
            return {"version": 1, "role": "ROLE_HOST", "name": self.name, "epoch": self.epoch,
                    "migration": opened[0].open if opened else 0, "step": opened[0].step if opened else 0,
                    "addresses": [{"lid": lid} for lid in sorted(lids)], **self.inventory()}

    def event(self, sock, event):
        key = (event["migration"], event["epoch"], event["step"], event["sequence"])
        with self.world.lock:
            if self.sock is not sock:
                return
            if event["epoch"] < self.epoch:
                self.world.log.append(f"{self.name}: an event of epoch {event['epoch']} after {self.epoch}")
            self.epoch = max(self.epoch, event["epoch"])
            answer = self.answers.get(key) or (self.order(event) if event["order"] else self.step(event))
            if not answer or self.sock is not sock:
                return
            self.answers[key] = answer
        for column in ("evidence", "qps", "keys"):
            if isinstance(answer.get(column), list):
                answer[column] = wire.table_of({"evidence": "EvidenceRows", "qps": "QpRows", "keys": "KeyRows"}[column],
                                               answer[column])
        with self.sending:
            wire.send(sock, "answer", {"migration": key[0], "epoch": key[1], "step": key[2], "sequence": key[3], **answer})

    def step(self, event):
        answer = {"outcome": "OUTCOME_DONE", "answered": [], "missing": [], "refusals": [], "evidence": [], "qps": [],
                  "keys": []}
        counts = {}
        for shim in self.shims():
            if not shim.is_concerned(event):
                continue
            said = shim.ask(event)
            if said is None:
                answer["missing"].append(shim.name)
                answer["outcome"] = "OUTCOME_PARTIAL"
                continue
            answer["answered"].append(shim.name)
            for part in ("refusals", "evidence", "qps", "keys"):
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
        for slot in self.world.slot_of(order["vm"]):
            self.world.slots[slot]["vm"] = ""

    def host_move(self, order):
        vm = self.world.vms[order["vm"]]
        if vm["host"] == self.name:
            vm["host"] = order["peer_host"]
        elif vm["host"] != order["peer_host"]:
            return "not here"

    def host_set_guids(self, order):
        slot = self.world.slots[order["slot"]]
        if slot["vm"]:
            return "the slot is attached"
        slot["node_guid"], slot["port_guid"] = order["node_guid"], order["port_guid"]

    def host_attach(self, order):
        slot = self.world.slots[order["slot"]]
        if self.world.vms[order["vm"]]["host"] != self.name:
            return "the VM is not here"
        if slot["vm"] not in ("", order["vm"]):
            return "the slot is taken"
        slot["vm"] = order["vm"]

    host_give_back = host_attach


class Sm:
    """The plugin in OpenSM."""

    def __init__(self, world):
        self.world, self.path = world, os.path.join(world.directory, "sm.sock")
        self.listener, self.connections, self.plans, self.lease = None, [], {}, None

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        Peer(self.accept, self.listener)

    def sweep(self, keeps_lids=True):
        """GUIDs that changed places are recabled. Without its memory of LIDs it takes those of the slots."""
        lids = {port["place"]: port["lid"] for port in self.world.fabric.values()}
        for slot in self.world.slots.values():
            port = self.world.fabric[slot["port_guid"]]
            port["place"] = (slot["switch_guid"], slot["switch_port"])
            if not keeps_lids:
                port["lid"] = lids[port["place"]]

    def stop(self):
        """As if killed."""
        with self.world.lock:
            for sock in [self.listener] + self.connections:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()
            self.connections, self.plans, self.lease = [], {}, None

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections.append(sock)
            Peer(self.serve, sock)

    def serve(self, sock):
        try:
            with sock.makefile("rw") as stream:
                for line in stream:
                    request = json.loads(line)
                    with self.world.lock:
                        answer = self.answer(sock, request)
                    if answer is None:
                        continue
                    stream.write(json.dumps({"id": request["id"], **answer}) + "\n")
                    stream.flush()
        except (OSError, ValueError):
            pass
        if self.lease and self.lease[0] is sock:
            self.lease = None

    def answer(self, sock, request):
        kind = self.world.fault_now("sm", request["op"])
        if callable(kind):
            kind = kind()
        if kind == "silent":
            return None
        op = self.take_lease if request["op"] == "lease" else getattr(self, request["op"])
        answer = {"reason": kind} if kind else op(sock, request)
        return {"ok": False, "text": "as asked", **answer} if "reason" in answer else {"ok": True, **answer}

    def port(self, text):
        return self.world.fabric.get(int(text, 16))

    def locate(self, sock, request):
        port = self.port(request["port_guid"])
        if not port:
            return {"reason": "unknown-port"}
        return {"lid": port["lid"], "gid": f"fe80::{int(request['port_guid'], 16):x}", "switch_guid": hex(port["place"][0]),
                "switch_port": port["place"][1], "node_guid": hex(port["node_guid"])}

    def target(self, request):
        place = (int(request["to_switch_guid"], 16), request["to_switch_port"])
        other = next(g for g in self.world.fabric if self.world.fabric[g]["place"] == place)
        return place, other

    def plan(self, sock, request):
        guid = int(request["vm_port_guid"], 16)
        place, other = self.target(request)
        if other == guid:
            return {"reason": "same-place"}
        name = f"plan{len(self.plans)}"
        self.plans[name] = (guid, other)
        return {"hash": name, "generation": 1, "other": {"port_guid": hex(other), "lid": self.world.fabric[other]["lid"]}}

    def exchange(self, guid, other):
        one, two = self.world.fabric[guid], self.world.fabric[other]
        shown = {s["port_guid"]: (s["switch_guid"], s["switch_port"]) for s in self.world.slots.values()}
        if shown.get(guid) != two["place"] or shown.get(other) != one["place"]:
            return {"reason": "guids-not-there"}
        one["place"], two["place"] = two["place"], one["place"]
        return {"lft_sets": 5, "lft_sets_physical": 3, "lft_sets_vswitch": 2, "pkey_sets": 4, "portinfo_sets": 2,
                "resent": 0, "verified": True, "elapsed_us": 900}

    def is_carried_as_shown(self, *guids):
        shown = {s["port_guid"]: (s["switch_guid"], s["switch_port"]) for s in self.world.slots.values()}
        return all(self.world.fabric[guid]["place"] == shown.get(guid) for guid in guids)

    def holds_lease(self, sock, request):
        return self.lease and self.lease[0] is sock and self.lease[1] == request["migration"]

    def apply(self, sock, request):
        if not self.holds_lease(sock, request):
            return {"reason": "no-lease"}
        if request["hash"] not in self.plans:
            return {"reason": "unknown-plan"}
        if self.is_carried_as_shown(*self.plans[request["hash"]]):
            return {"verified": True}  # a repeat
        return self.exchange(*self.plans[request["hash"]])

    def undo(self, sock, request):
        if not self.holds_lease(sock, request):
            return {"reason": "no-lease"}
        guid = int(request["vm_port_guid"], 16)
        place, other = self.target(request)
        return {"reason": "same-place"} if other == guid else self.exchange(guid, other)

    def release_lease(self, sock, request):
        self.lease = None
        return {"held": True}

    def take_lease(self, sock, request):
        self.lease = (sock, request["migration"])
        return {"ms": request["ms"]}


def wait_until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
