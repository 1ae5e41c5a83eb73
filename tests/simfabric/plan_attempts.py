# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What plan_churn.py has the plugin do: VMs that come, move to empty slots, end or change places, some of them several in
one plan. Each knows the hosts' part, which may be done again, the way back, and as what a plan is refused where a bring-up
or a sweep has done all of it."""


class Guest:
    """A VM. @lid: once a plan has given it one."""

    def __init__(self, node_guid, port_guid, slot, lid=None):
        self.node_guid, self.port_guid, self.slot, self.lid = node_guid, port_guid, slot, lid

    def __str__(self):
        return f"{self.port_guid} (LID {self.lid})"


class Attempt:
    """@guests are in it, each bound for the slot of @targets beside it; None: for none."""
    done_by_others = ()

    def __init__(self, lab, guests, targets):
        self.lab, self.guests, self.targets = lab, guests, targets
        self.sources = [guest.slot for guest in guests]
        self.has_begun = False  # a host has been told, or an apply has been asked for

    def __str__(self):
        return f"{self.kind} of {', '.join(map(str, self.guests))} from {self.sources} to {self.targets}"

    def slots(self):
        return [slot for slot in [*self.sources, *self.targets] if slot]

    def moves(self):
        return [self.move(guest, slot) for guest, slot in zip(self.guests, self.targets)]

    def moves_back(self):
        return [self.move(guest, slot) for guest, slot in zip(self.guests, self.sources)]

    def move(self, guest, slot):
        return {"kind": self.kind, "vm_port_guid": guest.port_guid, **self.lab.place_at(slot)}

    def before(self):
        """The hosts' part before apply, under the lease."""

    def after(self):
        """And after it."""

    def before_back(self):
        """Before undo."""

    def arrive(self, plan):
        """It has been done; @plan is None where it was found done."""
        for guest, slot in zip(self.guests, self.targets):
            guest.slot = slot

    def show(self, slot, guest):
        self.lab.fabric.cli("guids", slot, guest.node_guid, guest.port_guid)


class Coming(Attempt):
    kind = "create"
    done_by_others = ("same-place",)

    def __init__(self, lab, guests, targets):
        super().__init__(lab, guests, targets)
        for guest, slot in zip(guests, targets):
            self.show(slot, guest)

    def move(self, guest, slot):
        return {**super().move(guest, slot), "vm_node_guid": guest.node_guid}

    def moves_back(self):
        return [{"kind": "destroy", "vm_port_guid": guest.port_guid} for guest in self.guests]

    def after(self):
        for slot in self.targets:
            self.lab.fabric.link(slot, 1, "up")

    def arrive(self, plan):
        super().arrive(plan)
        for guest, move in zip(self.guests, plan["moves"]):
            guest.lid = move["vm"]["lid"]


class Ending(Attempt):
    """It is not undone: whoever ends has ended."""
    kind = "destroy"
    done_by_others = ("unknown-port",)

    def move(self, guest, slot):
        return {"kind": self.kind, "vm_port_guid": guest.port_guid}

    def before(self):
        for slot in self.sources:
            self.lab.fabric.link(slot, 1, "down")


class Moving(Attempt):
    kind = "copy"
    done_by_others = ("same-place",)

    def carry(self, here, there):
        for guest, source, target in zip(self.guests, here, there):
            if self.lab.guid_at(target) != guest.port_guid:
                self.lab.fabric.link(source, 1, "down")
                self.show(target, guest)
                self.lab.new_guids(source)
            self.lab.fabric.link(target, 1, "up")

    def before(self):
        self.carry(self.sources, self.targets)

    def before_back(self):
        self.carry(self.targets, self.sources)


class Swapping(Attempt):
    """Of two VMs in slots that always have one."""
    kind = "swap"
    done_by_others = ("same-place",)

    def moves(self):
        return [{**self.move(self.guests[0], self.targets[0]), "other_in_use": True}]

    def moves_back(self):
        return [{**self.move(self.guests[0], self.sources[0]), "other_in_use": True}]

    def seat(self, slots):
        for guest, slot in zip(self.guests, slots):
            if self.lab.guid_at(slot) != guest.port_guid:
                self.show(slot, guest)

    def before(self):
        self.seat(self.targets)

    def before_back(self):
        self.seat(self.sources)
