#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libfabric, unmodified, between two VMs of the demo fabric: its reliable datagrams over the verbs provider's unreliable
ones. (Other endpoints of that provider connect through rdma_cm, which is not there.)"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.ports import free_port, is_listening  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric, tail, wait_until  # noqa: E402

END_S = 60
PROVIDER = "verbs;ofi_rxd"


def provider_is_there(fabric):
    shown = fabric.run("fi_info", "-p", PROVIDER, vm="vm1").stdout
    assert "hyp1_vf1-dgram" in shown and "FI_PROTO_RXD" in shown, shown


def pingpong(fabric, arguments):
    port = str(free_port())
    argv = ["fi_pingpong", "-p", PROVIDER, "-e", "rdm", *arguments]
    log = os.path.join(fabric.directory, f"fi-{port}.server")
    server = fabric.start(*argv, "-B", port, vm="vm1", output=log)
    wait_until("fi_pingpong listens", lambda: is_listening(int(port)) or server.poll() is not None, END_S, lambda: tail(log))
    client = fabric.run(*argv, "-P", port, "127.0.0.1", vm="vm2", seconds=END_S, check=False)
    status = server.wait(END_S)
    shown = f"client {client.returncode}, server {status}\n{client.stdout}{client.stderr}\n{tail(log)}"
    assert client.returncode == 0 and status == 0 and "bytes" in client.stdout, shown


def main():
    tap = Tap()
    with demo_fabric() as fabric:
        fabric.cli("vm", "add", "vm1", "hyp1_vf1")
        fabric.cli("vm", "add", "vm2", "hyp2_vf1")
        tap.run("provider_is_there", provider_is_there, fabric)
        # -c: every byte is compared.
        for arguments in (["-I", "2000", "-S", "64"], ["-I", "100" if FULL else "10", "-S", "all", "-c"]):
            tap.run(" ".join(["fi_pingpong", *arguments]), pingpong, fabric, arguments)
    tap.exit()


main()
