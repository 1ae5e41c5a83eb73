#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: sa_truth.py [--sm-socket PATH] [--settle] FABRIC

Does the subnet administrator say where the fabric carries each GUID? For every CA port: its NodeRecord, its
LinkRecords, the PathRecord by GID from every other, its P_Keys, and whether multicast reaches every member once. With
the plugin's socket all of it again after a heavy sweep, which must not write an LFT, a P_Key, another LID, or another
byte of an MFT. --settle: what a first heavy sweep writes is not counted, only what a second one does (OpenSM rewrites
the LFTs of a switch whose PortStateChange is set); what SA says is compared before the first all the same.

FABRIC: simfabric's file; programs and libraries are those of $TETHER_BUILD. In tests: check_sa_truth(lab)."""
import argparse
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.fabric_truth import FabricTruth  # noqa: E402
from faults.plugin_client import PluginClient  # noqa: E402
from faults.sa_client import SaWorker, gid_text  # noqa: E402
from lab.build import Build  # noqa: E402
from simfabric.lab import Fabric, wait_until  # noqa: E402

PREFIX = 0xfe80000000000000
SWEEP_S = 60
MOST_SHOWN = 15


def truth_of(fabric):
    return FabricTruth(fabric.dump)


def opensm_row(fabric):
    """OpenSM in the fabric's table of clients."""
    rows = [row for row in fabric.json("clients") if row["program"] == "opensm"]
    assert rows, "no OpenSM is on the fabric"
    return rows[0]


def opensm_node(fabric):
    return opensm_row(fabric)["place"].removeprefix("node ")


def sa_of(fabric):
    """Asks from the SM's own node."""
    return SaWorker(fabric.place(node=opensm_node(fabric)), Build(fabric.build).strangers())


def gid(guid):
    return gid_text(PREFIX, guid)


def node_findings(truth, sa):
    records = {}
    for row in sa.nodes():
        if row["kind"] == 1:
            records.setdefault(row["port_guid"], []).append(row)
    for guid in records.keys() - truth.end_ports.keys():
        yield f"SA has a NodeRecord of 0x{guid:x}, which nobody carries"
    for guid, port in truth.end_ports.items():
        found = [(row["lid"], row["node_guid"]) for row in records.get(guid, [])]
        wanted = [(port["lid"], int(port["node_guid"], 16))]
        if found != wanted:
            yield f"{port['node']} 0x{guid:x}: NodeRecords say (LID, NodeGUID) {found}, the fabric {wanted}"


def lid_findings(truth):
    """Nobody shares a LID with another port, switches among them, and nobody has none."""
    holders = {}
    for port in truth.end_ports.values():
        holders.setdefault(port["lid"], set()).add(f"{port['node']} {port['port']}")
    for switch, lid in truth.switch_lids.items():
        holders.setdefault(lid, set()).add(switch)
    for lid, names in holders.items():
        if len(names) > 1 or not lid:
            yield f"LID {lid} is held by {', '.join(sorted(names))}"


def link_findings(truth, sa):
    lids = {port["lid"] for port in truth.end_ports.values()}
    records = {(row["from_lid"], row["from_port"], row["to_lid"], row["to_port"]) for row in sa.links()}
    records = {row for row in records if row[0] in lids or row[2] in lids}
    for row in sorted(records - truth.links()):
        yield f"SA has a LinkRecord {row}, the fabric no such cable"
    for row in sorted(truth.links() - records):
        yield f"SA has no LinkRecord {row}"


def path_findings(truth, sa, pairs=None):
    """@pairs: of port GUIDs, from the one to the other; None: all."""
    ports = truth.end_ports
    pairs = [(a, b) for a in ports for b in ports if a != b] if pairs is None else pairs
    answers = sa.many_paths([(gid(a), gid(b)) for a, b in pairs])
    for (a, b), paths in zip(pairs, answers):
        names = f"from {ports[a]['node']} to {ports[b]['node']} 0x{b:x}"
        found = [(row["slid"], row["dlid"]) for row in paths]
        if found != [(ports[a]["lid"], ports[b]["lid"])]:
            yield f"{names}: PathRecords say {found}, the fabric {(ports[a]['lid'], ports[b]['lid'])}"
        end = truth.walk(a, ports[b]["lid"])
        if end != (ports[b]["node"], ports[b]["port"]):
            yield f"{names}: packets come to {end}"


def pkey_findings(truth, sa, expected):
    for guid, port in truth.end_ports.items():
        held = truth.pkeys.get((port["node"], port["port"]), [])
        told = sa.pkeys(port["lid"])
        wanted = expected.get(guid)
        if sorted(told) != sorted(held):
            yield f"{port['node']} 0x{guid:x}: SA says P_Keys {told}, the port has {held}"
        if not held:
            yield f"{port['node']} 0x{guid:x} has no P_Key"
        if wanted is not None and sorted(held) != sorted(wanted):
            yield f"{port['node']} 0x{guid:x} has P_Keys {held}, not {wanted}"
        enforced = truth.pkeys.get(truth.place(guid))
        if enforced is not None and sorted(enforced) != sorted(held):
            yield f"{port['node']} 0x{guid:x} has P_Keys {held}, its switch port enforces {enforced}"


