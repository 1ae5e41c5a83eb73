# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A world where tether-smd tells hosts of events by notices (signal = mad): what the SM is asked to report, and hosts that ask for
what they are told of."""
import collections

import wire
from fake_host import Host
from fake_sm import Sm
from fakes import World

FIRST_LID = 500


class HearingHost(Host):
    """@lid: where it hears, 0: nowhere."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.lid = FIRST_LID + int(name[3:])
        self.asks = True
        self.signal, self.asked = 0, 0
        self.hints, self.told = [], []  # what came in a Pull without a request, and with one

    def hello(self):
        return {**super().hello(), "signal_lid": self.lid}

    def ask(self, sock=None, sequence=0):
        with self.sending:
            self.asked += 1
            wire.send(sock or self.sock, "pull", {"request": self.asked, "signal": self.signal, "sequence": sequence})

    def pulled(self, sock, message):
        self.signal = message["signal"]
        if message["request"]:
            self.told.append(message)
            return
        self.hints.append(message)
        if self.asks:
            self.ask(sock)

    def hear(self, sequence):
        """A notice."""
        if self.asks and self.sock:
            self.ask(sequence=sequence)


class ReportingSm(Sm):
    def __init__(self, world):
        super().__init__(world)
        self.reported = collections.Counter()  # (host, number)
        self.deaf = set()  # hosts that are not subscribed

    def report(self, sock, request):
        by_lid = {host.lid: host for host in self.world.hosts.values()}
        unheard = []
        for row in request["to"]:
            host = by_lid[row["lid"]]
            self.reported[host.name, row["sequence"]] += 1
            if host.name in self.deaf:
                unheard.append(row["lid"])
            else:
                host.hear(row["sequence"])
        return {"unheard": unheard}


class HearingWorld(World):
    sm_kind, host_kind = ReportingSm, HearingHost
