# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Servers whose VFs are Ethernet ports, and no SM: no LIDs, and nothing of its port goes with a VM. What its processes show is the GID
that they had first; where they are is the GID of the slot that the VM has now."""
import ipaddress

import fakes
import wire
from fake_host import Host
from fake_shim import Shim

MASK = (1 << 64) - 1


def mixed(bits):
    bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccd & MASK
    bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53 & MASK
    return bits ^ bits >> 33


def name_of(gid):
    """What stands for it where a LID would (gid_name.h)."""
    number = int.from_bytes(gid, "big")
    return 1 << 31 | mixed(mixed(number >> 64) ^ number & MASK) & (1 << 31) - 1


def gid_row(gid):
    words = {f"gid_{i}": int.from_bytes(gid[4 * i:4 * i + 4], "big") for i in range(4)}
    return {"name": name_of(gid), **words}


def gids_in(table):
    """{name: GID} of a table."""
    return {row["name"]: b"".join(row[f"gid_{i}"].to_bytes(4, "big") for i in range(4)) for row in wire.rows_of(table)}


class EthernetShim(Shim):
    def __init__(self, world, vm, pid):
        super().__init__(world, vm, pid)
        self.shown = [world.vms[vm]["gid"]]  # GIDs that its ports show, and it announces
        self.events = []

    def rows(self, event):
        # Where the VM has no device it is where it last was.
        return [{**row, "real_lid": name_of(self.world.gid_now(self.vm))} for row in super().rows(event)]

    def ask(self, event):
        self.events.append(event)
        said = super().ask(event)
        if said and said.get("qps"):
            said["gids"] = [gid_row(self.world.gid_now(self.vm))]
        return said

    def step_reconnect(self, event):
        answer = super().step_reconnect(event)
        rows = {(row["local_lid"], row["local_qpn"]): row["real_lid"] for row in wire.rows_of(event["qps"])}
        gids = gids_in(event["gids"])
        for row in self.rows(event):
            self.qps[row["local_qpn"]]["at"] = gids.get(rows.get((row["remote_lid"], row["remote_qpn"])))
        return answer


class EthernetHost(Host):
    def announcements(self, vm=None):
        return [(shim, {**self.world.address_of(name_of(gid)), "context": shim.pid})
                for shim in self.shims() if shim.vm == (vm or shim.vm) for gid in shim.shown]

    def announced(self):
        return [{**address, "vm": shim.vm} for shim, address in self.announcements()]

    def announce(self, vm, address, request):
        with self.sending:
            wire.send(self.sock, "interest", {"request": request, "address": address, "vm": vm})

    def register(self, vm):
        super().register(vm)
        for shim, address in self.announcements(vm):
            self.registrations += 1
            self.announce(vm, address, 1000 + self.registrations)


class EthernetWorld(fakes.World):
    host_kind, shim_kind = EthernetHost, EthernetShim

    def __init__(self, directory, **named):
        self.gids, self.last = {}, {}
        super().__init__(directory, **named)
        for name, slot in self.slots.items():
            self.gid_of_slot(name, slot)

    def gid_of_slot(self, name, slot):
        gid = ipaddress.IPv6Address(f"fe80::{slot['port_guid']:x}").packed
        self.gids[name_of(gid)] = gid
        return gid

    def vm(self, name, host):
        super().vm(name, host)
        gid = self.gid_now(name)
        self.vms[name].update(gid=gid, lid=name_of(gid))

    def gid_now(self, vm):
        """Where its port is now, or was when it last had one."""
        for slot in self.slot_of(vm):
            self.last[vm] = self.gid_of_slot(slot, self.slots[slot])
        return self.last[vm]

    def address_of(self, lid):
        return {"lid": lid, "gid": self.gids[lid]}

    def guids_of(self, name):
        """Those of the slot that it has."""
        return {self.slots[slot]["port_guid"] for slot in self.slot_of(name)} or {0}

    def complaints(self):
        bad = super().complaints()
        owners = {vm["lid"]: name for name, vm in self.vms.items()}
        for shim in self.shims.values():
            for qpn, qp in shim.qps.items():
                other = owners[qp["remote_lid"]]
                expected = self.gid_now(other)
                if shim.state == "running" and qp.get("at", self.vms[other]["gid"]) != expected:
                    bad.append(f"{shim.name} qp {qpn:#x} leads to {qp.get('at')} and not to {other} at {expected}")
        return bad
