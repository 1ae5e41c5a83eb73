#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""plain-rebuild, with which bench-vm compares a move: on a fabric where nothing moves it closes, makes anew, connects and
sends, as often as it is told; what cannot be done is an error."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.ports import free_port  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import Pair  # noqa: E402

ROUNDS, QPS = 4, 3


def pair(lab, server_arguments=(), client_arguments=()):
    port = free_port()
    argv = [lab.build.program("plain-rebuild"), "-p", str(port)]
    return Pair(lab, "plain-rebuild", "vm2", "vm1", [*argv, *server_arguments], [*argv, *client_arguments, "localhost"], port,
                tether=False)


def all_rounds_are_done(lab):
    with pair(lab, (), ["-r", str(ROUNDS), "-q", str(QPS)]) as programs:
        assert programs.wait(30) == (0, 0), programs.words()
        said = json.loads(programs.client.output().splitlines()[-1])
    assert (said["rounds"], said["qps"]) == (ROUNDS, QPS), said
    assert 0 < said["min_ms"] <= said["plain_ms"] <= said["max_ms"], said


def a_device_that_is_not_there_is_an_error(lab):
    with pair(lab, (), ["-d", "nowhere"]) as programs:
        assert programs.wait(30) == (1, 1), programs.words()


def main():
    tap = Tap()
    with System() as lab:
        lab.start_fabric()
        lab.start_opensm()
        tap.run("all rounds are done", all_rounds_are_done, lab)
        tap.run("a device that is not there is an error", a_device_that_is_not_there_is_an_error, lab)
    tap.exit()


main()
