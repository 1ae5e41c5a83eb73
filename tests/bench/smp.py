# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Equations 4 and 5 of the vSwitch paper, measured: how long the LFT Sets of a move take when each takes k, and r more a hop
where it is directed. No subnet manager is there; tether-fabric sends, one at a time and with a window."""
import statistics
import subprocess

from bench.worst_pair import worst_pair
from simfabric.raw_lab import RawLab, Tool

WINDOWS = (1, 4, 16, 64)
ROUTES = ("directed", "lid")
TIMEOUT_MS = 10000  # nothing is lost here, but a late answer must not be asked for again


def scheduling():
    """A real-time class where that is allowed: otherwise the wake-ups of a busy machine are measured."""
    argv = ["chrt", "-f", "1"]
    allowed = subprocess.run([*argv, "true"], capture_output=True).returncode == 0
    return (argv, "fifo") if allowed else ([], "other")


def hops_by_switch(nodes, start):
    """{switch's GUID: links from the CA @start}, by breadth first search over the cables."""
    kinds = {node["guid"]: node["type"] for node in nodes}
    peers = {node["guid"]: [port["peer"] for port in node["ports"] if "peer" in port] for node in nodes}
    hops, row = {start: 0}, [start]
    while row:
        row = [peer for guid in row if guid == start or kinds[guid] == 2 for peer in peers[guid] if peer not in hops
               and hops.setdefault(peer, hops[guid] + 1)]
    return {guid: count for guid, count in hops.items() if kinds[guid] == 2}


def dearest_move(lab, switches):
    """One that all switches take in two blocks, or the one with most Sets."""
    places = lab.places()
    names = {places[name]["lid"]: name for name in lab.movable()}
    _, a, b = worst_pair(lab.fabric.lft_bytes(), names, 2 * switches)
    return lab.move(names[a], names[b])


def delay(fabric, k_us, r_us):
    for rule in (("--us", k_us), ("--class", 0x81, "--us-per-hop", r_us)):
        fabric.cli("fault", "delay", "--attribute", "LinearForwardingTable", "--method", "set", *rule)


def timed(lab, tool, move, options, repeats):
    """(the Sets, what a plan says, milliseconds of each time there and back)"""
    times = []
    for _ in range(repeats):
        lab.fabric.counters_reset()
        path, there = tool.apply([move], "--timeout-ms", TIMEOUT_MS, *options)
        assert lab.fabric.lft_sets()["physical"] == there["lft_sets_physical"] and there["resent"] == 0, there
        back = tool.ask("undo", path, "--timeout-ms", TIMEOUT_MS, *options[:4])
        times += [there["sets_us"] / 1000, back["sets_us"] / 1000]
    return there, times


def measure_windows(lab, tool, move, options, repeats):
    row = {}
    for window in WINDOWS:
        there, times = timed(lab, tool, move, ["--window", window, *options], repeats)
        row[str(window)] = round(statistics.median(times), 2)
    return there, row


def measure(size, k_us, r_us, repeats):
    argv, _ = scheduling()
    with RawLab((size,), node="h1", from_node="h2") as lab:
        lab.fabric.opensm_stop()
        nodes = lab.tool.ask("dump")["nodes"]
        start = next(node["guid"] for node in nodes if node["description"] == "h2")
        hops = hops_by_switch(nodes, start)
        move = dearest_move(lab, len(hops))
        sets = lab.tool.ask("plan", move)["change"]["changes"]
        delay(lab.fabric, k_us, r_us)
        tool = Tool(lambda words, seconds: lab.run([*argv, *words], seconds), lab.tool.program, lab.fabric.directory)
        tool.numbers = lab.tool.numbers
        mean_hops = statistics.mean(hops[change["switch_guid"]] for change in sets)
        row = {"switches": len({change["switch_guid"] for change in sets}), "sets": len(sets), "mean_hops": round(mean_hops, 3)}
        for route in ROUTES:
            expected = len(sets) * (k_us + (r_us * mean_hops if route == "directed" else 0)) / 1000
            _, measured = measure_windows(lab, tool, move, ["--route", route], repeats)
            row[route] = {"expected_ms": round(expected, 2), "measured_ms": measured,
                          "ratio": round(measured["1"] / expected, 3), "gain": gains(measured)}
        there, measured = measure_windows(lab, tool, move, ["--route", "lid", "--order", "consistent"], repeats)
        row["consistent"] = {"waves": there["waves"], "sets": there["lft_sets_physical"], "measured_ms": measured,
                             "gain": gains(measured)}
    return row


def gains(measured):
    return {window: round(measured["1"] / ms, 1) for window, ms in measured.items()}
