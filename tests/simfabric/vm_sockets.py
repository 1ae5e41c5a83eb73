# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The folder of the VMs' own sockets ($TETHER_VM_SOCKETS of the driver): links, each to that of the agent where its VM is.

Whoever changes links because of what he has seen elsewhere holds the folder from his look on. Between an inventory's look at
VFs and its links a VM may have given up its VF and its guest may have ended: a link that is made for it then stays."""
import contextlib
import fcntl
import os


@contextlib.contextmanager
def held(folder):
    """Nobody else changes a link meanwhile. Ends with its process, whatever kills it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def target_of(folder, vm):
    """None where there is no link."""
    try:
        return os.readlink(os.path.join(folder, f"{vm}.sock"))
    except FileNotFoundError:
        return None


def end(folder, vm):
    """Its guest has ended. Where it was; None: nowhere."""
    with held(folder):
        target = target_of(folder, vm)
        if target:
            os.unlink(os.path.join(folder, f"{vm}.sock"))
        return target
