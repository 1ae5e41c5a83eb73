#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""lft_blocks.py on dumps made by hand: the count that the demo's is compared with."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults import lft_blocks  # noqa: E402
from lab.tap import Tap  # noqa: E402

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lft_blocks.py")
NET = """#hypervisor "hyp1" vswitch "V1" pf "hyp1"
# "V2" is a switch like any other
Switch 8 "V2"
  #hypervisor "not at the start of a line" vswitch "V3" pf "x"
"""


def table(length, **entries):
    """Everything goes out of port 1 but what is named: lid7=3."""
    return [entries.get(f"lid{lid}", 1) for lid in range(length)]


ROWS = [
    # what, before, after, changed (switch, block)
    ("nothing", {"S": table(128)}, {"S": table(128)}, []),
    ("one entry", {"S": table(128)}, {"S": table(128, lid7=2)}, [("S", 0)]),
    ("two entries of a block are one", {"S": table(128)}, {"S": table(128, lid7=2, lid63=2)}, [("S", 0)]),
    ("on both sides of a border are two", {"S": table(128)}, {"S": table(128, lid63=2, lid64=2)}, [("S", 0), ("S", 1)]),
    ("the same block of two switches is two", {"S": table(64), "T": table(64)}, {"S": table(64, lid1=2), "T": table(64, lid1=3)},
     [("S", 0), ("T", 0)]),
    ("one of two switches", {"S": table(64), "T": table(64)}, {"S": table(64), "T": table(64, lid1=3)}, [("T", 0)]),
    ("entries that change places", {"S": table(64, lid1=2, lid2=3)}, {"S": table(64, lid1=3, lid2=2)}, [("S", 0)]),
    ("a longer table with no port in it is none", {"S": table(64)}, {"S": table(64) + [255] * 70}, []),
    ("a longer table", {"S": table(64)}, {"S": table(70)}, [("S", 1)]),
    ("a shorter table", {"S": table(130)}, {"S": table(64)}, [("S", 1), ("S", 2)]),
    ("the last block is not full", {"S": table(66)}, {"S": table(66, lid65=2)}, [("S", 1)]),
    ("a switch that comes", {}, {"S": table(64)}, [("S", 0)]),
    ("a switch that goes", {"S": table(64)}, {}, [("S", 0)]),
]


def counts(before, after, changed):
    found = lft_blocks.changed_blocks(before, after)
    assert found == changed, found
    assert lft_blocks.count_changed(before, after) == len(changed)


def the_topology_says_who_is_a_vswitch():
    assert lft_blocks.vswitches(NET) == {"V1"}
    before = {"V1": table(128), "V2": table(128)}
    after = {"V1": table(128, lid1=2), "V2": table(128, lid1=2, lid64=2)}
    assert lft_blocks.count_split(before, after, {"V1"}) == {"physical": 2, "vswitch": 1}
    assert lft_blocks.count_split(before, after, set()) == {"physical": 3, "vswitch": 0}


def the_program_says_the_same():
    with tempfile.TemporaryDirectory() as directory:
        def write(name, text):
            path = os.path.join(directory, name)
            with open(path, "w") as out:
                out.write(text)
            return path

        dumps = [write("before", json.dumps({"V1": table(128), "V2": table(128)})),
                 write("after", json.dumps({"V1": table(128, lid1=2), "V2": table(128, lid1=2, lid64=2)}))]
        for more, physical, vswitch in (([], 3, 0), ([write("net", NET)], 2, 1)):
            out = subprocess.run([PROGRAM, *dumps, *more], capture_output=True, text=True, check=True).stdout
            assert json.loads(out) == {"total": 3, "physical": physical, "vswitch": vswitch}, out
        assert subprocess.run([PROGRAM, *dumps[:1]], capture_output=True).returncode == 1


def main():
    tap = Tap()
    for what, *row in ROWS:
        tap.run(f"counts: {what}", counts, *row)
    tap.run("the_topology_says_who_is_a_vswitch", the_topology_says_who_is_a_vswitch)
    tap.run("the_program_says_the_same", the_program_says_the_same)
    tap.exit()


main()
