# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A partition of two VMs beside the default one: who is in it, and which P_Keys everybody must have."""

BLUE, DEFAULT = 0x8001, 0xffff
BLUE_SLOTS = ("hyp1_vf1", "hyp3_vf2")  # where its members sit at first


def guid_in(truth, slot):
    return next(guid for guid, row in truth.end_ports.items() if row["node"] == slot)


def blue_guids(truth):
    return {guid_in(truth, slot) for slot in BLUE_SLOTS}


def blue_partition(truth):
    """partitions.conf"""
    members = ", ".join(f"0x{guid:016x}=full" for guid in sorted(blue_guids(truth)))
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x0001: {members};\n"


def expected_pkeys(truth, blue):
    """@blue: the members' GUIDs."""
    return {guid: [DEFAULT, BLUE] if guid in blue else [DEFAULT] for guid in truth.end_ports}
