# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The world of fake_dynamic.py with VMs that come and go: the SM promises LIDs and takes them back."""
import fake_dynamic

LID_FIRST, LID_LAST = 0x30, 0x33  # the pool


class PromisingSm(fake_dynamic.DynamicSm):
    """`lids` is its guid2lid. Who comes without a promise gets a LID as well, which is a complaint."""

    def sweep(self, keeps_lids=True):
        for guid in self.world.shown():
            if guid not in self.lids:
                self.world.log.append(f"0x{guid:x} comes without a promise")
                self.lids[guid] = self.free_lid()
        super().sweep(keeps_lids)

    def free_lid(self):
        return next((lid for lid in range(LID_FIRST, LID_LAST + 1) if lid not in self.lids.values()), None)

    def link_changed(self):
        if not self.leases:
            self.world.log.append("a link is ordered without the lease")
        super().link_changed()

    def plan(self, sock, request):
        if "moves" not in request:
            return super().plan(sock, request)
        move, = request["moves"]
        guid = int(move["vm_port_guid"], 16)
        chosen = (self.plan_create if move["kind"] == "create" else self.plan_destroy)(guid, move)
        if "reason" in chosen:
            return chosen
        self.plans_made += 1
        name = f"plan{self.plans_made}"
        self.plans[name] = (move["kind"], guid, chosen)
        return {"hash": name, "generation": 1, "lft_sets": 3, "moves": [{"kind": move["kind"], "vm": {"lid": chosen["lid"]}}]}

    def movers_of(self, name):
        kind, guid, *chosen = self.plans[name]
        return {guid, *chosen[0].values()} if kind in ("create", "destroy") else super().movers_of(name)

    def plan_create(self, guid, move):
        place = (int(move["to_switch_guid"], 16), move["to_switch_port"])
        there = self.fabric_at(place)
        if there:
            return {"reason": "same-place" if there == guid else "slot-in-use"}
        if guid in self.world.fabric:
            return {"reason": "guid-in-use"}
        lid = self.lids.get(guid) or move.get("lid") or self.free_lid()
        if lid in [self.lids[other] for other in self.lids if other != guid]:
            return {"reason": "lid-in-use"}
        return {"lid": lid, "place": place} if lid else {"reason": "no-free-lid"}

    def fabric_at(self, place):
        return next((guid for guid, port in self.world.fabric.items() if port["place"] == place), None)

    def plan_destroy(self, guid, move):
        return {"lid": self.lids[guid]} if guid in self.lids else {"reason": "unknown-port"}

    def apply(self, sock, request):
        plan = self.plans.get(request["hash"])
        if not self.holds_lease(sock, request):
            return {"reason": "no-lease"}
        if not plan or plan[0] not in ("create", "destroy"):
            return super().apply(sock, request)
        kind, guid, chosen = plan
        if kind == "create":
            if any(lid == chosen["lid"] and other != guid for other, lid in self.lids.items()):
                return {"reason": "stale-plan"}
            if guid in self.world.shown():
                self.world.log.append(f"the link of 0x{guid:x} was up before its routes")
            self.lids[guid] = chosen["lid"]
        else:
            if guid in self.world.shown():
                self.world.log.append(f"the link of 0x{guid:x} was up when its routes were taken away")
            self.lids.pop(guid, None)
            self.world.fabric.pop(guid, None)
        return {"lft_sets": 3, "verified": True, "elapsed_us": 900}


class World(fake_dynamic.World):
    sm_kind = PromisingSm

    def vm(self, name, host):
        """It was there before everybody else, and before the SM."""
        self.sm.leases["the world"] = (None, None)
        slot = next(s for s in self.slots if self.slots[s]["host"] == host and not self.slots[s]["vm"])
        self.sm.lids[self.slots[slot]["port_guid"]] = 0x10 + len(self.vms)
        super().vm(name, host)
        self.sm.leases.clear()

    def complaints_of_slots(self):
        guids = {vm["guid"] for vm in self.vms.values() if vm["guid"]}
        return super().complaints_of_slots() + [f"the SM keeps LID {lid} for 0x{guid:x}, which no VM has"
                                                for guid, lid in self.sm.lids.items() if guid not in guids]
