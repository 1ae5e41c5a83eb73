# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Who is told to end takes down what it has started."""
import signal
import sys


def end_properly_when_told():
    """SIGTERM and SIGHUP unwind the stack as an exception does, instead of ending the process where it is. Of the main
    thread only, as all handlers of Python's."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)


def _exit(number, unused_frame):
    sys.exit(128 + number)
