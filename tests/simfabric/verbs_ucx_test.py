#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""UCX, unmodified, between two VMs of the demo fabric: it takes the device, and its verbs transports carry what it has to
carry, alone and together."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.ports import free_port  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_programs import VMS, run_both  # noqa: E402

ITERATIONS = "20000" if FULL else "1000"
# Short, copied and with a rendezvous.
SIZES = ["8", "5000", "300000"]
TESTS = ["tag_lat", "tag_bw", "ucp_am_lat", "ucp_put_bw", "ucp_get", "ucp_fadd", "stream_bw"]
TRANSPORTS = ["rc_verbs,ud_verbs,self", "ud_verbs"]
NODE = "/dev/infiniband/uverbs0"


def device_is_taken(fabric):
    shown = fabric.run("ucx_info", "-d", vm="vm1").stdout
    devices = [line.split()[-1] for line in shown.splitlines() if "Device:" in line]
    assert devices.count("hyp1_vf1:1") == 2, shown
    for transport in ("rc_verbs", "ud_verbs"):
        assert f"Transport: {transport}" in shown, shown


def ask(fabric, vm, *question):
    """What /usr/bin/test says, which asks by stat()."""
    return not fabric.run("/usr/bin/test", *question, vm=vm, check=False).returncode


def may(fabric, vm, path):
    """What access() says of reading and writing, and of executing."""
    code = f"import os; print(os.access('{path}', os.R_OK | os.W_OK), os.access('{path}', os.X_OK))"
    return fabric.run("/usr/bin/python3", "-c", code, vm=vm).stdout.split()


def node_is_there(fabric):
    assert ask(fabric, "vm1", "-c", NODE)
    assert may(fabric, "vm1", NODE) == ["True", "False"]
    assert not ask(fabric, "vm1", "-e", NODE + "0")


def node_is_not_there(fabric):
    assert not ask(fabric, "vm3", "-e", NODE)
    assert may(fabric, "vm3", NODE) == ["False", "False"]
    assert ask(fabric, "vm3", "-c", "/dev/null")
    assert may(fabric, "vm3", "/dev/null") == ["True", "False"]


def perftest(fabric, transports, test, size):
    port = free_port()
    argv = ["ucx_perftest", "-p", port, "-t", test, "-s", size, "-n", ITERATIONS, "-w", "10"]
    env = {"UCX_TLS": transports, "UCX_LOG_LEVEL": "warn"}
    said, shown = run_both(fabric, argv, [*argv, "127.0.0.1"], port, VMS, env)
    assert "Final:" in said and "ERROR" not in shown and "WARN" not in shown, shown


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        fabric.cli("vm", "add", "vm1", "hyp1_vf1")
        fabric.cli("vm", "add", "vm2", "hyp2_vf1")
        fabric.cli("vm", "add", "vm3")
        tap.run("node_is_there_for_who_has_the_device", node_is_there, fabric)
        tap.run("node_is_not_there_without_a_device", node_is_not_there, fabric)
        tap.run("device_is_taken", device_is_taken, fabric)
        for transports in TRANSPORTS:
            for number, test in enumerate(TESTS):
                for size in ["8"] if test == "ucp_fadd" else SIZES if FULL else [SIZES[number % len(SIZES)]]:
                    tap.run(f"{transports} {test} {size}", perftest, fabric, transports, test, size)
    tap.exit()


main()
