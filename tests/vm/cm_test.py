#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rdma_cm on a real kernel, through real live migrations: connections live, nobody hears that the device went, a later disconnect
arrives at the other end whichever end it is of, and a listener that was bound to an address takes connections where its VM is now."""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.tap import Tap  # noqa: E402
from vm.system import VmSystem  # noqa: E402

PORT = 7174
# The VM's addresses go with it, as a VM's do: its GIDs of them are the same everywhere.
ADDRESSES = {"vm1": "10.77.200.1", "vm2": "10.77.200.2"}
HEAR_S = 60


class Program:
    """cm-verify in a guest, under `tether run`."""

    def __init__(self, lab, vm, *arguments):
        self.guest = lab.guests[vm]
        self.lab = lab
        self.command = self.guest.start(" ".join(["exec tether run -- cm-verify", *arguments, ADDRESSES["vm1"], str(PORT)]))
        self.guest.wait_said(self.command, "begun")

    def said(self, text):
        return self.command.output().count(text)

    def exchanged(self):
        counts = re.findall(r"exchanged (\d+)", self.command.output())
        return int(counts[-1]) if counts else 0

    def hears(self, text, times=1):
        wait_until(f"{text!r} is said {times} times", lambda: self.said(text) >= times or self.command.status is not None, HEAR_S,
                   self.lab.logs())
        assert self.said(text) == times, self.words()

    def goes_on(self):
        """More messages come and go."""
        before = self.exchanged()
        wait_until("messages are exchanged", lambda: self.exchanged() > before or self.command.status is not None, HEAR_S,
                   self.lab.logs())
        self.has_heard_nothing()

    def has_heard_nothing(self):
        assert self.command.status is None and not re.search("disconnected|heard|status|failed", self.command.output()), self.words()

    def disconnects(self):
        self.command.signal(signal.SIGUSR1)

    def ends(self):
        self.command.signal(signal.SIGTERM)
        assert self.guest.wait(self.command) == 0, self.words()
        assert "ok, exchanged" in self.command.output(), self.words()

    def words(self):
        return f"{self.command.output()[-3000:]}{self.lab.words()}"


class Lab(VmSystem):
    def start_all(self):
        # A destination is asked for its addresses by the guest that comes, which has them written down.
        vm, peer = self.start(("vm1", "h1"), ("vm2", "h3"))
        for guest, name, macs in ((vm, "vm1", [self.mac(host, "vf0") for host in ("h1", "h2")]), (peer, "vm2", [self.mac("h3", "vf0")])):
            for mac in macs:
                guest.use_address(mac, ADDRESSES[name])
            interface = guest.rdma_device(macs[0])[0]
            # As whoever configures a network does: others have the MAC that was there before.
            guest.run("sysctl -w net.ipv4.conf.all.arp_notify=1")
            guest.run(f"ip address replace {ADDRESSES[name]}/16 dev {interface}")


def connections_live(lab):
    server, client = Program(lab, "vm1"), Program(lab, "vm2", "-c")
    lab.server, lab.client = server, client
    for host in ("h2", "h1"):
        client.goes_on()
        lab.migrate("vm1", host)
        client.goes_on()
        server.has_heard_nothing()


def a_disconnect_of_the_peer_arrives(lab):
    lab.client.ends()
    lab.server.hears("disconnected")


def a_listener_takes_connections_where_it_is(lab):
    lab.client = Program(lab, "vm2", "-c")
    lab.client.goes_on()
    lab.server.hears("established", 2)
    lab.migrate("vm1", "h2")
    lab.client.goes_on()


def a_disconnect_of_the_vm_arrives(lab):
    lab.server.disconnects()
    lab.client.hears("disconnected")
    lab.server.hears("disconnected", 2)
    lab.client.ends()
    lab.server.ends()


def main():
    tap = Tap()
    with Lab() as lab:
        lab.start_all()
        for test in (connections_live, a_disconnect_of_the_peer_arrives, a_listener_takes_connections_where_it_is,
                     a_disconnect_of_the_vm_arrives):
            tap.run(test.__name__.replace("_", " "), test, lab)
    tap.exit()


main()
