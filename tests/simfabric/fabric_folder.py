# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The folder of a fabric in shared memory. Its maker holds a lock on it for as long as it lives, so that what somebody left
who was killed is told from what is in use, and is removed by whoever makes the next."""
import fcntl
import os
import shutil
import tempfile

SHM = "/dev/shm"
PREFIX = "simfabric."


class Folder:
    """@path, until remove()."""

    def __init__(self, parent=SHM):
        # Nobody takes a new one for abandoned before its maker has locked it.
        with Lock(parent):
            remove_abandoned(parent)
            self.path = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
            self.lock = Lock(self.path)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


class Lock:
    """On a directory; with @wait False BlockingIOError if somebody has it. Programs that are started do not inherit it."""

    def __init__(self, directory, wait=True):
        self.descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            os.close(self.descriptor)
            raise

    def release(self):
        os.close(self.descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.release()


def remove_abandoned(parent):
    for entry in os.scandir(parent):
        if not entry.name.startswith(PREFIX) or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            with Lock(entry.path, wait=False):
                shutil.rmtree(entry.path, ignore_errors=True)
        except OSError:
            pass  # in use, somebody else's, or gone by now
