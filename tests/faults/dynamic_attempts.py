# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that come, move to an empty slot and end while OpenSM dies, as plan_kill_test.py has them: each begins, and is then
finished by a new plan or undone. The test plays hosts and tether-smd."""
from faults.plugin_client import Refused
from simfabric.dynamic_lab import DynamicLab

HERE, THERE = "hyp1_vf2", "hyp4_vf4"
DONE_ALREADY = ("same-place", "unknown-port")  # bring-up has found it so


def carried_out(lab, move, before=lambda: None, after=lambda: None):
    """A new plan from the tables as they are; @before, @after: what the agents do under the lease."""
    sm, migration = lab.leased()
    with sm:
        before()
        try:
            plan = sm.ask("plan", moves=[move])
        except Refused as error:
            assert error.reason in DONE_ALREADY, str(error)
            return None
        assert sm.ask("apply", hash=plan["hash"], migration=migration)["verified"]
        after()
        return plan


class DynamicAttempt:
    def __init__(self, lab, plan):
        self.lab, self.order = lab, plan.how.get("order", "fast")

    def sweep(self):
        """A link that went up or down has OpenSM sweep; what is right is right after it."""
        self.lab.heavy_sweep()

    def lid_at(self, slot):
        return self.lab.slot_row(slot)["lid"]

    def empty(self, slot):
        self.lab.destroy(slot)
        self.sweep()


class Coming(DynamicAttempt):
    def __init__(self, lab, plan):
        super().__init__(lab, plan)
        node_guid, port_guid = lab.new_guids(HERE)
        self.move = {"kind": "create", "vm_port_guid": f"0x{port_guid:016x}", "vm_node_guid": f"0x{node_guid:016x}",
                     **lab.place_of(HERE)}

    def begin(self):
        self.lab.make_and_apply([self.move], order=self.order)

    def finish(self):
        plan = carried_out(self.lab, self.move, after=lambda: self.lab.fabric.link(HERE, 1, "up"))
        self.sweep()
        assert self.lid_at(HERE) == plan["moves"][0]["vm"]["lid"]

    def undo(self):
        """It does not come, and no LID is kept for it; another one does, later."""
        carried_out(self.lab, {"kind": "destroy", "vm_port_guid": self.move["vm_port_guid"]})
        assert self.move["vm_port_guid"] not in self.lab.promised_lids()
        self.lab.new_guids(HERE)
        self.sweep()

    def again(self, is_undone):
        if is_undone:
            self.lab.create(HERE)
            self.sweep()
        self.empty(HERE)


class Moving(DynamicAttempt):
    def __init__(self, lab, plan):
        super().__init__(lab, plan)
        self.lid = lab.create(HERE)
        self.sweep()
        self.guid = lab.guid_at(HERE)

    def begin(self):
        self.lab.copy([(HERE, THERE)], order=self.order)

    def take_to(self, slot, other):
        rows = {row["node"]: row for row in self.lab.fabric.dump("places")}
        if self.lab.guid_at(slot) != self.guid:
            self.lab.fabric.link(other, 1, "down")
            self.lab.fabric.cli("guids", slot, rows[other]["node_guid"], rows[other]["port_guid"])
            self.lab.new_guids(other)
        self.lab.fabric.link(slot, 1, "up")

    def is_brought_to(self, slot, other):
        move = {"kind": "copy", "vm_port_guid": self.guid, **self.lab.place_of(slot)}
        carried_out(self.lab, move, lambda: self.take_to(slot, other))
        self.sweep()
        assert (self.lab.guid_at(slot), self.lid_at(slot)) == (self.guid, self.lid)

    def finish(self):
        self.is_brought_to(THERE, HERE)

    def undo(self):
        self.is_brought_to(HERE, THERE)

    def again(self, is_undone):
        self.empty(HERE if is_undone else THERE)


class Ending(DynamicAttempt):
    def __init__(self, lab, plan):
        super().__init__(lab, plan)
        lab.create(HERE)
        self.sweep()
        self.guid = lab.guid_at(HERE)

    def begin(self):
        self.lab.make_and_apply([{"kind": "destroy", "vm_port_guid": self.guid}],
                                before=lambda: self.lab.fabric.link(HERE, 1, "down"), order=self.order)

    def finish(self):
        carried_out(self.lab, {"kind": "destroy", "vm_port_guid": self.guid})
        self.lab.new_guids(HERE)
        self.sweep()

    def undo(self):
        """It goes on, perhaps as one that has just come."""
        self.lab.fabric.link(HERE, 1, "up")
        self.sweep()
        assert self.lid_at(HERE)

    def again(self, is_undone):
        if not is_undone:
            self.lab.create(HERE)
            self.sweep()
        self.empty(HERE)


__all__ = ["Coming", "DynamicLab", "Ending", "Moving"]
