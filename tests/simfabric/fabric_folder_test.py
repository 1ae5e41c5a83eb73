#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Nothing stays in shared memory: not of who is told to end, and not for long of who was killed."""
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.fabric_folder import Folder  # noqa: E402

MAKE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from simfabric.fabric_folder import Folder
from simfabric.lab import Fabric
{make}
    print({path}, flush=True)
    time.sleep(60)
"""
A_FOLDER = MAKE.format(make="folder = Folder(sys.argv[2])\nif True:", path="folder.path")
A_FABRIC = MAKE.format(make="with Fabric() as fabric:", path="fabric.folder.path")


class Maker:
    def __init__(self, script, *arguments):
        tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.child = subprocess.Popen([sys.executable, "-c", script, tests, *arguments], stdout=subprocess.PIPE, text=True)
        self.path = self.child.stdout.readline().strip()
        assert os.path.isdir(self.path), self.path

    def end(self, number):
        self.child.send_signal(number)
        self.child.stdout.close()
        return self.child.wait(20)


def the_next_removes_what_was_left(parent):
    maker = Maker(A_FOLDER, parent)
    maker.end(signal.SIGKILL)
    assert os.path.isdir(maker.path)
    folder = Folder(parent)
    assert not os.path.exists(maker.path) and os.path.isdir(folder.path)
    folder.remove()
    assert not os.listdir(parent)


def what_is_in_use_stays(parent):
    maker = Maker(A_FOLDER, parent)
    Folder(parent).remove()
    assert os.path.isdir(maker.path)
    maker.end(signal.SIGKILL)


def who_is_told_to_end_leaves_nothing(number):
    maker = Maker(A_FABRIC)
    assert maker.end(number) == 128 + number
    assert not os.path.exists(maker.path)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as parent:
        tap.run("the_next_removes_what_was_left", the_next_removes_what_was_left, parent)
        tap.run("what_is_in_use_stays", what_is_in_use_stays, parent)
    for number in (signal.SIGTERM, signal.SIGHUP):
        tap.run(f"who_is_told_to_end_by_{number.name}_leaves_nothing", who_is_told_to_end_leaves_nothing, number)
    tap.exit()


main()
