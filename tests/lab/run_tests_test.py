#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tests/run_tests itself, with programs that pass, fail, crash, hang and are interrupted. When something is under way is
told by FIFOs: a test's program opens one to say so, and waits at another."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.tap import Tap  # noqa: E402

END_S = 300
NOBODY = 65534
PASSES = "echo 'ok 1 - one'; echo '# | a table'; echo 'ok 2 - two'"
FAILS = "echo 'ok 1 - one'; echo 'not ok 2 - two'; echo '# why it failed'; exit 1"
# What a test does that takes down what it has started, here a file.
CLEANS_UP = "trap 'rm {place}/started; exit 143' TERM; touch {place}/started; cat {place}/never & wait"


class Place:
    """A folder with programs for it, and runs."""

    def __init__(self, place):
        self.place = place
        for fifo in ("begun", "never"):
            os.mkfifo(self.path(fifo))

    def path(self, name):
        return os.path.join(self.place, name)

    def program(self, name, text):
        path = self.path(name)
        with open(path, "w") as out:
            out.write("#!/bin/sh\n" + text.format(place=self.place) + "\n")
        os.chmod(path, 0o755)
        return path

    def start(self, *programs, lanes=2, options=(), env=None):
        return subprocess.Popen([os.path.join(TOP, "tests", "run_tests"), "--build", self.path("build"), "--lanes", str(lanes),
                                 *options, *programs], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                cwd=self.place, env=env)

    def run(self, *programs, **how):
        """(exit status, lines)"""
        return ended(self.start(*programs, **how))

    def wait_begun(self):
        with open(self.path("begun")) as begun:
            begun.read()


def ended(child):
    said = child.communicate(timeout=END_S)[0]
    return child.returncode, said.splitlines()


@contextlib.contextmanager
def a_place():
    with tempfile.TemporaryDirectory(prefix="run_tests-") as place:
        yield Place(place)


def row_of(lines, name):
    """(mark, passed, failed, why) of the program @name."""
    row = re.compile(rf"(ok|FAIL) +{name} +(\d+) passed +(\d+) failed +[\d.]+ s +[\d.]+ s busy  (.*)")
    rows = [found for found in map(row.fullmatch, lines) if found]
    assert len(rows) == 1, lines
    return rows[0][1], int(rows[0][2]), int(rows[0][3]), rows[0][4]


def those_that_pass_are_added_up():
    with a_place() as b:
        status, lines = b.run(b.program("a", PASSES), b.program("b", PASSES))
        assert status == 0 and lines[-1] == "4 passed, 0 failed", lines
        assert re.fullmatch(r"2 programs in \d+ s", lines[-2]), lines
        assert row_of(lines, "a") == ("ok", 2, 0, "") and lines.count("     | a table") == 2, lines
        assert "ok 1 - one" not in lines
        assert "ok 1 - one" in open(b.path("build/log/a.log")).read()


def all_of_one_that_fails_is_shown():
    with a_place() as b:
        status, lines = b.run(b.program("a", FAILS), b.program("b", PASSES))
        assert status == 1 and lines[-1] == "3 passed, 1 failed", lines
        assert row_of(lines, "a") == ("FAIL", 1, 1, "") and row_of(lines, "b") == ("ok", 2, 0, ""), lines
        at = lines.index("not ok 2 - two")
        assert lines[at - 1:at + 2] == ["ok 1 - one", "not ok 2 - two", "# why it failed"], lines


def one_that_fails_says_so_by_its_status_alone():
    with a_place() as b:
        status, lines = b.run(b.program("a", PASSES + "; exit 3"))
        assert status == 1 and row_of(lines, "a") == ("FAIL", 2, 1, "exit status 3"), lines


def one_that_crashes_fails():
    with a_place() as b:
        status, lines = b.run(b.program("a", PASSES + "; kill -SEGV $$"))
        assert status == 1 and row_of(lines, "a") == ("FAIL", 2, 1, f"exit status -{signal.SIGSEGV.value}"), lines


def one_that_cannot_be_started_fails_and_the_others_go_on():
    with a_place() as b:
        program = b.program("a", PASSES)
        os.chmod(program, 0o644)
        status, lines = b.run(program, b.program("b", PASSES))
        assert status == 1 and row_of(lines, "a") == ("FAIL", 0, 1, "exit status 126"), lines
        assert row_of(lines, "b") == ("ok", 2, 0, "") and "Permission denied" in "".join(lines), lines


def one_that_tests_nothing_fails():
    with a_place() as b:
        status, lines = b.run(b.program("a", "true"))
        assert status == 1 and row_of(lines, "a") == ("FAIL", 0, 1, "ran no test"), lines


