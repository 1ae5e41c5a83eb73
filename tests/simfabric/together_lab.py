# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Plans in flight at the same time: VMs of which each is moved over a connection of its own, and a way to have them come
together."""
from faults.sa_truth import sets
from lab.deadline import wait_until
from simfabric.plugin_lab import PluginLab

SOON_S = 10
LONG_MS = 10000
# A lost SMP is tried again after 300 ms, a lost Set or Get of a table 8 times in all: so long somebody can be held.
CONF = {"transaction_timeout": 300, "transaction_retries": 1, "packet_life_time": "0x8"}


class Mover:
    """One VM, from slot to slot, as tether-smd does it."""

    def __init__(self, lab, source, destination, **how):
        self.lab, self.source, self.destination = lab, source, destination
        self.vm, self.back = lab.guid_at(source), lab.place_of(source)
        self.plan = lab.ask("plan", vm_port_guid=self.vm, **lab.place_of(destination), **how)
        lab.migrations += 1
        self.migration = lab.migrations
        self.sm = lab.connect()

    def lease(self, ms=LONG_MS, **members):
        return self.sm.ask("lease", migration=self.migration, hash=self.plan["hash"], ms=ms, **members)

    def exchange(self):
        self.lab.exchange_guids(self.source, self.destination)

    def send_apply(self):
        self.sm.send("apply", hash=self.plan["hash"], migration=self.migration)

    def send_undo(self):
        self.sm.send("undo", vm_port_guid=self.vm, hash=self.plan["hash"], migration=self.migration, **self.back)

    def answer(self):
        return self.sm.receive()

    def apply(self):
        self.send_apply()
        return self.answer()

    def verify(self):
        return self.sm.ask("verify", hash=self.plan["hash"])["verified"]

    def release_lease(self):
        return self.sm.ask("release_lease", migration=self.migration)["held"]

    def release(self):
        held = self.release_lease()
        self.sm.close()
        return held


class Held:
    """While it is entered nobody's turn comes: somebody looks whether his plan stands, and is not answered. @lost: what
    else `simfabric fault drop` drops, also afterwards."""

    def __init__(self, lab, source, destination, lost=()):
        self.mover = Mover(lab, source, destination)
        self.lab, self.lost = lab, lost

    def __enter__(self):
        self.mover.lease()
        self.lab.fabric.cli("fault", "clear")
        self.lab.fabric.cli("fault", "drop", "--attribute", "LinearForwardingTable", "--method", "get")
        for rule in self.lost:
            self.lab.fabric.cli("fault", "drop", *rule)
        self.mover.sm.send("verify", hash=self.mover.plan["hash"])
        wait_until("it looks", lambda: self.lab.ask("status")["at_work"] == 1, SOON_S)
        return self

    def wait_for(self, count):
        wait_until(f"{count} wait", lambda: self.lab.ask("status")["turns_wait"] == count, SOON_S)

    def __exit__(self, kind, error, trace):
        self.lab.fabric.cli("fault", "clear", 0)
        assert self.mover.answer()["verified"] is False
        self.mover.release()


class TogetherLab(PluginLab):
    spare = ("hyp1_vf4", "hyp2_vf4")

    def __init__(self, settings=None, **how):
        super().__init__({**CONF, **(settings or {})}, **how)

    def held(self, lost=()):
        return Held(self, *self.spare, lost)

    def movers(self, pairs, **how):
        """Leased, and their GUIDs exchanged."""
        movers = [Mover(self, source, destination, **how) for source, destination in pairs]
        for mover in movers:
            assert mover.lease()["shared"]
            mover.exchange()
        return movers

    def apply_at_once(self, movers, sends=(), lost=()):
        """In this order, by @sends where one is named; what each is answered."""
        with self.held(lost) as held:
            for number, mover in enumerate(movers):
                (sends[number] if sends else Mover.send_apply)(mover)
                held.wait_for(number + 1)
        answers = [mover.answer() for mover in movers]
        self.fabric.cli("fault", "clear")
        return answers

    def lft_sets(self):
        return sets(self.fabric.counters(), "LinearForwardingTable")
