#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libtether.so against the installed libibverbs: every public symbol that takes or returns an object is wrapped under the
version that programs bind, and nothing else is defined in a stranger's process."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.tap import Tap  # noqa: E402

LIBIBVERBS = "/usr/lib/x86_64-linux-gnu/libibverbs.so.1"
# No object goes in or comes out: strings, rates, fork support, conversions for rdma_cm, sysfs; and what providers call.
PASS_BY = {
    "ibv_copy_ah_attr_from_kern", "ibv_copy_path_rec_from_kern", "ibv_copy_path_rec_to_kern", "ibv_copy_qp_attr_from_kern",
    "ibv_dofork_range", "ibv_dontfork_range", "ibv_event_type_str", "ibv_fork_init", "ibv_get_sysfs_path",
    "ibv_is_fork_initialized", "ibv_node_type_str", "ibv_port_state_str", "ibv_rate_to_mbps", "ibv_rate_to_mult",
    "ibv_read_sysfs_file", "ibv_wc_status_str", "mbps_to_ibv_rate", "mult_to_ibv_rate",
    "ibv_register_driver",
}
LIBC = {"dlopen"}
VERSION = re.compile(r"IBVERBS_1\.\d+$")


def defined(path):
    """{name: version or None} of what @path defines under its default version."""
    text = subprocess.run(["objdump", "-T", path], capture_output=True, text=True, check=True).stdout
    found = {}
    for row in text.splitlines():
        fields = row.split()
        if len(fields) < 6 or "*UND*" in row or "*ABS*" in row:
            continue
        version, name = fields[-2], fields[-1]
        if VERSION.match(version):
            found[name] = version
        elif not version.startswith("("):
            found.setdefault(name, None)
    return found


def main():
    tap = Tap()
    real = {name: version for name, version in defined(LIBIBVERBS).items() if version}
    shim = defined(Build().library("libtether.so"))

    def every_symbol_is_wrapped_or_known_to_pass_by():
        missing = sorted(set(real) - set(shim) - PASS_BY)
        assert not missing, f"neither wrapped nor known to pass by: {missing}"

    def what_passes_by_is_not_wrapped():
        assert not PASS_BY & set(shim), sorted(PASS_BY & set(shim))

    def versions_are_those_that_programs_bind():
        wrong = {name: (version, real.get(name)) for name, version in shim.items()
                 if name not in LIBC and version != real.get(name)}
        assert not wrong, wrong

    def libc_functions_are_unversioned_and_few():
        unversioned = {name for name, version in shim.items() if version is None}
        assert unversioned == LIBC, unversioned

    for test in (every_symbol_is_wrapped_or_known_to_pass_by, what_passes_by_is_not_wrapped,
                 versions_are_those_that_programs_bind, libc_functions_are_unversioned_and_few):
        tap.run(test.__name__, test)
    tap.exit()


main()
