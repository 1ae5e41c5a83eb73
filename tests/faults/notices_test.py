#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""signal = mad: servers hear through OpenSM that there is something for them, and whatever becomes of a notice, migrations go on.
Subscriptions that are gone, an SM and a tether-smd that are started anew, notices that somebody forges."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.system import PATIENT, START_S, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.notice_client import NoticeWorker  # noqa: E402

HOSTS = ["hyp1", "hyp2", "hyp3", "hyp4"]
FORGER, DECEIVED = "hyp4_vf4", "hyp2"
FORGED = 40
PAUSE_S = 0.1  # NOTICE_PAUSE_MS
TOLD = re.compile(r"host (\S+) is told of it by notice (\d+)")
HEARD = re.compile(r"debug mad: .* notice (\d+) of (\d+)")
SUBSCRIBED = re.compile(r"info mad: subscribed to the notices")


class Lab:
    """VM 1 goes to and fro between hyp1 and hyp3; logs are read from where the test that asks began."""

    def __init__(self, system):
        self.system = system
        self.at, self.other = "hyp1", "hyp3"
        self.begun = {}

    def log(self, name):
        with open(self.system.path(f"{name}.log")) as log:
            return log.read()

    def client(self, node):
        return NoticeWorker(self.system.fabric.place(node), self.system.checker.environment_of_stock_program())

    def begin(self):
        self.begun = {name: len(self.log(name)) for name in ["smd", *(f"agent-{host}" for host in HOSTS)]}

    def found(self, name, pattern):
        return re.findall(pattern, self.log(name)[self.begun[name]:])

    def move(self):
        self.system.migrate("vm1", self.other)
        self.at, self.other = self.other, self.at

    def told(self):
        """{(server, number)} that tether-smd has given."""
        return {(host, int(number)) for host, number in self.found("smd", TOLD)}

    def heard(self):
        return {(host, int(number)) for host in HOSTS for number, _ in self.found(f"agent-{host}", HEARD)}

    def wait_subscribed(self, hosts):
        wait_until(f"{hosts} are subscribed", lambda: all(self.found(f"agent-{host}", SUBSCRIBED) for host in hosts), START_S,
                   self.system.logs())


def each_server_subscribes_once(lab):
    lab.begun = {f"agent-{host}": 0 for host in HOSTS}
    lab.wait_subscribed(HOSTS)
    fabric = lab.system.fabric
    assert fabric.gmps_delivered("InformInfo") == fabric.gmps_delivered("InformInfoResp") == len(HOSTS), fabric.counters()["gmps"]


def what_a_server_is_told_it_hears_and_fetches(lab):
    lab.begin()
    before = lab.system.fabric.gmps_delivered("Report")
    lab.move()
    told = lab.told()
    assert {host for host, _ in told} == {"hyp1", "hyp3"}, told
    wait_until("every Report", lambda: lab.system.fabric.gmps_delivered("Report") - before == len(told), START_S)
    wait_until("every notice heard", lambda: lab.heard() == told, START_S, lab.system.logs())


def a_deleted_subscription_is_missed_and_made_again(lab):
    lab.begin()
    with lab.client(lab.at) as client:
        client.unsubscribe()
    deaf = lab.at
    lab.move()
    lab.wait_subscribed([deaf])
    lab.move()
    assert lab.found(f"agent-{deaf}", HEARD), "it hears again"


def a_restarted_opensm_is_subscribed_to_again(lab):
    lab.begin()
    lab.system.fabric.opensm_stop()
    lab.system.start_opensm()
    lab.wait_subscribed(HOSTS)
    lab.move()
    wait_until("every notice heard", lambda: lab.heard() == lab.told(), START_S, lab.system.logs())


def without_opensm_servers_are_told_over_their_links(lab):
    """A move needs the SM; that it cannot be made the servers hear all the same."""
    lab.begin()
    lab.system.fabric.opensms[-1].kill()
    before = lab.system.ask("/v1/migrations")["migrations"]
    try:
        lab.move()
    except Exception:  # refused: the SM is away
        pass
    else:
        raise AssertionError("moved without an SM")
    assert len(lab.system.ask("/v1/migrations")["migrations"]) == len(before) + 1
    lab.system.start_opensm()
    lab.wait_subscribed(HOSTS)
    wait_until("the SM is linked", lambda: lab.system.is_connected(HOSTS), START_S, lab.system.logs())
    lab.move()


def a_restarted_tether_smd_begins_anew(lab):
    lab.begin()
    lab.system.smd.kill()
    lab.system.start_smd()
    lab.system.wait_connected(HOSTS)
    lab.move()
    assert min(number for _, number in lab.told()) == 1, lab.told()
    # What it told before it was linked to the SM, or they to it, came over the links.
    last = {max((told for told in lab.told() if told[0] == host), default=None) for host in HOSTS} - {None}
    wait_until("the latest notices heard", lambda: last <= lab.heard() <= lab.told(), START_S, lab.system.logs())


def forged_notices_cost_a_question_in_a_while_and_are_counted(lab):
    lab.begin()
    start = int(re.findall(r"smd: epoch (\d+);", lab.log("smd"))[-1])
    agent = f"agent-{DECEIVED}"
    deceived_lid = next(row["lid"] for row in lab.system.fabric.dump("places") if row["node"] == DECEIVED)
    with lab.client(FORGER) as forger:
        began = time.monotonic()
        forger.forge(deceived_lid, start, list(range(1000000, 1000000 + FORGED)))
        wait_until("all of them counted", lambda: lab.found(agent, r"are forged: (\d+) so far")[-1:] == [str(FORGED)], START_S,
                   lab.system.logs())
        pulls = len(lab.found(agent, r"the root is asked, 10000\d\d has been heard of"))
    assert lab.found("smd", rf"host {DECEIVED} was told of number \d+, and \d+ are given: forged notices")
    most = 2 + (time.monotonic() - began) / PAUSE_S
    print(f"# {FORGED} forged notices: {pulls} questions", flush=True)
    assert 1 <= pulls <= most, (pulls, most)
    lab.move()
    lab.move()


def daemons_end_by_themselves_and_nothing_is_reported(lab):
    """By the sanitizer that they were built with, if any."""
    for daemon in [*lab.system.agents.values(), lab.system.smd]:
        daemon.signal(signal.SIGTERM)
        status = daemon.wait(START_S)
        assert status == 0, f"{daemon.name}: exit status {status}"
    lab.system.fabric.opensm_stop(START_S)
    reports = lab.system.checker.reports()
    assert not reports, reports[:8000]


def main():
    tap = Tap()
    settings = {**PATIENT, "heartbeat_ms": 1000, "log_level": "debug"}
    with System(vms={"vm1": "hyp1_vf1", "vm2": "hyp2_vf1"}, settings=settings, copy_ms=0, signal="mad") as system:
        system.start()
        lab = Lab(system)
        for test in (each_server_subscribes_once, what_a_server_is_told_it_hears_and_fetches,
                     a_deleted_subscription_is_missed_and_made_again, a_restarted_opensm_is_subscribed_to_again,
                     without_opensm_servers_are_told_over_their_links, a_restarted_tether_smd_begins_anew,
                     forged_notices_cost_a_question_in_a_while_and_are_counted,
                     daemons_end_by_themselves_and_nothing_is_reported):
            tap.run(test.__name__, test, lab)
    tap.exit()


main()
