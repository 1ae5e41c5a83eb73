# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Several VMs that move at the same time, in a world of fakes."""
import tempfile
import threading

import fakes
from fake_peer import Peer
from smd import Smd, Stage, equal


class Crowd(Stage):
    """vm1 to vm4 on hyp1, without a word for each other; all talk to the server vm9 on hyp4, vm5 on hyp2 to vm1."""

    def __init__(self, fabric="opensm", env=None, slots=6, world=fakes.World, **settings):
        self.temporary = tempfile.TemporaryDirectory(prefix="smd.")
        self.world = world(self.temporary.name, ("hyp1", "hyp2", "hyp3", "hyp4"), slots)
        for vm, host in (("vm1", "hyp1"), ("vm2", "hyp1"), ("vm3", "hyp1"), ("vm4", "hyp1"), ("vm5", "hyp2"), ("vm9", "hyp4")):
            self.world.vm(vm, host)
        self.processes = {vm: self.world.process(vm, 10 + i) for i, vm in enumerate(self.world.vms)}
        for vm in ("vm1", "vm2", "vm3", "vm4"):
            self.world.connect(self.processes[vm], self.processes["vm9"])
        self.world.connect(self.processes["vm5"], self.processes["vm1"])
        self.smd = Smd(self.temporary.name, fabric, **settings)
        self.env, self.host_count = env or {}, 4

    def begin(self, vm, to, **more):
        status, answer = self.smd.migrate(vm, to, **more)
        equal(status, 202, answer)
        return answer["id"]

    def ends(self, *numbers):
        return [self.smd.wait_for(number)["outcome"] for number in numbers]

    def all_well(self):
        equal(self.world.complaints(), [], "afterwards")
        equal({s.state for s in self.world.shims.values()}, {"running"}, "processes")


class Rendezvous:
    """A fault that goes on, and does @then, when @count have come to it: so many are there at the same time."""

    def __init__(self, world, count, then=None):
        self.world, self.barrier, self.then = world, threading.Barrier(count), then

    def __call__(self):
        """Fakes answer with the world locked; others may have to come in."""
        self.world.lock.release()
        try:
            self.barrier.wait(20)
        finally:
            self.world.lock.acquire()
        return self.then


class Held:
    """A fault that holds its order until it is let go, and does @then."""

    def __init__(self, world, then=None):
        self.world, self.then, self.there, self.go = world, then, threading.Event(), threading.Event()

    def __call__(self):
        self.there.set()
        self.world.lock.release()
        try:
            self.go.wait(60)
        finally:
            self.world.lock.acquire()
        return self.then


def together(host):
    """@host carries out orders side by side, as an agent with a driver does."""
    plain = host.event

    def aside(sock, event):
        try:
            plain(sock, event)
        except OSError:
            pass  # who asked has gone

    host.event = lambda sock, event: Peer(aside, sock, event) if event["order"] else plain(sock, event)


def held_in(stage, order="HOST_DETACH", host="hyp1", vm="vm1", to="hyp2", then=None):
    """A migration of @vm that stands in the middle of @order, and what lets it go."""
    for each in stage.world.hosts.values():
        together(each)
    held = Held(stage.world, then)
    stage.world.fault(host, order, held)
    number = stage.smd.migrate(vm, to)[1]["id"]
    equal(held.there.wait(20), True)
    return number, held
