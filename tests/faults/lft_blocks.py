#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: lft_blocks.py BEFORE.json AFTER.json [TOPOLOGY.net]

Counts the distinct (switch, block of 64 LIDs) in which two dumps of `simfabric dump lft --json` differ: as many LFT
Sets as are needed to get from one to the other. It knows nothing of any planner. With the topology the count is split
into vSwitches (those that a #hypervisor line names) and physical switches; without it all count as physical."""
import json
import re
import sys

BLOCK_LIDS = 64
NO_PORT = 255


def blocks(entries):
    """The table cut into blocks; what is beyond its top has no port."""
    padded = bytes(entries) + bytes([NO_PORT]) * (-len(entries) % BLOCK_LIDS)
    return [padded[at:at + BLOCK_LIDS] for at in range(0, len(padded), BLOCK_LIDS)]


def changed_blocks(before, after):
    """Sorted list of (switch, block)."""
    changed = []
    for switch in sorted(set(before) | set(after)):
        old, new = blocks(before.get(switch, [])), blocks(after.get(switch, []))
        empty = [bytes([NO_PORT]) * BLOCK_LIDS]
        longest = max(len(old), len(new))
        old += empty * (longest - len(old))
        new += empty * (longest - len(new))
        changed += [(switch, number) for number in range(longest) if old[number] != new[number]]
    return changed


def vswitches(net_text):
    return set(re.findall(r'^#hypervisor\s+"[^"]*"\s+vswitch\s+"([^"]*)"', net_text, re.MULTILINE))


def count_changed(before, after):
    return len(changed_blocks(before, after))


def count_split(before, after, vswitch_names):
    """{"physical": N, "vswitch": N}"""
    changed = changed_blocks(before, after)
    of_vswitches = sum(switch in vswitch_names for switch, _ in changed)
    return {"physical": len(changed) - of_vswitches, "vswitch": of_vswitches}


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    dumps = []
    for path in sys.argv[1:3]:
        with open(path) as dump:
            dumps.append(json.load(dump))
    names = set()
    if len(sys.argv) == 4:
        with open(sys.argv[3]) as net:
            names = vswitches(net.read())
    print(json.dumps({"total": count_changed(*dumps), **count_split(*dumps, names)}))


if __name__ == "__main__":
    main()
