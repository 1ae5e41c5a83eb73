#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The same random plans on simfabric and on Debian's ibsim, which is not ours, by tether-fabric where OpenSM has been: the
same LFTs, the same PortInfo, byte for byte. PortInfo is compared where both had the same before (ibsim ignores what is
set of some fields, and shows other widths and counters), and everywhere else each must have what it had."""
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from simfabric.ibsim import Ibsim  # noqa: E402
from simfabric.raw_lab import UP_S, RawLab, Tool  # noqa: E402

SIZES = ("324", "648")
PLANS = 100 if FULL else 3
SEED = 20150525
LIDS = slice(16, 18)
ORDERS = ("fast", "consistent", "drop-first")
REACHES = ("deterministic", "minimum")
NO_PORT = 255


class Both:
    """A fabric on simfabric and on ibsim, each brought up by an OpenSM that has ended."""

    def __init__(self, lab, ibsim):
        self.lab = lab
        self.ibsim = ibsim
        # ibsim answers nobody who asks a port without SM for SMInfo: not asked there.
        self.tools = (lab.tool, []), (Tool(self.run_on_ibsim, lab.tool.program, ibsim.directory), ["--force"])

    def run_on_ibsim(self, argv, seconds):
        return self.ibsim.run(self.lab.from_node, *argv, seconds=seconds)

    def dumps(self):
        return [Dump(tool.ask("dump")) for tool, _ in self.tools]

    def is_refused_for_deadlock(self, moves, options):
        reasons = [tool.ask("plan", *options, *moves, status=None).get("reason") for tool, _ in self.tools]
        assert reasons in ([None, None], ["deadlock", "deadlock"]), reasons
        return reasons[0] is not None

    def apply(self, moves, *options):
        """(an undo file for each, what they say)"""
        return zip(*(tool.apply(moves, *options, *more) for tool, more in self.tools))

    def undo(self, files):
        for (tool, more), path in zip(self.tools, files):
            tool.ask("undo", path, *more)

    def tables_by_dump_fts(self):
        """As somebody else reads them: {switch: {LID: port}} of each."""
        return [tables_of(self.lab.run(["dump_fts", "-n"], 60).stdout), tables_of(self.run_on_ibsim(["dump_fts", "-n"], 60).stdout)]


def tables_of(text):
    tables, table = {}, None
    for line in text.splitlines():
        head = re.search(r"of switch .* guid (\S+) \(", line)
        if head:
            table = tables.setdefault(int(head.group(1), 16), {})
        entry = re.match(r"0x([0-9a-f]+) (\d+)", line)
        if entry:
            table[int(entry.group(1), 16)] = int(entry.group(2))
    return tables


class Dump:
    """lfts: {GUID: bytes}; port_infos: {(GUID, port): bytes}"""

    def __init__(self, answer):
        nodes = answer["nodes"]
        self.lfts = {node["guid"]: bytes.fromhex(node["lft"]) for node in nodes if "lft" in node}
        self.port_infos = {(node["guid"], port["port"]): bytes.fromhex(port["port_info"])
                           for node in nodes for port in node["ports"]}
        self.cables = {(node["guid"], port["port"]): (port.get("peer"), port.get("peer_port"))
                       for node in nodes for port in node["ports"]}

    def tables(self):
        return {int(guid, 16): {lid: port for lid, port in enumerate(lft) if port != NO_PORT}
                for guid, lft in self.lfts.items()}


def compare(before, after):
    """@before, @after: the dumps of both. Nothing but LIDs and tables has changed, and those are the same."""
    (ours, theirs), (ours_before, theirs_before) = after, before
    assert ours.lfts == theirs.lfts, [guid for guid in ours.lfts if ours.lfts[guid] != theirs.lfts.get(guid)]
    assert ours.port_infos.keys() == theirs.port_infos.keys() and ours.cables == theirs.cables
    for port, info in ours.port_infos.items():
        their_info = theirs.port_infos[port]
        if (info, their_info) == (ours_before.port_infos[port], theirs_before.port_infos[port]) and \
                info[LIDS] == their_info[LIDS]:
            continue
        for byte in range(len(info)):
            was, their_was = ours_before.port_infos[port][byte], theirs_before.port_infos[port][byte]
            if LIDS.start <= byte < LIDS.stop or was == their_was:
                assert info[byte] == their_info[byte], (port, byte, info[byte], their_info[byte])
            else:
                assert (info[byte], their_info[byte]) == (was, their_was), (port, byte)


def random_plan(dice, lab, names):
    chosen = dice.sample(names, 2 * dice.randint(1, 4))
    moves = [lab.move(a, b) for a, b in zip(chosen[::2], chosen[1::2])]
    return moves, ["--order", dice.choice(ORDERS), "--reach", dice.choice(REACHES), "--packet-lifetime-ms", 1,
                   "--route", dice.choice(("directed", "lid")), "--window", dice.choice((1, 16, 64))]


def plans_leave_the_same(both, before):
    dice = random.Random(SEED)
    names = both.lab.movable()
    for number in range(PLANS):
        moves, options = random_plan(dice, both.lab, names)
        if "minimum" in options and both.is_refused_for_deadlock(moves, options):
            options += ["--reach", "deterministic"]
        files, (ours, theirs) = both.apply(moves, *options)
        assert ours["change"] == theirs["change"], (number, moves, options)
        assert ours["lft_sets_physical"] == theirs["lft_sets_physical"] == len(ours["change"]["changes"])
        compare(before, both.dumps())
        if dice.random() < 0.3:
            both.undo(files)
            compare(before, both.dumps())
    after = both.dumps()
    assert after[0].lfts != before[0].lfts
    both.lab.all_delivered()


def others_read_the_same(both):
    ours, theirs = both.tables_by_dump_fts()
    assert ours and ours == theirs == both.dumps()[0].tables()


def main():
    tap = Tap()
    for size in SIZES:
        with RawLab((size,), node="h1", from_node="h2") as lab:
            lab.fabric.opensm_stop()
            with Ibsim(lab.net, lab.fabric.directory) as ibsim:
                ibsim.opensm_up("h1", UP_S)
                ibsim.opensm.terminate()
                ibsim.opensm.wait(UP_S)
                both = Both(lab, ibsim)
                before = both.dumps()
                tap.run(f"both_begin_with_the_same_tables_{size}_hosts", compare, before, before)
                tap.run(f"plans_leave_the_same_lfts_and_port_infos_{size}_hosts", plans_leave_the_same, both, before)
                tap.run(f"dump_fts_reads_the_same_{size}_hosts", others_read_the_same, both)
    tap.exit()


main()
