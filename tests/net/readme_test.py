#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""README, "One machine by hand": its commands, as they stand there, do what it says.

They run in a copy of the few files that they name, beside this build, and on a network of their own, so that the port
that they use is free.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import Tap  # noqa: E402

ALONE = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-n"]
# Where that is not allowed, on this machine's own network.
NETWORK = ALONE if subprocess.run([*ALONE, "true"], stderr=subprocess.DEVNULL).returncode == 0 else []
SHELL = "ip link set lo up && exec bash" if NETWORK else "exec bash"


def blocks():
    """What stands between ``` in that chapter."""
    with open(os.path.join(TOP, "README.md")) as readme:
        chapter = readme.read().split("## One machine by hand\n")[1].split("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", chapter, re.M | re.S)


class Machine:
    """A newcomer's: a checkout that was built, and a shell in it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tether-readme.")
        os.mkdir(self.path("build"))
        for name in ("bin", "lib"):
            os.symlink(os.path.join(os.path.abspath(Build().directory), name), self.path("build", name))
        shutil.copytree(os.path.join(TOP, "demo-apps/one_machine"), self.path("demo-apps/one_machine"))
        self.shell = subprocess.Popen([*NETWORK, "sh", "-c", SHELL], cwd=self.directory, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def type(self, text):
        self.shell.stdin.write(text)
        self.shell.stdin.flush()

    def says(self, text):
        """What @text prints, and its exit status."""
        self.type(text.rstrip("\n") + "\necho; echo the end of it: $?\n")
        said = ""
        while line := self.shell.stdout.readline():
            if line.startswith("the end of it: "):
                return said.strip("\n"), int(line.split()[-1])
            said += line
        raise AssertionError(f"the shell has ended: {said}")

    def logs(self):
        found = ""
        for name in ("smd.log", "agent.log"):
            if os.path.exists(self.path("build/one", name)):
                with open(self.path("build/one", name)) as log:
                    found += log.read()
        return found

    def end(self):
        if self.shell.poll() is None:
            os.killpg(self.shell.pid, signal.SIGTERM)
            self.shell.stdin.close()
        said = self.shell.stdout.read()
        self.shell.wait(30)
        shutil.rmtree(self.directory)
        return said


def three_commands_bring_it_up_and_a_fourth_shows_it(machine):
    three, fourth, shown = blocks()
    assert len(three.splitlines()) == 3 and len(fourth.splitlines()) == 1, (three, fourth)
    machine.type(three)

    def agents():
        said, status = machine.says(fourth)
        rows = [line.split() for line in said.splitlines()]
        return rows if status == 0 and len(rows) == 2 and rows[1][-1] == "ms" else None

    wait_until("the agent is there", agents)
    wanted = [line.split() for line in shown.splitlines()]
    rows = agents()
    # How long the answer takes is the one thing that differs: the last number.
    assert rows[0] == wanted[0] and rows[1][:-2] == wanted[1][:-2] and rows[1][-1] == wanted[1][-1], (rows, wanted)


def the_links_are_tls(machine):
    said = json.loads(machine.says("build/bin/tether --api build/one/api.sock agents --json")[0])
    assert [agent["name"] for agent in said["agents"]] == ["here"], said
    assert "TLS at 127.0.0.1:4710" in machine.logs(), machine.logs()
    assert not os.path.exists(machine.path("build/one/agents.sock"))


def its_settings_are_good_ones(machine):
    for name in ("tether-smd --config demo-apps/one_machine/smd.conf", "tether-agent --config demo-apps/one_machine/agent.conf"):
        assert machine.says(f"build/bin/{name} --check-config") == ("", 0), machine.says(f"build/bin/{name} --check-config")


def what_ends_it_ends_it(machine):
    with open(os.path.join(TOP, "README.md")) as readme:
        command = re.search(r"`(kill %1 %2; wait; rm -r build/one)`", readme.read()).group(1)
    assert machine.says(command)[1] == 0
    wait_until("nothing runs", lambda: machine.says("jobs -r")[0] == "")
    assert sorted(os.listdir(machine.path("build"))) == ["bin", "lib"]


def main():
    tap = Tap()
    machine = Machine()
    for test in (three_commands_bring_it_up_and_a_fourth_shows_it, the_links_are_tls, its_settings_are_good_ones,
                 what_ends_it_ends_it):
        tap.run(test.__name__, test, machine)
    said = machine.end()
    for line in said.splitlines():
        print(f"# {line}")
    tap.exit()


main()
