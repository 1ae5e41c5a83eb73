# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A fabric with OpenSM and libosmtether.so whose VFs are down until a VM has them; the test plays the host agents, who pull
a VF's link up and down."""
from faults import lft_blocks
from simfabric.plugin_lab import PluginLab

FIRST_GUID = 0x00d0000000000001
PACKET_LIFE_TIME = "0x1f"  # 2 hours, for which a LID rests


class DynamicLab(PluginLab):
    """@held: slots with a VM at first."""

    def __init__(self, held, settings=None, partitions=None):
        super().__init__({"packet_life_time": PACKET_LIFE_TIME, **(settings or {})}, partitions)
        self.held = set(held)
        self.guids = 0

    def make_fabric(self):
        super().make_fabric()
        for slot in self.slots():
            if slot not in self.held:
                self.fabric.link(slot, 1, "down")

    def heavy_sweep(self):
        """A link that has just gone up or down makes a sweep of its own, which comes first."""
        self.wait_quiet()
        return super().heavy_sweep()

    def new_guids(self, slot):
        """A VM of its own: (NodeGUID, port GUID)."""
        self.guids += 2
        pair = FIRST_GUID + self.guids - 1, FIRST_GUID + self.guids
        self.fabric.cli("guids", slot, *(f"0x{guid:016x}" for guid in pair))
        return pair

    def promised_lids(self):
        """{port GUID: LID}, as OpenSM has them on disk."""
        with open(self.path("guid2lid"), encoding="ascii") as rows:
            return {guid: int(low, 16) for guid, low, _ in map(str.split, filter(str.strip, rows))}

    def make_and_apply(self, moves, before=lambda: None, after=lambda: None, order="fast", sweep=False):
        """@before, @after: what the agents do under the lease. No sweep comes between, which would take away the routes of a
        VM that is not there yet."""
        sm, migration = self.leased()
        with sm:
            lfts = self.fabric.lft_dump()
            plan = sm.ask("plan", moves=moves, order=order)
            before()
            applied = sm.ask("apply", hash=plan["hash"], migration=migration)
            changed = lft_blocks.count_changed(lfts, self.fabric.lft_dump())
            after()
            if sweep:
                sm.ask("release_lease", migration=migration, sweep=True)
        assert applied["verified"] and applied["lft_sets"] == plan["lft_sets"] == changed + plan["splits"], \
            f"sent {applied['lft_sets']}, planned {plan['lft_sets']}, changed {changed}"
        return plan

    def create(self, slot, **members):
        node_guid, port_guid = (f"0x{guid:016x}" for guid in self.new_guids(slot))
        move = {"kind": "create", "vm_port_guid": port_guid, "vm_node_guid": node_guid, **self.place_of(slot), **members}
        plan = self.make_and_apply([move], after=lambda: self.fabric.link(slot, 1, "up"))
        return plan["moves"][0]["vm"]["lid"]

    def copy(self, pairs, order="fast", sweep=False):
        def agents():
            rows = {row["node"]: row for row in self.fabric.dump("places")}
            for source, destination in pairs:
                self.fabric.link(source, 1, "down")
                self.fabric.cli("guids", destination, rows[source]["node_guid"], rows[source]["port_guid"])
                self.fabric.link(destination, 1, "up")
                self.new_guids(source)
        moves = [{"kind": "copy", "vm_port_guid": self.guid_at(source), **self.place_of(destination)}
                 for source, destination in pairs]
        return self.make_and_apply(moves, before=agents, order=order, sweep=sweep)

    def destroy(self, slot):
        plan = self.make_and_apply([{"kind": "destroy", "vm_port_guid": self.guid_at(slot)}],
                                   before=lambda: self.fabric.link(slot, 1, "down"))
        self.new_guids(slot)
        return plan
