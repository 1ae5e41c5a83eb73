#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Programs that come to libibverbs by dlopen(3), as NCCL does: in every way they get what is wrapped, under the versions
that they ask for, and they move."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import START_S, CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402

END_S = 60
LIBIBVERBS = "/usr/lib/x86_64-linux-gnu/libibverbs.so.1"
WAYS = [["name"], ["name", "libibverbs.so"], ["name", LIBIBVERBS], ["name", os.path.realpath(LIBIBVERBS)], ["noload"], ["missing"],
        ["unread"], ["base"], ["namespace"], ["next"], ["library"]]


def says_nothing(build, argv, **env):
    preload = " ".join([*build.sanitizer(), build.library("libtether.so")])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=END_S, env={**os.environ, "LD_PRELOAD": preload, **env})
    assert done.returncode == 0 and not done.stdout + done.stderr, f"{done.returncode} {done.stdout}{done.stderr}"


def the_callers_runpath_counts(build):
    with tempfile.TemporaryDirectory() as folder:
        own = os.path.join(folder, "own")
        os.mkdir(own)
        shutil.copy(LIBIBVERBS, own)
        shutil.copy(build.program("dlopen-ways"), folder)
        says_nothing(build, [os.path.join(folder, "dlopen-ways"), "runpath"], EXPECTED_FOLDER=own)


def process(lab, vm):
    """Not linked with libibverbs."""
    env = {"TETHER_AGENT": "unix:" + lab.path("vms", f"{vm}.sock")}
    peer = Peer(lab.fabric, vm=vm, preload=lab.build.preload(True), env=env, program="verbs-shell-by-dlopen").open("plain")
    peer.qp()
    return peer


def write_arrives(a, b, word):
    a.do("fill", 0, 64, word)
    a.do("write", 0, word, 0, 64, **b.target())
    assert a.poll("send") == (word, "success"), "not written"
    assert "same" in b.do("same", 0, 64, word), "not there"


def they_move(lab):
    a, b = process(lab, "vm1"), process(lab, "vm2")
    connect(a, b)
    word = 0
    for vm, host in (("vm1", "hyp3"), ("vm2", "hyp4"), ("vm1", "hyp1")):
        lab.migrate(vm, host)
        for one, other in ((a, b), (b, a)):
            word += 1
            write_arrives(one, other, word)
    assert a.end() == 0 and b.end() == 0


def what_is_opened_in_another_namespace_is_refused_by_name(lab):
    log = lab.path("elsewhere.shim")
    program = lab.run_in_vm("vm1", "elsewhere", [lab.build.program("dlopen-ways"), "namespace-for-long"],
                            env={"TETHER_LOG": log, "TETHER_LOG_LEVEL": "debug"})
    wait_until("its agent knows it", lambda: os.path.exists(log) and "welcomed by" in open(log, errors="replace").read(), START_S,
               [program.log], [program])
    try:
        said = str(lab.migrate("vm1", "hyp3"))
    except CommandFailed as failed:
        said = str(failed)
    assert "veto-elsewhere" in said, said
    program.kill()


def main():
    tap = Tap()
    build = Build()
    for way in WAYS:
        tap.run(" ".join(["by", *way]), says_nothing, build, [build.program("dlopen-ways"), *way])
    tap.run("the_callers_runpath_counts", the_callers_runpath_counts, build)
    with System() as lab:
        lab.start()
        for test in (they_move, what_is_opened_in_another_namespace_is_refused_by_name):
            tap.run(test.__name__, test, lab)
    tap.exit()


main()
