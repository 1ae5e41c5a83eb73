#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Devices on Ethernet (RoCE): a port without LID, a GID of each kind, and programs that reach each other by these alone,
whatever their queue pairs are called."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import FINDINGS, RcVerify, perftest  # noqa: E402

GIDS = {"link-local": "0", "of an IPv4 address": "1"}


def said_of(lab, vm):
    return subprocess.run(["ibv_devinfo", "-v"], env=lab.environment(vm), capture_output=True, text=True, check=True).stdout


def the_port_has_gids_and_no_lid(lab):
    text = said_of(lab, "vm1")
    for row in "port_lid:\t\t0\n", "link_layer:\t\tEthernet", "fe80::", "::ffff:10.", "RoCE v2":
        assert row in text, f"{row!r} is not in\n{text}"


def rc_verify_is_exact(lab, gid):
    with RcVerify(lab, "vm2", "vm1", ["-n", "3000", "-x", gid], tether=False, server_arguments=["-x", gid]) as verify:
        verdicts = verify.results(60)
        assert verify.wait(1) == (0, 0), verify.words()
    for verdict in verdicts:
        assert verdict["ok"] and not any(verdict[name] for name in FINDINGS), verdict


def both_end_well(programs):
    with programs:
        assert programs.wait(60) == (0, 0), programs.words()


def datagrams_arrive(lab, gid):
    """The header in front of them has to name the GID that they are for, else they are dropped."""
    both_end_well(perftest(lab, "ibv_ud_pingpong", "vm2", "vm1", ["-n", "200", "-g", gid], tether=False))
    both_end_well(perftest(lab, "ib_send_lat", "vm2", "vm1", ["-n", "200", "-c", "UD", "-x", gid], tether=False))


def who_names_no_gid_is_refused(lab):
    with perftest(lab, "ibv_rc_pingpong", "vm2", "vm1", ["-n", "10"], tether=False) as programs:
        assert 0 not in programs.wait(60), programs.words()
        assert "Failed to modify QP to RTR" in programs.words(), programs.words()


def main():
    tap = Tap()
    with System(with_plugin=False) as lab:
        lab.start_fabric()
        lab.start_opensm()
        lab.fabric.cli("data-fault", "ethernet=1", "colliding_numbers=1")
        tap.run("the port has GIDs and no LID", the_port_has_gids_and_no_lid, lab)
        for kind, gid in GIDS.items():
            tap.run(f"rc-verify is exact by the GID {kind}", rc_verify_is_exact, lab, gid)
            tap.run(f"datagrams arrive by the GID {kind}", datagrams_arrive, lab, gid)
        tap.run("who names no GID is refused", who_names_no_gid_is_refused, lab)
    tap.exit()


main()
