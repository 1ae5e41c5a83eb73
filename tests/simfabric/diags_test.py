#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Debian's infiniband-diags, unmodified, on simfabric with a stock OpenSM: each tells what the fabric holds."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import Fabric, Late, wait_until  # noqa: E402

UP_S = 60
PLENTY_OF_CLIENTS = 30


class Lab:
    """The demo fabric, up, with VM vm1 in hyp2_vf1."""

    def __init__(self, fabric):
        self.fabric = fabric
        fabric.create("demo.net")
        fabric.cli("vm", "add", "vm1", "hyp2_vf1")
        fabric.opensm_start("sm")
        fabric.opensm_wait_up(UP_S)
        self.ports = fabric.dump("ports")

    def lid(self, node):
        return next(p["lid"] for p in self.ports if p["node"] == node and p["lid"])

    def run(self, *argv, node="hyp1", vm=None, check=True):
        return self.fabric.run(*argv, node=None if vm else node, vm=vm, check=check).stdout


def ibnetdiscover_finds_every_cable(lab):
    found = set()
    node = None
    for line in lab.run("ibnetdiscover").splitlines():
        head = re.match(r'(?:Switch|Ca)\s+\d+ "\S+"\s+# "(\S+)"', line)
        port = re.match(r'\[(\d+)\]', line)
        if head:
            node = head.group(1)
        elif port:
            found.add((node, int(port.group(1))))
    cabled = {(p["node"], p["port"]) for p in lab.ports if p["peer"]}
    assert found == cabled, found ^ cabled


def ibroute_prints_the_lft(lab):
    text = lab.run("ibroute", "-n", lab.lid("leaf1"))
    table = {int(a, 16): int(b) for a, b in re.findall(r"^0x([0-9a-f]+) (\d+)", text, re.MULTILINE)}
    held = {lid: port for lid, port in enumerate(lab.fabric.lft_dump()["leaf1"]) if port != 255}
    assert table == held, (table, held)


def ibroute_prints_the_mft(lab):
    assert "Multicast mlids" in lab.run("ibroute", "-M", lab.lid("leaf1"))


def ibtracert_follows_the_lfts(lab):
    text = lab.run("ibtracert", lab.lid("hyp1"), lab.lid("hyp4_vf2"))
    names = re.findall(r'"(\S+)"$', text, re.MULTILINE)
    assert names[0] == "hyp1" and names[-1] == "hyp4_vf2" and names[1:3] == ["V1", "leaf1"] and "V4" in names, text


def smpquery_answers_on_every_kind_of_route(lab):
    leaf = lab.lid("leaf1")
    for argv in (("-D", "nodedesc", "0"), ("-D", "nodedesc", "0,1,1"), ("nodedesc", leaf),
                 ("-c", "nodedesc", leaf, "0"), ("-G", "nodedesc", "0x200004")):
        assert "Node Description" in lab.run("smpquery", *argv), argv
    assert "leaf1" in lab.run("smpquery", "-D", "nodedesc", "0,1,1")
    spine = lab.run("smpquery", "-c", "nodedesc", leaf, "0,7")
    assert "spine1" in spine, spine


def smpquery_answers_every_attribute(lab):
    leaf, host = lab.lid("leaf1"), lab.lid("hyp1")
    for argv in (("nodeinfo", host), ("portinfo", host, 1), ("portinfo", leaf, 7), ("switchinfo", leaf), ("pkeys", host),
                 ("pkeys", leaf, 7), ("sl2vl", host), ("sl2vl", leaf, 1), ("vlarb", host), ("vlarb", leaf, 1),
                 ("guidinfo", host)):
        lab.run("smpquery", *argv)


def smpquery_out_of_range_is_refused(lab):
    leaf = lab.lid("leaf1")
    for argv in (("portinfo", leaf, 9), ("pkeys", leaf, 9), ("switchinfo", lab.lid("hyp1"))):
        done = lab.fabric.run("smpquery", *argv, node="hyp1", check=False)
        assert done.returncode, (argv, done.stdout)


def saquery_agrees_with_the_fabric(lab):
    text = lab.run("saquery", "NR")
    records = dict(re.findall(r"lid\.*(0x[0-9A-F]+|\d+).*?NodeDescription\.*(\S+)", text, re.DOTALL))
    said = {name: int(lid, 0) for lid, name in records.items()}
    held = {p["node"]: p["lid"] for p in lab.ports if p["lid"]}
    assert said == held, (said, held)


def saquery_gets_tables_longer_than_a_mad(lab):
    text = lab.run("saquery", "LFTR")
    blocks = len(re.findall("LFT Record dump", text))
    assert blocks == len(lab.fabric.lft_dump()), blocks


def saquery_counts_the_records_of_a_short_table(lab):
    text = lab.run("saquery", "LR", lab.lid("hyp1"))
    assert text.count("LinkRecord dump") == 1, text


