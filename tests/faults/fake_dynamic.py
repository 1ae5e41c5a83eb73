# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The world of fakes.py with dynamic LIDs: a slot without VM has no link, and the SM knows nobody there. What it knows of a
port it forgets in a sweep that does not see its link, but for the LID of its GUID."""
import fakes
from fake_sm import Sm

INIT, ACTIVE = 2, 4


class DynamicSm(Sm):
    """Sweeps at once when a link goes up or down, under a lease as soon as that ends. Only a sweep activates a port."""

    def __init__(self, world):
        super().__init__(world)
        self.owes_sweep, self.lids = False, {}
        self.sweeps = True  # False: not yet
        self.located = 0
        self.sweep_waits = lambda: self.owes_sweep

    def start(self):
        self.sweep()
        super().start()

    def link_changed(self):
        self.owes_sweep = True
        self.sweep_if_owed()

    def sweep_if_owed(self):
        if self.owes_sweep and not self.leases and self.sweeps:
            self.sweep()

    def sweep(self, keeps_lids=True):
        self.owes_sweep, shown = False, self.world.shown()
        self.lids.update({guid: port["lid"] for guid, port in self.world.fabric.items()})
        self.world.fabric.clear()
        for guid, (place, node_guid) in shown.items():
            lid = self.lids.get(guid) if keeps_lids else 0x500 + len(self.world.fabric)
            self.world.fabric[guid] = {"lid": lid, "node_guid": node_guid, "place": place, "state": ACTIVE}

    def serve(self, sock):
        super().serve(sock)
        with self.world.lock:
            self.sweep_if_owed()

    def stop(self):
        super().stop()
        self.owes_sweep = False

    def locate(self, sock, request):
        self.located += 1
        answer, port = super().locate(sock, request), self.port(request["port_guid"])
        return {**answer, "state": port["state"]} if port else answer

    def target(self, request):
        """(place, who the SM has there or None)"""
        if request.get("kind") != "copy":
            self.world.log.append(f"the SM is asked for another kind than copy: {request}")
        place = (int(request["to_switch_guid"], 16), request["to_switch_port"])
        return place, next((guid for guid, port in self.world.fabric.items() if port["place"] == place), None)

    def plan(self, sock, request):
        guid = int(request["vm_port_guid"], 16)
        place, there = self.target(request)
        self.plan_asked(request)
        if there == guid:
            return {"reason": "same-place"}
        if guid not in self.world.fabric:
            return {"reason": "unknown-port"}
        if there:
            return {"reason": "slot-in-use"}
        self.plans_made += 1
        name = f"plan{self.plans_made}"
        self.plans[name] = (guid, place)
        vm = {"port_guid": hex(guid), "node_guid": hex(self.world.fabric[guid]["node_guid"]),
              "lid": self.world.fabric[guid]["lid"]}
        changes = [{"switch_guid": f"0x{switch:016x}", "block": 0, "before": "ff" * 64, "after": "01" * 64}
                   for switch in (0x200, 0x300, place[0])]
        return {"hash": name, "generation": 1, "vm": vm, "moves": [{"kind": "copy", "vm": vm}], "lft_sets": 3,
                "lft_sets_physical": 2, "lft_sets_vswitch": 1, "pkey_sets": 1, "portinfo_sets": 1, "groups": 0,
                "changes": changes, "stability": "stable"}

    def copy_to(self, guid, place):
        port, shown = self.world.fabric.get(guid), self.world.shown().get(guid)
        if not port:
            return {"reason": "unknown-port"}
        if port["place"] == place:
            return {"verified": True}  # a repeat
        if not shown or shown[0] != place:
            return {"reason": "guids-not-there"}
        port["place"], port["state"] = place, INIT
        return {"lft_sets": 3, "lft_sets_physical": 2, "lft_sets_vswitch": 1, "pkey_sets": 1, "portinfo_sets": 1, "resent": 0,
                "verified": True, "elapsed_us": 900}

    def apply(self, sock, request):
        if not self.holds_lease(sock, request):
            return {"reason": "no-lease"}
        if request["hash"] not in self.plans:
            return {"reason": "unknown-plan"}
        return self.copy_to(*self.plans[request["hash"]])

    def undo(self, sock, request):
        if not self.holds_lease(sock, request):
            return {"reason": "no-lease"}
        guid = int(request["vm_port_guid"], 16)
        place, there = self.target(request)
        return {"reason": "same-place"} if there == guid else self.copy_to(guid, place)

    def release_lease(self, sock, request):
        answer = super().release_lease(sock, request)
        self.owes_sweep |= request["sweep"]
        self.sweep_if_owed()
        return answer


class World(fakes.World):
    sm_kind = DynamicSm

    def __init__(self, *arguments, **members):
        super().__init__(*arguments, **members)
        self.linked = set()  # slots
        self.fabric.clear()
        for slot in self.slots.values():
            slot["dynamic"] = True

    def vm(self, name, host):
        slot = next(s for s in self.slots if self.slots[s]["host"] == host and not self.slots[s]["vm"])
        guid, lid = self.slots[slot]["port_guid"], 0x10 + len(self.vms)
        self.slots[slot]["vm"] = name
        self.vms[name] = {"host": host, "lid": lid, "guid": guid}
        self.linked.add(slot)
        self.sm.lids[guid] = lid
        self.sm.sweep()

    def link(self, name, is_up):
        if is_up == (name in self.linked):
            return
        (self.linked.add if is_up else self.linked.discard)(name)
        guids = self.guids_to_be_seen()
        if len(set(guids)) != len(guids):
            self.log.append(f"a GUID is to be seen twice, when the link of {name} came up")
        self.sm.link_changed()

    def guids_to_be_seen(self):
        return [self.slots[slot]["port_guid"] for slot in self.linked]

    def shown(self):
        """{GUID: (place, NodeGUID)} of those whose link is up"""
        return {slot["port_guid"]: ((slot["switch_guid"], slot["switch_port"]), slot["node_guid"])
                for slot in (self.slots[name] for name in self.linked)}

    def complaints_of_slots(self):
        bad = []
        for name, slot in self.slots.items():
            if (name in self.linked) != bool(slot["vm"]):
                bad.append(f"the link of {name}, which {slot['vm'] or 'nobody'} has, is {'up' if name in self.linked else 'down'}")
        for name, vm in self.vms.items():
            if vm["guid"] is None:
                continue
            port, held = self.fabric.get(vm["guid"]), self.slot_of(name)
            if not port or port["lid"] != vm["lid"] or port["state"] != ACTIVE:
                bad.append(f"the SM has {name} as {port}, not with LID {vm['lid']}")
            elif held and port["place"] != (self.slots[held[0]]["switch_guid"], self.slots[held[0]]["switch_port"]):
                bad.append(f"the fabric carries the GUID of {name} elsewhere")
        return bad
