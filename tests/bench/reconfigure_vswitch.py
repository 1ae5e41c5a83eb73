# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The four counts of a move between hypervisors whose adapters are vSwitches: LFT Sets on physical switches, on vSwitches,
Sets at the end ports, Sets of multicast tables (and how many of these change a byte). The VM is in a partition of its own
and in a multicast group, so that none of them is 0 for want of anything to do. What each should be follows from the
fabric's dumps."""
from bench import worst_pair
from bench.tree_lab import TreeLab, Unexpected
from faults import lft_blocks
from faults.sa_truth import gid, sets

VFS = 2
MGID = "ff125eed000000000000000000000002"
PKEY_BLOCK, MLID_BLOCK, PORT_GROUP = 32, 32, 16
COUNTS = ("lft_physical", "lft_vswitch", "endpoint", "multicast", "multicast_changed")
VM = "h1_vf1"


def blue_partition(truth):
    guid = next(guid for guid, row in truth.end_ports.items() if row["node"] == VM)
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x0001: 0x{guid:016x}=full;\n"


def pkey_blocks(rows):
    """{(node, port, block): its P_Keys}"""
    found = {}
    for row in rows:
        for at in range(0, len(row["pkeys"]), PKEY_BLOCK):
            keys = row["pkeys"][at:at + PKEY_BLOCK]
            found[row["node"], row["port"], at] = keys + [0] * (PKEY_BLOCK - len(keys))
    return found


def mft_blocks(tables):
    """{(switch, block of MLIDs, group of ports): the pairs of MLID and port in it}"""
    found = {}
    for switch, groups in tables.items():
        for name, ports in groups.items():
            for port in ports:
                found.setdefault((switch, int(name, 16) // MLID_BLOCK, port // PORT_GROUP), set()).add((name, port))
    return found


def differences(before, after):
    return sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())


class Dumps:
    """What a fabric holds at one time."""

    def __init__(self, fabric):
        self.lfts = fabric.lft_bytes()
        self.lids = {(row["node"], row["port"]): row["lid"] for row in fabric.dump("ports")}
        self.pkeys = pkey_blocks(fabric.dump("pkeys"))
        self.mfts = mft_blocks(fabric.dump("mft"))


class Expected:
    """What moves take, by the tables before and after each. OpenSM sends each multicast block of the groups that it routes
    again to every switch that it ever had one for, changed or not, for all its ports."""

    def __init__(self, fabric, vswitches):
        self.vswitches = vswitches
        self.in_trees = set()  # of (switch, block of MLIDs)
        self.port_groups = {}
        for row in fabric.dump("ports"):
            self.port_groups[row["node"]] = max(row["port"] // PORT_GROUP + 1, self.port_groups.get(row["node"], 0))

    def of(self, before, after):
        """COUNTS, and how many of the last change anything."""
        self.in_trees |= {(switch, block) for switch, block, _ in before.mfts.keys() | after.mfts.keys()}
        lfts = lft_blocks.count_split(before.lfts, after.lfts, self.vswitches)
        return {"lft_physical": lfts["physical"], "lft_vswitch": lfts["vswitch"],
                "endpoint": differences(before.lids, after.lids) + differences(before.pkeys, after.pkeys),
                "multicast": sum(self.port_groups[switch] for switch, _ in self.in_trees),
                "multicast_changed": differences(before.mfts, after.mfts)}


def counted(counters, vswitches):
    """The same as the fabric has counted it."""
    lfts = {False: 0, True: 0}
    for name, row in counters["nodes"].items():
        lfts[name in vswitches] += row.get("LinearForwardingTable", {}).get("set", 0)
    return {"lft_physical": lfts[False], "lft_vswitch": lfts[True],
            "endpoint": sum(sets(counters, name) for name in ("PortInfo", "P_KeyTable", "SwitchInfo")),
            "multicast": sets(counters, "MulticastForwardingTable"),
            "multicast_changed": sets(counters, "MulticastForwardingTable", "changed")}


def vswitches_of(lab):
    with open(lab.net_file) as net:
        return lft_blocks.vswitches(net.read())


def leaf_of(row, peers):
    """The switch behind the vSwitch; a vSwitch's port 1 is its uplink."""
    return peers[row["peer"]["node"], 1]


def dearest(lab, vm, rows):
    by_lid = {row["lid"]: row for row in rows}
    entries = worst_pair.columns(lab.fabric.lft_bytes(), by_lid)
    others = [lid for lid in by_lid if by_lid[lid]["peer"]["node"] != vm["peer"]["node"]]
    return by_lid[max(others, key=lambda lid: worst_pair.sets_of(entries, vm["lid"], lid))]


def moved(lab, expected, vm, destination, reach):
    """The counts of a move that is made."""
    plan = lab.plan_move(vm, destination, reach=reach)
    before = Dumps(lab.fabric)
    applied, counters = lab.apply_counted(plan, vm, destination)
    found, wanted = counted(counters, expected.vswitches), expected.of(before, Dumps(lab.fabric))
    if found != wanted or not applied["verified"]:
        raise Unexpected(f"counted {found}, the tables say {wanted}")
    return found


def row_of(lab, name):
    """Whoever is in the slot @name now."""
    return next(row for row in lab.fabric.dump("places") if row["node"] == name)


def moves(lab, expected, reaches):
    """The VM to another hypervisor of its leaf and back, then to where it costs the most and back, for each reach."""
    peers = {(row["node"], row["port"]): row["peer"]["node"] for row in lab.fabric.dump("ports") if row["peer"]}
    rows, vm = lab.movable(), row_of(lab, VM)
    neighbour = next(row for row in rows if leaf_of(row, peers) == leaf_of(vm, peers)
                     and row["peer"]["node"] != vm["peer"]["node"])
    with lab.sa() as sa:
        for row in (vm, rows[len(rows) // 2], rows[-1]):
            sa.join(MGID, gid(int(row["port_guid"], 16)))
    for what, there in (("same leaf", neighbour), ("dearest", dearest(lab, vm, rows))):
        for reach in reaches:
            yield {"move": what, "reach": reach, **moved(lab, expected, vm, row_of(lab, there["node"]), reach)}
            moved(lab, expected, row_of(lab, there["node"]), row_of(lab, VM), "deterministic")


def measure(size, reaches=("deterministic", "minimum")):
    with TreeLab(size, VFS, blue_partition) as lab:
        vswitches = vswitches_of(lab)
        sets_sent, _ = lab.recompute()
        lab.fabric.opensm_heavy_sweep()
        return {"vfs": VFS, "lids": lab.lids_in_use(),
                "full_rc": {"lft_" + kind: count for kind, count in sets_sent.items()},
                "moves": list(moves(lab, Expected(lab.fabric, vswitches), reaches))}