def who_skips_as_root_fails():
    with a_place() as b:
        status, lines = b.run(b.program("a", "exit 77"))
        wanted = ("FAIL", 0, 1, "exit status 77") if os.geteuid() == 0 else ("ok", 0, 0, "skipped")
        assert row_of(lines, "a") == wanted and status == 1, lines


def one_that_hangs_is_told_and_fails():
    with a_place() as b:
        hangs = b.program("hangs", "echo 'ok 1 - one'\n" + CLEANS_UP)
        run = b.start(hangs, b.program("a", PASSES), options=("--seconds", "4"))
        status, lines = ended(run)
        assert status == 1 and row_of(lines, "hangs") == ("FAIL", 1, 1, "exit status no end after 4.0 s"), lines
        assert row_of(lines, "a") == ("ok", 2, 0, "") and not os.path.exists(b.path("started")), lines


def what_somebody_leaves_is_killed():
    with a_place() as b:
        status, lines = b.run(b.program("a", "cat {place}/never & echo $! > {place}/left; echo 'ok 1 - one'"))
        left = int(open(b.path("left")).read())
        assert status == 0 and lines[-1] == "1 passed, 0 failed", lines
        wait_until("what was left is gone", lambda: not is_alive(left), END_S)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def both_take_down_what_they_have_started(number):
    with a_place() as b:
        both = [b.program(name, CLEANS_UP.replace("started", f"started-{name}")) for name in "ab"]
        run = b.start(*both, b.program("c", PASSES))
        wait_until("both have begun", lambda: all(os.path.exists(b.path(f"started-{name}")) for name in "ab"), END_S)
        run.send_signal(number)
        status, lines = ended(run)
        assert status == 128 + number and not lines, (status, lines)
        assert not [name for name in os.listdir(b.place) if name.startswith("started")]
        assert not os.path.exists(b.path("build/log/c.log"))


def two_run_side_by_side_and_no_more():
    """Each of two waits for the other; there is no third then."""
    with a_place() as b:
        for fifo in "ab":
            os.mkfifo(b.path(fifo))
        alone = "test ! -e {place}/third.ran && echo 'ok 1 - met'"
        meeting = [b.program("first", "echo > {place}/a; " + alone + "; read word < {place}/b"),
                   b.program("second", "read word < {place}/a; " + alone + "; echo > {place}/b")]
        status, lines = b.run(*meeting, b.program("third", "touch {place}/third.ran; " + PASSES))
        assert status == 0 and lines[-1] == "4 passed, 0 failed", lines


def blocks_are_not_mixed():
    """Two that fail, and that say so word by word in turn."""
    with a_place() as b:
        for fifo in "ab":
            os.mkfifo(b.path(fifo))
        one = "for n in 1 2 3; do echo one-$n; echo > {place}/a; read word < {place}/b; done; exit 1"
        two = "for n in 1 2 3; do read word < {place}/a; echo two-$n; echo > {place}/b; done; exit 1"
        status, lines = b.run(b.program("one", one), b.program("two", two))
        for name in ("one", "two"):
            at = lines.index(f"{name}-1")
            assert row_of(lines, name)[0] == "FAIL" and lines[at:at + 3] == [f"{name}-{n}" for n in (1, 2, 3)], lines


def two_runs_at_once_in_one_build():
    """Of the same programs: each tells of its own."""
    with a_place() as b:
        program = b.program("a", "echo \"ok 1 - $GO\"; echo > {place}/begun; read word < {place}/$GO; echo \"ok 2 - $word\"\n"
                                 "exit 1")
        runs = []
        for word in ("left", "right"):
            os.mkfifo(b.path(word))
            runs.append(b.start(program, env={**os.environ, "GO": word}))
            b.wait_begun()
        for word in ("left", "right"):
            with open(b.path(word), "w") as go:
                go.write(word + "\n")
        texts = [ended(run)[1] for run in runs]
        for word, lines in zip(("left", "right"), texts):
            assert lines[1:3] == [f"ok 1 - {word}", f"ok 2 - {word}"] and lines[-1] == "2 passed, 1 failed", lines


TESTS = (those_that_pass_are_added_up, all_of_one_that_fails_is_shown, one_that_fails_says_so_by_its_status_alone,
         one_that_crashes_fails, one_that_cannot_be_started_fails_and_the_others_go_on, one_that_tests_nothing_fails,
         who_skips_as_root_fails, one_that_hangs_is_told_and_fails, what_somebody_leaves_is_killed,
         two_run_side_by_side_and_no_more, blocks_are_not_mixed, two_runs_at_once_in_one_build)


def main():
    tap = Tap()
    for test in TESTS:
        tap.run(test.__name__, test)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        tap.run(f"told_by_{number.name}_both_take_down_what_they_have_started", both_take_down_what_they_have_started, number)
    tap.exit()


main()
