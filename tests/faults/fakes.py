# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Physical servers, shims and an SM for tether-smd to drive, in threads of the test, over the real sockets.

A World holds what is true: which slot shows which GUIDs, which VM holds which slot, where the fabric carries a GUID, and
what each process with libtether has been through. Fakes break the rules of the contract as little as they can: a shim
that is asked for a step out of order refuses it, a host attaches only a free slot (fake_shim, fake_host, fake_sm). After
each migration `World.complaints` lists what must not be so.
"""
import threading

from fake_host import Host
from fake_shim import Shim
from fake_sm import Sm


class World:
    sm_kind, host_kind, shim_kind = Sm, Host, Shim

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
        self.hosts = {host: self.host_kind(self, host) for host in hosts}
        self.sm = self.sm_kind(self)

    def vm(self, name, host):
        slot = next(s for s in self.slots if self.slots[s]["host"] == host and not self.slots[s]["vm"])
        self.slots[slot]["vm"] = name
        guid = self.slots[slot]["port_guid"]
        self.vms[name] = {"host": host, "lid": self.fabric[guid]["lid"], "guid": guid}

    def address_of(self, lid):
        """As it is said."""
        return {"lid": lid}

    def second_vf(self, name, slot):
        """The free @slot of its host is the VM's, too; its LID."""
        self.slots[slot]["vm"] = name
        self.vms[name]["guids"] = {*self.guids_of(name), self.slots[slot]["port_guid"]}
        return self.fabric[self.slots[slot]["port_guid"]]["lid"]

    def guids_of(self, name):
        """Of all its VFs."""
        return self.vms[name].get("guids") or {self.vms[name]["guid"]} - {None}

    def guest(self, name, host):
        """A VM on @host without a VF."""
        self.vms[name] = {"host": host, "lid": None, "guid": None}

    def left(self, name):
        """It has given up its VF."""
        self.guest(name, self.vms[name]["host"])

    def process(self, vm, pid):
        shim = self.shim_kind(self, vm, pid)
        self.shims[shim.name] = shim
        return shim

    def connect(self, a, b, lid=None):
        """A QP of each, connected to the other's; @lid: of the VF of @a, if that is not its VM's first."""
        qpn = 0x100 + 2 * sum(len(s.qps) for s in self.shims.values())
        a.qps[qpn] = {"remote_lid": self.vms[b.vm]["lid"], "remote_qpn": qpn + 1, "real": qpn, **({"lid": lid} if lid else {})}
        b.qps[qpn + 1] = {"remote_lid": lid or self.vms[a.vm]["lid"], "remote_qpn": qpn, "real": qpn + 1}

    def fault(self, who, what, kind, times=1):
        """When @who (a host, a shim's name, or "sm") is asked @what (an order, a step, an op): do @kind instead:
        refuse, fail, silent, or a function."""
        with self.lock:
            self.faults.append([who, what, kind, times])

    def sm_told_to_end(self, op):
        """The SM says so to whoever asks for @op, until it is another one. The event is set at the first."""
        heard = threading.Event()

        def says():
            heard.set()
            return "shutting-down"

        self.fault("sm", op, says, times=1000)
        return heard

    def sm_another(self):
        with self.lock:
            self.faults = [fault for fault in self.faults if fault[0] != "sm"]
        self.sm.stop()
        self.sm.start()

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

    def link(self, name, is_up):
        """Prepopulated LIDs: it is up whoever has the slot."""
        self.log.append(f"the link of {name} is ordered")

    def guids_to_be_seen(self):
        """By an SM that discovers the fabric."""
        return [slot["port_guid"] for slot in self.slots.values()]

    def complaints_of_slots(self):
        return [f"the fabric carries the GUID of {name} elsewhere" for name, slot in self.slots.items()
                if self.fabric[slot["port_guid"]]["place"] != (slot["switch_guid"], slot["switch_port"])]

    def complaints(self):
        with self.lock:
            bad = []
            guids = World.guids_to_be_seen(self)
            if len(set(guids)) != len(guids):
                bad.append("a GUID is shown by two slots")
            for name, vm in self.vms.items():
                held = self.slot_of(name)
                if vm["guid"] is None and not held:
                    continue
                if len(held) != len(self.guids_of(name)) or {self.slots[s]["host"] for s in held} != {vm["host"]}:
                    bad.append(f"{name} on {vm['host']} holds {held}")
                elif {self.slots[s]["port_guid"] for s in held} != self.guids_of(name):
                    bad.append(f"{name}'s slots {held} show other GUIDs")
            bad += self.complaints_of_slots()
            for shim in self.shims.values():
                if shim.state not in ("running", "errored"):
                    bad.append(f"{shim.name} is left {shim.state}")
            return bad + self.log
