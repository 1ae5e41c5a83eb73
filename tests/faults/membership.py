# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The VMs of a lab in a partition and a multicast group of their own: does what they belong to go with them?

    with System(partitions=partitions) as lab:
        lab.start()
        belongings = Belongings(lab)

The partition's P_Key is the first of their tables, so what their programs send carries it, and nobody who has not got
it takes it. The subnet manager's node is in the partition too: SA does not speak of a group to who is not."""
from faults.sa_truth import check_sa_truth, gid, opensm_node, sa_of, truth_of

BLUE, DEFAULT = 0x8001, 0xffff
MGID = "ff125eed000000000000000000000002"
QKEY = 0x1234


def partitions(vm_guids):
    members = ", ".join(f"0x{guid:016x}=full" for guid in vm_guids.values())
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x{BLUE & 0x7fff:04x}, indx0: SELF=full, {members};\n"


def pkeys_of(lab):
    """What each end port ought to have. A slot that its VM has left has only what everybody has."""
    members, node = set(lab.vm_guids.values()), opensm_node(lab.fabric)
    return {guid: [BLUE, DEFAULT] if guid in members or row["node"] == node else [DEFAULT]
            for guid, row in truth_of(lab.fabric).end_ports.items()}


class Belongings:
    """Lets each VM join the group."""

    def __init__(self, lab):
        self.lab = lab
        self.members = set(lab.vm_guids.values())
        with sa_of(lab.fabric) as sa:
            for guid in sorted(self.members):
                sa.join(MGID, gid(guid), QKEY, BLUE)

    def check_group(self):
        """SA knows the VMs as its members and nobody else; what one sends comes to where the others are."""
        truth = truth_of(self.lab.fabric)
        with sa_of(self.lab.fabric) as sa:
            rows = [row for row in sa.members() if row["mgid"] == MGID]
        members = {int(row["port_gid"][16:], 16) for row in rows}
        assert members == self.members, f"members are {members}, not {self.members}"
        for guid in members:
            others = sorted((truth.end_ports[other]["node"], 1) for other in members - {guid})
            copies = sorted(truth.flood(guid, rows[0]["mlid"]))
            assert copies == others, f"what 0x{guid:x} sends to the group comes to {copies}, the others are at {others}"

    def check(self):
        """All of it before and after a heavy sweep."""
        self.check_group()
        check_sa_truth(self.lab, pkeys=pkeys_of(self.lab))
