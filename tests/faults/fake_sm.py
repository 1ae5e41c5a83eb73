# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libosmtether.so in OpenSM: its socket, its plans, its lease."""
import json
import os
import socket

from fake_host import OLDEST, VERSION
from fake_peer import Peer


class Sm:
    """The plugin in OpenSM."""

    def __init__(self, world):
        self.world, self.path = world, os.path.join(world.directory, "sm.sock")
        self.listener, self.connections, self.plans, self.leases = None, [], {}, {}
        self.refused_leases = self.plans_made = 0
        self.plan_asked = lambda request: None  # a test may look
        self.speaks = (OLDEST, VERSION)  # versions of the protocol; None: it was built before there was more than one
        self.sweep_waits = lambda: False  # for the leases to end, so that nobody joins those who hold them

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
            self.connections, self.plans, self.leases = [], {}, {}

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
            with sock.makefile("r") as lines:
                for line in lines:
                    request = json.loads(line)
                    with self.world.lock:
                        answer = self.answer(sock, request)
                    if answer is None:
                        continue
                    sock.sendall(json.dumps({"id": request["id"], **answer}).encode() + b"\n")
        except (OSError, ValueError):
            pass
        with self.world.lock:
            self.leases.pop(sock, None)

    def answer(self, sock, request):
        kind = self.world.fault_now("sm", request["op"])
        if callable(kind):
            kind = kind()
        if kind == "silent":
            return None
        op = self.take_lease if request["op"] == "lease" else getattr(self, request["op"])
        answer = {"reason": kind} if kind else op(sock, request)
        return {"ok": False, "text": "as asked", **answer} if "reason" in answer else {"ok": True, **answer}

    def hello(self, sock, request):
        if not self.speaks:
            return {"reason": "bad-request"}
        return dict(zip(("oldest", "newest"), self.speaks))

    def port(self, text):
        return self.world.fabric.get(int(text, 16))

    def locate(self, sock, request):
        port = self.port(request["port_guid"])
        if not port:
            return {"reason": "unknown-port"}
        return {"lid": port["lid"], "gid": f"fe80::{int(request['port_guid'], 16):x}", "switch_guid": hex(port["place"][0]),
                "switch_port": port["place"][1], "node_guid": hex(port["node_guid"])}

    def locate_all(self, sock, request):
        """Without partitions: everybody is a full member of the default one."""
        by_lid = {port["lid"]: port for port in self.world.fabric.values()}
        ports = [self.port(one) if isinstance(one, str) else by_lid.get(one) for one in request["ports"]]
        return {"ports": [port and {"lid": port["lid"], "switch_guid": hex(port["place"][0]), "switch_port": port["place"][1],
                                    "pkeys": [0xffff]} for port in ports]}

    def target(self, request):
        place = (int(request["to_switch_guid"], 16), request["to_switch_port"])
        other = next(g for g in self.world.fabric if self.world.fabric[g]["place"] == place)
        return place, other

    def plan(self, sock, request):
        guid = int(request["vm_port_guid"], 16)
        place, other = self.target(request)
        self.plan_asked(request)
        if other == guid:
            return {"reason": "same-place"}
        self.plans_made += 1
        name = f"plan{self.plans_made}"
        self.plans[name] = (guid, other)
        ports = {name: {"port_guid": hex(port), "node_guid": hex(self.world.fabric[port]["node_guid"]),
                        "lid": self.world.fabric[port]["lid"]} for name, port in (("vm", guid), ("other", other))}
        changes = [{"switch_guid": f"0x{switch:016x}", "kind": "vswitch" if switch < 0x200 else "physical", "block": block,
                    "before": "ff" * 64, "after": "01" * 64}
                   for switch, block in ((0x100, 0), (0x200, 0), (0x200, 1), (0x300, 0), (0x101, 0))]
        return {"hash": name, "generation": 1, **ports, "lft_sets": 5, "lft_sets_physical": 3, "lft_sets_vswitch": 2,
                "pkey_sets": 4, "portinfo_sets": 2, "groups": 1, "changes": changes,
                "stability": "reverted-by-sweep" if request.get("reach") == "minimum" else "stable"}

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
        return sock in self.leases and self.leases[sock][0] == request["migration"]

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
        held = bool(self.holds_lease(sock, request))
        if held:
            del self.leases[sock]
        return {"held": held}

    def excludes(self, one, other):
        """Plans by name that may not be in flight together: one that is not known may move anything."""
        return one not in self.plans or other not in self.plans or self.movers_of(one) & self.movers_of(other)

    def movers_of(self, name):
        return set(self.plans[name])

    def discovery_does_not_end(self):
        """OpenSM's, once it has met a GUID at two places: it discovers anew for ever. Under a lease it has not begun."""
        guids = self.world.guids_to_be_seen()
        return not self.leases and len(set(guids)) != len(guids)

    def take_lease(self, sock, request):
        name = request.get("hash")
        if self.discovery_does_not_end():
            self.refused_leases += 1
            return {"reason": "busy"}
        others = [lease for holder, lease in self.leases.items() if holder is not sock]
        if others and (self.sweep_waits() or any(self.excludes(name, other) for _, other in others)):
            self.refused_leases += 1
            return {"reason": "busy"}
        self.leases[sock] = (request["migration"], name)
        return {"ms": request["ms"], "shared": name in self.plans}
