#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Strangers at the port for TLS, of each kind that is refused, one after another and many: each is counted as what it is, the
agent that is here stays and answers, and what one costs tether-smd is printed."""
import os
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import PATIENCE_S  # noqa: E402
from tls_harness import Site, read_to_the_end  # noqa: E402

from lab.tap import FULL, Tap, print_rows  # noqa: E402

STRANGERS = 2500 if FULL else 400  # of each kind
LINES_AT_ONCE = 2 * 20  # about those of an address by who accepts and by who shakes hands, and then one a second each
TICKS_US = 1000000 // os.sysconf("SC_CLK_TCK")
HELLO = b"\0\0\0\10\12\6\10\1\22\2hi"


def garbage(site, link):
    link.sendall(HELLO)


def hung_up(site, link):
    """Begins a record and goes."""
    link.sendall(b"\26\3\1\2\0")
    link.shutdown(socket.SHUT_WR)


def old_version(site, link):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    link.sendall(outgoing.read())


def no_certificate(site, link):
    with site.nobody.wrap_socket(link) as sealed:
        read_to_the_end(sealed)


# Who comes, what the log says of some of them, and as what all are counted.
KINDS = ((garbage, "plain text, not TLS", "plain-text"),
         (hung_up, "the other end has gone away within the handshake", "broken-off"),
         (old_version, "speaks an older TLS than 1.3", "old-version"),
         (no_certificate, "shows no certificate", "no-certificate"))


class Cost:
    """What tether-smd has spent: processor time, calls of read(2) and write(2) and their bytes."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        self.cpu_us = (int(fields[11]) + int(fields[12])) * TICKS_US
        with open(f"/proc/{pid}/io") as io:
            self.io = {name: int(value) for name, value in (line.split(": ") for line in io)}

    def row(self, what, before, count):
        spent = {name: (value - before.io[name]) / count for name, value in self.io.items()}
        return (what, f"{(self.cpu_us - before.cpu_us) / count:.0f}", f"{spent['syscr'] + spent['syscw']:.1f}",
                f"{spent['rchar']:.0f}", f"{spent['wchar']:.0f}")


class Questions:
    """Someone who asks the agent all the while, and how long each of its answers took."""

    def __init__(self, site):
        self.site, self.lags, self.missing, self.ended = site, [], 0, False
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.ended:
            agents = self.site.smd.get("/v1/agents")[1]["agents"]
            answered = [agent["lag_us"] for agent in agents if agent["name"] == "hyp1" and agent.get("lag_us")]
            self.lags += answered
            self.missing += not answered

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended = True
        self.thread.join()

    def row(self, when):
        lags = sorted(self.lags)
        return (when, str(len(lags)), *(f"{lags[int(len(lags) * part)] / 1000:.2f}" for part in (0.5, 0.99)))


def come(site, kind, count):
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", site.port), PATIENCE_S) as link:
            kind(site, link)
            read_to_the_end(link)


def refused_and_counted(site, rows):
    for kind, text, counted in KINDS:
        before, were, began = Cost(site.smd.child.pid), site.refused(counted), time.monotonic()
        come(site, kind, STRANGERS)
        site.refuses(counted, were + STRANGERS)
        site.says(f"is refused: {text}")
        lines = site.smd.log().count(f"is refused: {text}")
        assert lines <= LINES_AT_ONCE + 2 * (time.monotonic() - began + 1), lines
        rows.append(Cost(site.smd.child.pid).row(text, before, STRANGERS))


def nobody_else_pays(site, costs, waits):
    site.smd.hosts_here(1)
    with Questions(site) as quiet:
        while len(quiet.lags) + quiet.missing < 200:
            quiet.thread.join(0.01)
    with Questions(site) as busy:
        refused_and_counted(site, costs)
    waits += [quiet.row("quiet"), busy.row("strangers come")]
    assert not quiet.missing and not busy.missing, (quiet.missing, busy.missing)
    assert "host hyp1 is away" not in site.smd.log()


def main():
    tap = Tap()
    costs = [("refused (the agent is asked meanwhile)", "CPU us", "reads, writes", "bytes read", "bytes written")]
    waits = [("the agent's answers", "count", "p50 ms", "p99 ms")]
    with Site("host/hyp1", metrics="unix:metrics.sock") as site:
        site.nobody = site.context()
        site.host("hyp1")
        tap.run(f"{STRANGERS}_strangers_of_each_kind_are_refused_and_nobody_else_pays", nobody_else_pays, site, costs, waits)
    print_rows(costs)
    print_rows(waits)
    tap.exit()


main()
