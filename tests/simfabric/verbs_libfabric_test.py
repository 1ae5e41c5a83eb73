#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libfabric, unmodified, between two VMs of the demo fabric: its reliable datagrams over the verbs provider's unreliable
ones. (Other endpoints of that provider connect through rdma_cm, which is not there.)"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.ports import free_port  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from simfabric.lab import demo_fabric  # noqa: E402
from simfabric.verbs_programs import VMS, run_both  # noqa: E402

PROVIDER = "verbs;ofi_rxd"


def provider_is_there(fabric):
    shown = fabric.run("fi_info", "-p", PROVIDER, vm="vm1").stdout
    assert "hyp1_vf1-dgram" in shown and "FI_PROTO_RXD" in shown, shown


def pingpong(fabric, arguments):
    port = free_port()
    argv = ["fi_pingpong", "-p", PROVIDER, "-e", "rdm", *arguments]
    said, shown = run_both(fabric, [*argv, "-B", port], [*argv, "-P", port, "127.0.0.1"], port, VMS)
    assert "bytes" in said, shown


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