def saquery_path_record(lab):
    text = lab.run("saquery", "-p", "--src-to-dst", f"{lab.lid('hyp1')}:{lab.lid('hyp3_vf1')}")
    assert re.search(rf"dlid\.+{lab.lid('hyp3_vf1')}\b", text), text


def ibping_goes_both_ways(lab):
    lab.fabric.start("ibping", "-S", vm="vm1")
    lid = lab.lid("hyp2_vf1")

    def is_answered():
        return " 0% packet loss" in lab.run("ibping", "-c", "1", lid, check=False)
    wait_until("ibping's server", is_answered, 20)
    text = lab.run("ibping", "-c", "3", lid)
    assert "3 packets transmitted, 3 received, 0% packet loss" in text, text


def ibping_without_a_server_times_out(lab):
    text = lab.run("ibping", "-c", "1", "-t", "100", lab.lid("spine1"), check=False)
    assert "100% packet loss" in text, text


def perfquery_counts_and_resets(lab):
    def packets(*argv):
        text = lab.run("perfquery", *argv, node="hyp3")
        return int(re.search(r"PortXmitPkts:\.*(\d+)", text).group(1))
    lid = lab.lid("hyp1")
    before = packets(lid, 1)
    assert packets(lid, 1) > before
    packets("-x", lid, 1)
    lab.run("perfquery", "-R", lid, 1, node="hyp3")
    assert packets(lid, 1) < before + 1
    assert packets("-a", lab.lid("leaf1")) > 0


def port_state_can_be_changed(lab):
    up = lab.fabric.opensms[-1].up
    lab.run("ibportstate", lab.lid("leaf3"), 7, "disable")
    state = lab.run("ibportstate", lab.lid("leaf3"), 7, "query")
    assert "Disabled" in state, state
    lab.fabric.opensm_wait_up(UP_S, up + 1)
    wait_until("all pairs again", lambda: lab.fabric.check()["lost"] == 0, UP_S)
    up = lab.fabric.opensms[-1].up
    lab.run("ibportstate", lab.lid("leaf3"), 7, "enable")
    lab.fabric.opensm_wait_up(UP_S, up + 1)


def downed_links_are_counted_at_both_ends(lab):
    text = lab.run("ibqueryerrors", check=False)
    downed = re.findall(r"GUID (\S+) port (\d+): \[LinkDownedCounter == 1\]", text)
    assert sorted(downed) == [("0x200006", "7"), ("0x200008", "3")], text


def ibstat_shows_the_vf_of_the_vm(lab):
    text = lab.run("ibstat", vm="vm1")
    assert "CA 'hyp2_vf1'" in text and "State: Active" in text, text
    assert re.search(rf"Base lid: {lab.lid('hyp2_vf1')}\b", text), text


def vm_without_vf_sees_no_device(lab):
    assert lab.fabric.detach("vm1", timeout_ms=1000)
    assert "CA '" not in lab.run("ibstat", vm="vm1", check=False)
    lab.fabric.attach("vm1", "hyp2_vf1")
    assert "CA 'hyp2_vf1'" in lab.run("ibstat", vm="vm1")


def other_tools_run(lab):
    for argv in (["sminfo"], ["ibaddr"], ["ibhosts"], ["ibswitches"], ["iblinkinfo"], ["ibqueryerrors"]):
        assert lab.run(*argv), argv


def any_number_of_clients(lab):
    """More at once than ibsim's ten; all waiting for what never comes."""
    children = [lab.fabric.start("ibping", "-c", "1", "-t", "20000", lab.lid("spine1"), node="hyp1")
                for _ in range(PLENTY_OF_CLIENTS)]
    try:
        wait_until("all clients", lambda: sum(c["program"] == "ibping" for c in lab.fabric.json("clients"))
                   >= PLENTY_OF_CLIENTS, 20)
    except Late as error:
        raise AssertionError(lab.fabric.cli("clients")) from error
    for child in children:
        child.kill()
        child.wait()
    left = [c for c in lab.fabric.json("clients") if c["program"] == "ibping" and c["place"] == "node hyp1"]
    assert not left, left


def main():
    tap = Tap()
    with Fabric() as fabric:
        lab = Lab(fabric)
        for test in (ibnetdiscover_finds_every_cable, ibroute_prints_the_lft, ibroute_prints_the_mft,
                     ibtracert_follows_the_lfts, smpquery_answers_on_every_kind_of_route,
                     smpquery_answers_every_attribute, smpquery_out_of_range_is_refused, saquery_agrees_with_the_fabric,
                     saquery_gets_tables_longer_than_a_mad,
                     saquery_counts_the_records_of_a_short_table, saquery_path_record, ibping_goes_both_ways,
                     ibping_without_a_server_times_out, perfquery_counts_and_resets,
                     ibstat_shows_the_vf_of_the_vm, vm_without_vf_sees_no_device, other_tools_run,
                     any_number_of_clients, port_state_can_be_changed, downed_links_are_counted_at_both_ends):
            tap.run(test.__name__, test, lab)
    tap.exit()


main()
