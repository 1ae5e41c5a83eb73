#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Servers told by notices through a stock OpenSM: one Report for each that subscribes for its own LID, and the plugin says who
cannot hear."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.plugin_client import Refused  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.lab import wait_until  # noqa: E402
from simfabric.notice_client import DEVICE, VENDOR, NoticeWorker  # noqa: E402
from simfabric.plugin_lab import PluginLab  # noqa: E402

HOSTS = ["hyp1", "hyp2", "hyp3", "hyp4"]
SIGNAL, MIGRATION, EPOCH = 1700000000000000, 7, 1700000000000042
NOBODYS_LID = 4711
PATIENCE_S = 10


class Hosts:
    """A subscriber at the PF of each hypervisor."""

    def __init__(self, lab, stack):
        self.lab = lab
        self.clients = {host: stack.enter_context(NoticeWorker(lab.fabric.place(host))) for host in HOSTS}
        self.lids = {host: client.lid() for host, client in self.clients.items()}
        self.sequence = 0

    def report(self, *hosts):
        """The number that each was told, and who is said not to have heard."""
        self.sequence += 1
        to = [{"lid": self.lids[host], "sequence": self.sequence} for host in hosts]
        said = self.lab.ask("report", signal=SIGNAL, migration=MIGRATION, epoch=EPOCH, to=to)
        return self.sequence, {host for host, lid in self.lids.items() if lid in said["unheard"]}

    def numbers(self, host, count):
        return [report["sequence"] for report in self.clients[host].reports(count)]


def nobody_hears_without_subscription(hosts):
    _, unheard = hosts.report(*HOSTS)
    assert unheard == set(HOSTS), unheard
    assert not hosts.lab.fabric.gmps_delivered("Report")


def one_report_goes_to_each_server_that_is_named(hosts):
    for client in hosts.clients.values():
        client.subscribe()
        client.subscribe()  # again does no harm
    number, unheard = hosts.report("hyp1", "hyp3")
    assert not unheard, unheard
    for host in ("hyp1", "hyp3"):
        report, = hosts.clients[host].reports(1)
        expected = {"type": 4, "vendor": VENDOR, "device": DEVICE, "lid": hosts.lids[host], "version": 1, "signal": SIGNAL,
                    "sequence": number, "migration": MIGRATION, "epoch": EPOCH}
        assert {key: report[key] for key in expected} == expected, report
    wait_until("two Reports", lambda: hosts.lab.fabric.gmps_delivered("Report") == 2, PATIENCE_S)
    number, unheard = hosts.report(*HOSTS)
    assert not unheard, unheard
    told = {host: hosts.numbers(host, 2 if host in ("hyp1", "hyp3") else 1) for host in HOSTS}
    assert told == {host: [2, 3] if host in ("hyp1", "hyp3") else [3] for host in HOSTS}, told
    assert hosts.lab.fabric.gmps_delivered("Report") == 6


def who_is_not_subscribed_is_named(hosts):
    hosts.clients["hyp2"].unsubscribe()
    _, unheard = hosts.report("hyp1", "hyp2")
    assert unheard == {"hyp2"}, unheard
    assert hosts.lab.ask("report", signal=1, migration=1, epoch=1, to=[{"lid": NOBODYS_LID, "sequence": 1}])["unheard"] == [NOBODYS_LID]
    hosts.clients["hyp2"].subscribe()
    _, unheard = hosts.report("hyp2")
    assert not unheard, unheard


def a_restarted_opensm_knows_no_subscriptions(hosts):
    lab = hosts.lab
    lab.fabric.opensm_stop()
    lab.start_opensm()
    assert hosts.report(*HOSTS)[1] == set(HOSTS)
    hosts.clients["hyp4"].subscribe()
    number, unheard = hosts.report(*HOSTS)
    assert unheard == set(HOSTS) - {"hyp4"}, unheard
    assert hosts.numbers("hyp4", 2)[-1] == number


def a_report_of_nothing_is_no_report(hosts):
    assert hosts.lab.ask("report", signal=1, migration=1, epoch=1, to=[])["unheard"] == []
    try:
        hosts.lab.ask("report", signal=1, migration=1, to=[])
    except Refused as refused:
        assert refused.reason == "bad-request", refused.reason
    else:
        raise AssertionError("taken")


def limited_members_of_partitions_hear_as_well():
    """Who asks for a LID's notices has to share a P_Key with that port, and so has who is told: a port does with itself."""
    with PluginLab(partitions=lambda truth: "Default=0x7fff, ipoib: ALL=limited, SELF=full;\n") as lab, \
            NoticeWorker(lab.fabric.place("hyp1")) as client:
        client.subscribe()
        said = lab.ask("report", signal=1, migration=1, epoch=1, to=[{"lid": client.lid(), "sequence": 5}])
        assert said["unheard"] == [], said
        assert [report["sequence"] for report in client.reports(1)] == [5]


def main():
    tap = Tap()
    with PluginLab() as lab, contextlib.ExitStack() as stack:
        hosts = Hosts(lab, stack)
        for test in (nobody_hears_without_subscription, one_report_goes_to_each_server_that_is_named, who_is_not_subscribed_is_named,
                     a_report_of_nothing_is_no_report, a_restarted_opensm_knows_no_subscriptions):
            tap.run(test.__name__, test, hosts)
    tap.run(limited_members_of_partitions_hear_as_well.__name__, limited_members_of_partitions_hear_as_well)
    tap.exit()


main()
