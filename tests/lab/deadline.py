# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Waiting for something to be true, with a limit; and what the logs said when it never was."""
import os
import time

POLL_S = 0.01
TAIL_BYTES = 1200


class Late(Exception):
    """It did not happen in time; the message ends with the tails of the logs."""


def tail(path, limit=TAIL_BYTES):
    try:
        with open(path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - limit))
            return log.read().decode(errors="replace").rstrip()
    except OSError as error:
        return f"({error})"


def tails(logs):
    """The ends of all files in @logs as one text."""
    return "".join(f"\n==> {os.path.basename(path)} <==\n{tail(path)}" for path in logs)


def wait_until(what, is_true, seconds=20, logs=(), alive=()):
    """Return the first true value of is_true(). Late after @seconds, or when one of @alive has ended."""
    end = time.monotonic() + seconds
    while True:
        value = is_true()
        if value:
            return value
        for process in alive:
            if process.poll() is not None:
                raise Late(f"{what}: {process.name} has ended with {process.poll()}{tails(logs)}")
        if time.monotonic() > end:
            raise Late(f"{what}: not within {seconds} s{tails(logs)}")
        time.sleep(POLL_S)
