# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The VMs of churn.py, as an orchestrator has them: a guest is started on a host, tether-smd gives it its VF and takes it
away, then the guest ends. Its name comes back with the next."""
import os
import signal
import threading

from lab.deadline import wait_until
from simfabric import vm_sockets

SOON_S = 30


class Guests:
    """@lasting: VMs that programs run in, so that they are moved and never destroyed; @passing: the others' names."""

    def __init__(self, lab, lasting, passing):
        self.lab, self.lasting, self.passing = lab, sorted(lasting), sorted(passing)
        self.lock = threading.Lock()
        self.gone = set()      # passing ones that have been destroyed
        self.in_hands = set()  # that somebody creates or destroys
        self.lids = {}         # of those that were created, as they were told; prepopulated slots have their own

    def slots(self):
        return self.lab.fabric.slots()

    def alive(self):
        """{VM: host} of those with a VF."""
        return {row["vm"]: row["hypervisor"] for row in self.slots() if row["vm"]}

    def take(self, chance, is_gone):
        """One of the passing that nobody else has in hands; None where there is none."""
        with self.lock:
            names = [vm for vm in self.passing if (vm in self.gone) == is_gone and vm not in self.in_hands]
            taken = chance.choice(names) if names else None
            self.in_hands |= {taken} - {None}
            return taken

    def let_go(self, vm, is_gone):
        with self.lock:
            (self.gone.add if is_gone else self.gone.discard)(vm)
            self.in_hands.discard(vm)

    def end(self, vm):
        """The guest without VF ends; its host's agent looks at what there is."""
        agent_socket = vm_sockets.end(self.lab.path("vms"), vm)
        if agent_socket:
            self.lab.agents[os.path.basename(os.path.dirname(agent_socket))].signal(signal.SIGHUP)
        wait_until(f"{vm} is gone", lambda: self.is_gone(vm), SOON_S, self.lab.logs())

    def is_gone(self, vm):
        try:
            return vm not in {row["name"] for row in self.lab.ask("/v1/vms")["vms"]}
        except OSError:
            return False
