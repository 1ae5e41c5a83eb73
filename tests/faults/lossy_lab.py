# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A system in which messages are lost on each way: frames between all that speak tether.proto (lossy_wire.py), notices and their
acknowledgements, and packets of the programs. Links are unix sockets, since nobody else can see frames in what is encrypted.

Between OpenSM and tether-smd, and between tether-smd and the command line, nothing is lost: these are not the signalling, and
on one machine."""
import collections
import os

from faults.lossy_wire import LossyWires
from lab.system import DRIVER, System

SHARE = 0.1    # of the messages
PACKETS = 0.01  # of the packets
KINDS = ("request", "response", "ack", "rnr", "uc", "ud")

# It tells the VMs' programs where the wire is, not where the agent is.
SCRIPT = """#!/bin/sh
for argument; do
	shift
	case $argument in
	socket={hosts}/* | socket_dir={hosts}/*) argument=${{argument%%=*}}={wires}/${{argument#*={hosts}/}} ;;
	esac
	set -- "$@" "$argument"
done
exec {driver} "$@"
"""


class LossyLab(System):
    """@seed draws what is lost, but for packets' order, which is the programs'. Not @loses: nothing is, on the same ways."""

    def __init__(self, seed, loses=True, **named):
        super().__init__(**named)
        self.seed, self.loses = seed, loses
        self.wires = LossyWires(seed, SHARE if loses else 0)
        self.driver = self.path("driver")
        with open(self.driver, "w") as script:
            script.write(SCRIPT.format(hosts=self.path("hosts"), wires=self.path("wires"), driver=DRIVER))
        os.chmod(self.driver, 0o700)
        os.mkdir(self.path("wires"))

    def take_down(self):
        super().take_down()
        self.wires.close()

    def wire(self, *names):
        return self.path("wires", *names)

    def start_fabric(self):
        super().start_fabric()
        for name in self.between:
            self.wires.lay("tether-smd, agent between", self.wire(f"{name}.sock"), self.place(self.tree.get(name, "root")))
        for host in self.hosts:
            parent = self.tree.get(host)
            self.wires.lay("agent between, host" if parent else "tether-smd, host", self.wire(f"{host}.sock"),
                           self.place(parent or "root"))
            os.mkdir(self.wire(host))
            for vm in self.vms:
                self.wires.lay("host, guest" if self.has_guests else "host, process", *(
                    os.path.join(place, host, f"{vm}.{'guest' if self.has_guests else 'sock'}")
                    for place in (self.wire(), self.path("hosts"))))
        for vm in self.vms if self.has_guests else ():
            self.wires.lay("guest, process", self.wire(f"{vm}.sock"), self.guest_socket(vm))

    def place(self, name):
        return self.path(f"{name}.sock")

    def home_of_sockets(self, host):
        return self.wire(host)

    def parent_of(self, name):
        return f"unix:{self.wire(name + '.sock')}"

    def socket_for_programs(self, vm):
        return self.wire(f"{vm}.sock") if self.has_guests else super().socket_for_programs(vm)

    def start(self, report=lambda what: None):
        """Much is lost from the first word on."""
        self.start_fabric()
        if self.loses and self.signal == "mad":
            self.lose_notices()
        self.start_services(report)
        if self.loses:
            self.lose_packets()

    def packets(self):
        """What the fabric is told of them."""
        return {"seed": self.seed, **{f"drop.{kind}": PACKETS for kind in KINDS}}

    def lose_packets(self):
        self.fabric.data_faults(self.packets())

    def lose_notices(self):
        """For good: the SM's repetitions of one that is lost are lost as well. Besides the first of each kind, once: a short run has few."""
        for number, options in enumerate((["--kind", "Report", "--per-message"], ["--kind", "ReportResp"])):
            self.fabric.cli("fault", "drop", *options[:2], "--count", "1")
            self.fabric.cli("fault", "drop", *options, "--chance", SHARE, "--seed", self.seed + number + 1)

    def notices(self):
        """{"Report", "ReportResp": how many were lost}"""
        lost = collections.Counter()
        for row in self.fabric.json("fault", "list"):
            lost[{6: "Report", 0x86: "ReportResp"}[row["method"]]] += row["hits"]
        return dict(lost)
