#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libsimfabric.so against the installed libibverbs: what takes one of our objects is ours, under the same version."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import build_directory  # noqa: E402

REAL = "/usr/lib/x86_64-linux-gnu/libibverbs.so.1"
# These look at numbers, strings, addresses and sysfs only, so the real ones serve.
PURE = set("""ibv_copy_ah_attr_from_kern ibv_copy_path_rec_from_kern ibv_copy_path_rec_to_kern ibv_copy_qp_attr_from_kern
ibv_dofork_range ibv_dontfork_range ibv_event_type_str ibv_get_sysfs_path ibv_node_type_str ibv_port_state_str
ibv_rate_to_mbps ibv_rate_to_mult ibv_read_sysfs_file ibv_wc_status_str mbps_to_ibv_rate mult_to_ibv_rate""".split())


def exported(library):
    """{name: default version} of the public IBVERBS versions"""
    text = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True).stdout
    # A version in parentheses is an old one beside the default.
    rows = re.findall(r"^\S+ g\s+DF \S+\s+\S+\s+(IBVERBS_[\d.]+)\s+(\w+)$", text, re.MULTILINE)
    return {name: version for version, name in rows}


def main():
    tap = Tap()
    real = exported(REAL)
    ours = exported(os.path.join(build_directory(), "lib", "libsimfabric.so"))
    tap.check(len(real) > 60, "the_installed_library_was_read", real)
    missing = set(real) - set(ours) - PURE
    tap.check(not missing, "no_symbol_that_takes_an_object_is_missing", sorted(missing))
    tap.check(not set(ours) - set(real), "no_symbol_is_invented", sorted(set(ours) - set(real)))
    wrong = {name: (ours[name], real[name]) for name in ours if real.get(name, ours[name]) != ours[name]}
    tap.check(not wrong, "versions_are_those_of_libibverbs", wrong)
    tap.exit()


main()
