#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""libtether.so in programs that use no verbs: they say and do the same with it as without; no descriptor, no thread, no
library, no variable, no handler of a signal more. Needs root, for a program that runs as another user."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import Build  # noqa: E402
from lab.tap import Tap  # noqa: E402

END_S = 60
OWNER, OTHER = 65534, 1  # of the setuid program, and who runs it
LOADED = re.compile(r"^library .*/libtether\.so\n", re.MULTILINE)
PRELOADED = re.compile(r"^variable LD_PRELOAD=.*\n", re.MULTILINE)

BASH = r"""
set -o pipefail
trap 'echo trapped' USR1
kill -USR1 $$
f() { local x=$(echo in | tr a-z A-Z); echo "$x"; }
for i in 1 2 3; do (f; exit $i); echo "status $?"; done
seq 100 | sort -rn | head -3 | while read n; do echo "n $n"; done
diff <(echo a) <(echo b) || echo differs
sleep 0 & wait $!
coproc cat; echo hello >&"${COPROC[1]}"; read line <&"${COPROC[0]}"; echo "$line"
exec 7<<<"here"; cat <&7
{ bash -c 'kill -9 $$'; } 2>/dev/null; echo "killed $?"
ls /proc/self/fd | wc -l
exec sh -c 'echo last; exit 42'
"""
PYTHON = r"""
import multiprocessing, os, socket, sqlite3, ssl, subprocess, sys, threading
with multiprocessing.get_context("fork").Pool(4) as pool:
    print(sum(pool.map(abs, range(-100, 100))))
threads = [threading.Thread(target=os.getpid) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
pid = os.fork()
if not pid:
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(subprocess.run(["sh", "-c", "echo out; exit 5"], capture_output=True))
print(os.waitpid(os.posix_spawn("/bin/false", ["false"], os.environ), 0)[1])
print(sorted(os.listdir("/proc/self/fd")), threading.active_count(), len(os.listdir("/proc/self/task")))
sys.exit(4)
"""


class Both:
    """A program without the shim and with it, in the environment of a VM."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        self.log = os.path.join(folder, "shim.log")
        self.without = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        self.without.update(TETHER_AGENT=f"unix:{folder}/agent.sock", TETHER_LOG=self.log)

    def env(self, shim):
        libraries = [*self.build.sanitizer(), *([self.build.library("libtether.so")] if shim else [])]
        return {**self.without, **({"LD_PRELOAD": " ".join(libraries)} if libraries else {})}

    def run(self, argv, shim, **how):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=END_S, env=self.env(shim), stdin=subprocess.DEVNULL, **how)
        return done.returncode, done.stdout, done.stderr

    def same(self, argv, status=0, **how):
        """What it says with the shim, which is what it says without."""
        plain, with_it = self.run(argv, False, **how), self.run(argv, True, **how)
        assert plain[0] == status, plain
        assert without_shim(with_it) == without_shim(plain), f"without:\n{plain}\nwith:\n{with_it}"
        assert not with_it[2], with_it[2]
        assert not os.path.exists(self.log), "something was logged"
        return with_it[1]


def without_shim(said):
    return said[0], PRELOADED.sub("", LOADED.sub("", said[1])), said[2]


def bash(both):
    assert "last" in both.same(["bash", "-c", BASH], 42)


def python(both):
    both.same([sys.executable, "-c", PYTHON], 4)


def its_own_process(both):
    said = both.same([both.build.program("no-verbs"), "state"])
    assert LOADED.search(said), "the shim was not loaded"
    assert "libibverbs" not in said and "libnl" not in said, said


def in_children(both, way):
    assert LOADED.search(both.same([both.build.program("no-verbs"), way])), "the shim was not loaded"


def a_tree_of_forks(both):
    both.same([both.build.program("no-verbs"), "tree", "6"], 127)


def threads_that_fork(both):
    both.same([both.build.program("no-verbs"), "threads"])


def a_daemon_that_closes_everything(both):
    said = []
    for shim in (False, True):
        path = os.path.join(both.folder, "daemon")
        assert both.run([both.build.program("no-verbs"), "daemon", path], shim) == (0, "", "")
        with open(path) as state:
            said.append((0, state.read(), ""))
        os.unlink(path)
    assert without_shim(said[0]) == without_shim(said[1]), said
    assert [line for line in said[1][1].splitlines() if line.startswith("descriptor")] == [f"descriptor {n}" for n in range(3)], said


def exit_statuses(both):
    for status in (0, 1, 77, 255):
        both.same(["sh", "-c", f"exit {status}"], status)
    for number in (signal.SIGTERM, signal.SIGKILL):
        both.same([both.build.program("no-verbs"), "signal", str(int(number))], -number)


def an_empty_environment(both):
    said = both.same(["env", "-i", both.build.program("no-verbs"), "state"])
    assert "libtether" not in said and "variable" not in said, said


def a_static_program(both):
    said = both.same([both.build.program("no-verbs-static"), "state"])
    assert "library" not in said, said


def a_setuid_program(both):
    program = os.path.join(both.folder, "setuid")
    shutil.copy(both.build.program("no-verbs"), program)
    os.chown(program, OWNER, -1)
    os.chmod(program, 0o4755)
    said = both.same([program, "state"], user=OTHER)
    assert f"Uid:\t{OTHER}\t{OWNER}\t" in said, said
    assert "libtether" not in said, said


def main():
    tap = Tap()
    build = Build()
    if os.geteuid():
        sys.exit(77)
    tests = [bash, python, its_own_process, a_tree_of_forks, threads_that_fork, a_daemon_that_closes_everything, exit_statuses,
             an_empty_environment, a_setuid_program]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        both = Both(build, folder)
        for test in tests:
            tap.run(test.__name__, test, both)
        for way in ("vfork", "spawn"):
            tap.run(f"a_child_by_{way}", in_children, both, way)
        if not build.sanitizer():
            tap.run("a_static_program", a_static_program, both)
    tap.exit()


main()
