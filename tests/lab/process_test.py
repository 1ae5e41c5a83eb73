#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a lab has started keeps its number when it has ended, and so does its group, until it is taken down: nobody else is signalled
in its place."""
import os
import select
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import Late  # noqa: E402
from lab.process import Process  # noqa: E402
from lab.tap import Tap  # noqa: E402

END_S = 60
LEFT = 'sleep 600 & echo $! >"$0"; exit 3'  # it has started somebody, and ends


def is_there(number):
    """Also when it has ended, while it keeps its number."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def who_has_ended_keeps_its_number_until_it_is_killed(log):
    process = Process("ends", ["sh", "-c", "exit 3"], log)
    assert process.wait(END_S) == process.poll() == 3
    process.signal(signal.SIGTERM)
    assert is_there(process.pid) and process.poll() == 3
    process.kill()
    assert not is_there(process.pid) and process.poll() == 3


def who_was_killed_is_not_killed_again(log):
    process = Process("killed", ["sleep", "600"], log)
    process.kill()
    signalled, killpg = [], os.killpg
    os.killpg = lambda group, number: signalled.append((group, number))
    try:
        process.kill()
    finally:
        os.killpg = killpg
    assert not signalled and process.poll() == -signal.SIGKILL, (signalled, process.poll())


def what_it_has_started_ends_with_it(log):
    process = Process("leaves", ["sh", "-c", LEFT, log + ".left"], log)
    assert process.wait(END_S) == 3
    with open(log + ".left") as left:
        child = os.pidfd_open(int(left.read()))
    process.kill()
    ends = select.poll()
    ends.register(child, select.POLLIN)
    assert ends.poll(1000 * END_S), "it lives on"
    os.close(child)


def who_does_not_end_is_late(log):
    process = Process("stays", ["sleep", "600"], log)
    try:
        process.wait(0)
    except Late:
        pass
    else:
        raise AssertionError("it has ended")
    finally:
        process.kill()


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as directory:
        for test in (who_has_ended_keeps_its_number_until_it_is_killed, who_was_killed_is_not_killed_again,
                     what_it_has_started_ends_with_it, who_does_not_end_is_late):
            tap.run(test.__name__, test, os.path.join(directory, "log"))
    tap.exit()


main()
