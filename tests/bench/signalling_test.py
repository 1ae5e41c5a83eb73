#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make bench-signalling: one message to each server that is concerned, one to each VM's end from its agent, one answer back;
what an agent spends on that in system calls. Small in check; under a sanitizer with 100 servers of 8 VMs, each an agent of
its own; whole (1000 of 16, and its gates) where counts are large."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402

SANITIZED = bool(os.environ.get("TETHER_SANITIZE"))
SERVERS, VMS, MIGRATIONS = (100, 8, 1) if SANITIZED else (1000, 16, 20) if FULL else (12, 4, 2)
WHOLE = FULL and not SANITIZED
SIZES = ((10, 100, 1000), (1, 4, 16)) if WHOLE else ((4, 8), (1, 2))
SYSCALLS_MOST = 60


def bench():
    options = ["--table", "" if SANITIZED else "x".join(",".join(map(str, numbers)) for numbers in SIZES)]
    options += [] if WHOLE else ["--no-gates"]
    done = subprocess.run([os.path.join(TOP, "tests/bench/run_bench_signalling"), "--build", Build().directory,
                           "--servers", str(SERVERS), "--vms", str(VMS), "--migrations", str(MIGRATIONS), *options],
                          capture_output=True, text=True, timeout=3600 if FULL or SANITIZED else 300)
    print("".join(f"# {line}\n" for line in done.stdout.splitlines()[-20:]), end="")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def one_message_a_server_and_one_a_vm(result):
    assert (result["servers"], result["vms_per_server"]) == (SERVERS, VMS), result
    assert result["events_from_sm"] == SERVERS, result
    assert result["events_from_sm_concerned"] == result["concerned"] < SERVERS, result
    assert result["deliveries"] == result["flat_events_from_sm"] == SERVERS * VMS, result


def agent_spends_few_system_calls(result):
    assert result["agent_syscalls"] is not None, "system calls are not counted here"
    assert all(0 < count <= SYSCALLS_MOST for count in result["agent_syscalls_most_by_step"].values()), result


def table_has_each_size(result):
    sizes = [(row["servers"], row["vms"]) for row in result["table"]]
    assert sizes == [(servers, vms) for servers in SIZES[0] for vms in SIZES[1]], sizes
    assert all(row["events_from_sm"] == row["servers"] and row["deliveries"] == row["servers"] * row["vms"]
               for row in result["table"]), result["table"]


def main():
    tap = Tap()
    result = {}
    tap.run("bench_signalling_ends_with_one_json_object", lambda: result.update(bench()))
    tap.run("one_message_a_server_and_one_a_vm", one_message_a_server_and_one_a_vm, result)
    if not SANITIZED:
        tap.run("agent_spends_few_system_calls", agent_spends_few_system_calls, result)
        tap.run("table_has_each_size", table_has_each_size, result)
    tap.exit()


main()
