#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs over the kernel's verbs, under libtether with an agent in each guest, and nothing moves: they do what they
do without it."""
import difflib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import last_json  # noqa: E402
from vm import programs  # noqa: E402
from vm.programs import LAUNCHER, RSOCKETS, Pair  # noqa: E402
from vm.system import RC_ARGUMENTS, VmSystem  # noqa: E402

COUNT = "2000" if FULL else "100"
SECONDS = 30 if FULL else 2
MODES = ([], ["--use_old_post_send"])
PERFTEST = [("ib_send_lat",), ("ib_write_bw",), ("ib_read_bw",), ("ib_atomic_bw",), ("ib_send_bw", "-c", "UD"),
            ("ib_send_lat", "-c", "UD")]
MORE_PERFTEST = [("ib_write_lat",), ("ib_send_bw", "-e"), ("ib_send_bw", "-b"), ("ib_read_lat",), ("ib_atomic_lat",),
                 ("ib_send_bw", "-q", "4", "--use-srq"), ("ib_write_bw", "-a")]
PINGPONGS = [("ibv_rc_pingpong",), ("ibv_rc_pingpong", "-e"), ("ibv_ud_pingpong",), ("ibv_srq_pingpong",), ("ibv_uc_pingpong",)]
BY_RDMA_CM = [
    ("rping -s -a {0} -C 10 -v", "rping -c -a {0} -C 10 -v"),
    ("udaddy -b {0}", "udaddy -s {0}"),
    ("ucmatose -b {0} -c 4", "ucmatose -s {0} -c 4"),
    ("rdma_server", "rdma_client -s {0}"),
    ("rstream -b {0} -S 4096 -I 20", "rstream -s {0} -S 4096 -I 20"),
]
HIDDEN = ("device_cap_flags", "AUTO_PATH_MIG", "SRQ_RESIZE")
SHOW = "ibv_devinfo -v\ncat /sys/class/net/$(cat /sys/class/infiniband/*/parent)/address\n"


class Programs(Pair):
    def is_under_libtether(self, launcher):
        """What the tests below mean by that: the library is there, and its agent has taken it in."""
        self.client.run(f"rm -f /tmp/shim.log; TETHER_LOG_LEVEL=debug {launcher} ibv_devinfo")
        self.client.run("grep -q 'link: welcomed' /tmp/shim.log")

    def shows_the_device(self, launcher):
        """GIDs, MAC, GUIDs and limits: all that there is to see, but for what libtether does not offer (preload/DESIGN.md)."""
        self.client.put("/tmp/show", SHOW)
        plain, shown = (hidden_apart(self.client.run(f"{how} sh /tmp/show")) for how in ("", launcher))
        assert all(word in plain for word in ("GID[  0]", "fe80::", "GID[  1]", "::ffff:10.77", "52:54:00:")), plain
        assert shown == plain, "\n".join(difflib.unified_diff(plain.splitlines(), shown.splitlines(), lineterm=""))

    def ud_verify(self, launcher, gid_index):
        gid = f"-x {gid_index}"
        served, said = self.verify(launcher, "ud-verify", programs.UD_VERIFY_PORT, gid, f"{gid} -D {SECONDS}")
        assert last_json(said)["received"] and not last_json(said)["lost"] and not last_json(served)["lost"], said + served

    def rc_verify(self, launcher, *arguments):
        ours = f"-x 1 -Q {' '.join(RC_ARGUMENTS)}"
        self.verify(launcher, "rc-verify", programs.RC_VERIFY_PORT, "-x 1 -Q", f"{ours} -n {COUNT} {' '.join(arguments)}")

    def rsockets(self, launcher):
        """A plain TCP program, whose sockets become connections of rdma_cm: not one of them is the kernel's."""
        before = self.client.run("grep Tcp: /proc/net/snmp | awk 'NR == 2 {print $6}'")
        self.by_rdma_cm(f"{RSOCKETS} {launcher} tcp-echo 5000", f"{RSOCKETS} {launcher} tcp-echo 5000 {self.address} 40960")
        assert self.client.run("grep Tcp: /proc/net/snmp | awk 'NR == 2 {print $6}'") == before, before


def hidden_apart(said):
    return "\n".join(line for line in said.splitlines() if not any(word in line for word in HIDDEN))


def rows(pair, launcher):
    """(what, check, arguments) of all programs."""
    for program in PERFTEST + (MORE_PERFTEST if FULL else []):
        for mode in MODES:
            name, *arguments = [*program, *mode]
            yield " ".join([name, *arguments]), pair.perftest, (launcher, name, "-n", COUNT, *arguments)
    for name, *arguments in PINGPONGS:
        yield " ".join([name, *arguments]), pair.pingpong, (launcher, name, "-n", COUNT, *arguments)
    for server, client in BY_RDMA_CM:
        where = pair.address
        yield server.split()[0], pair.by_rdma_cm, (f"{launcher} {server.format(where)}", f"{launcher} {client.format(where)}")
    yield "a TCP program over rsockets", pair.rsockets, (launcher,)
    yield "rc-verify", pair.rc_verify, (launcher,)
    yield "rc-verify, other queues", pair.rc_verify, (launcher, "--receives shared --cq each --extended-cq")
    for gid_index in (0, 1):
        yield f"ud-verify from GID {gid_index}", pair.ud_verify, (launcher, gid_index)


def main():
    tap = Tap()
    with VmSystem(hosts=("h1", "h2"), vfs=("vf0",)) as lab:
        guests = lab.start(("one", "h1"), ("other", "h2"))
        pair = Programs(*guests, guests[0].rdma_device(lab.mac("h1", "vf0"))[2])
        tap.run("under libtether, behind an agent", pair.is_under_libtether, LAUNCHER)
        tap.run("a device looks as it does without", pair.shows_the_device, LAUNCHER)
        for what, check, arguments in rows(pair, LAUNCHER):
            if not tap.run(what, check, *arguments):
                print("".join(f"# {line}\n" for line in lab.words().splitlines()), end="")
    tap.exit()


main()