def group_findings(truth, sa):
    groups = {}
    for row in sa.members():
        if int(row["port_gid"], 16):
            groups.setdefault((row["mgid"], row["mlid"]), set()).add(int(row["port_gid"][16:], 16))
    for (mgid, mlid), members in groups.items():
        for guid in members:
            if guid not in truth.end_ports:
                yield f"group {mgid}: member 0x{guid:x} is carried by nobody"
                continue
            others = [truth.end_ports[g] for g in members - {guid} if g in truth.end_ports]
            wanted = sorted((port["node"], port["port"]) for port in others)
            copies = truth.flood(guid, mlid)
            if sorted(copies) != wanted:
                yield f"group {mgid}: what 0x{guid:x} sends comes to {sorted(copies)}, members are at {wanted}"


def findings(truth, sa, pkeys=None, pairs=None):
    """Every way in which the SA and the fabric disagree, as sentences. @pkeys: {port GUID: its P_Keys}. @pairs: whose paths
    are asked for, if not all."""
    return [*node_findings(truth, sa), *lid_findings(truth), *link_findings(truth, sa), *path_findings(truth, sa, pairs),
            *pkey_findings(truth, sa, pkeys or {}), *group_findings(truth, sa)]


def sets(counters, attribute, count="set"):
    return counters["total"].get(attribute, {}).get(count, 0)


def written_by(fabric, sweep):
    """What a heavy sweep writes, all counts."""
    before = fabric.counters()
    sweep()
    after = fabric.counters()

    def more(attribute, count="set"):
        return sets(after, attribute, count) - sets(before, attribute, count)

    if not more("NodeInfo", "get"):
        # SUBNET UP was that of one under way, which had asked everybody before.
        sweep()
        after = fabric.counters()
    assert more("NodeInfo", "get"), "there was no heavy sweep"
    return {"LFT blocks": more("LinearForwardingTable"), "P_Key blocks": more("P_KeyTable"),
            "other LIDs": after["total"]["lids_changed"] - before["total"]["lids_changed"],
            "other MFT blocks": more("MulticastForwardingTable", "changed")}


def all_findings(fabric, sweep=None, settle=False, pkeys=None):
    """@sweep forces a heavy sweep and returns at its end. No sweep comes before the first comparison: it would mend
    what a migration has left wrong."""
    with sa_of(fabric) as sa:
        found = findings(truth_of(fabric), sa, pkeys)
        if sweep:
            if settle:
                sweep()
            wrote = written_by(fabric, sweep)
            found += [f"the heavy sweep wrote {count} {what}" for what, count in wrote.items() if count]
            found += [f"after a heavy sweep: {text}" for text in findings(truth_of(fabric), sa, pkeys)]
    return found


def shown(found):
    more = [f"and {len(found) - MOST_SHOWN} more"] if len(found) > MOST_SHOWN else []
    return "\n".join(found[:MOST_SHOWN] + more)


def check_sa_truth(lab, settle=False, pkeys=None):
    """@lab: a lab.system.System, or whatever has a `fabric`. AssertionError with what disagrees."""
    found = all_findings(lab.fabric, lab.fabric.opensm_heavy_sweep, settle, pkeys)
    assert not found, shown(found)


def check_sa_truth_now(lab):
    """No sweep."""
    found = all_findings(lab.fabric)
    assert not found, shown(found)


def sweep_by_signal(fabric, sm_socket):
    """Where OpenSM's log is not at hand: NodeInfos are asked for again, then the plugin says that all is quiet."""
    before = sets(fabric.counters(), "NodeInfo", "get")
    os.kill(opensm_row(fabric)["pid"], signal.SIGHUP)
    with PluginClient(sm_socket) as sm:
        wait_until("a heavy sweep", lambda: (sets(fabric.counters(), "NodeInfo", "get") > before
                                             and sm.ask("status")["quiet"]), SWEEP_S)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("fabric")
    arguments.add_argument("--sm-socket")
    arguments.add_argument("--settle", action="store_true")
    arguments = arguments.parse_args()
    start = time.monotonic()
    with Fabric() as fabric:
        fabric.path = os.path.abspath(arguments.fabric)
        sweep = arguments.sm_socket and (lambda: sweep_by_signal(fabric, arguments.sm_socket))
        found = all_findings(fabric, sweep, arguments.settle)
    print(shown(found) or f"SA and fabric agree ({time.monotonic() - start:.1f} s)")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
