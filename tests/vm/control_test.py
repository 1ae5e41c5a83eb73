#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What the other tests of an unplug would find without libtether: it waits for whoever holds the device, or a program under load
dies of it. The kernel itself says that it waits, so nothing here depends on time; with TETHER_FULL it is 30 s as well."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import FULL, Tap  # noqa: E402
from vm.lab import VmLab, address, mac  # noqa: E402
from vm.machine import nic  # noqa: E402

LONG_S = 30
RC_VERIFY_PORT = 18600
# The removal stands in the kernel's list of tasks, in the function that waits for open contexts of user space.
REMOVAL_WAITS = "grep -q ib_uverbs_remove_one /proc/[0-9]*/stack 2>/dev/null"


class Unplugging:
    """The NIC of @guest is asked for while @program runs there. At the end the program is killed and, unless @is_last, the guest has a
    NIC again: rxe does not always let go of queue pairs that were taken under load, whatever becomes of their program."""

    def __init__(self, guest, number, program, is_last=False):
        self.guest, self.number, self.program, self.is_last = guest, number, program, is_last
        self.qmp = guest.machine.qmp

    def __enter__(self):
        self.guest.machine.ask_unplug()
        return self

    def __exit__(self, *unused):
        self.program.signal(signal.SIGKILL)
        if self.is_last:
            return
        self.qmp.wait_event("DEVICE_DELETED", device="nic0")
        self.guest.machine.plug(nic(mac(self.number)))
        self.guest.rdma_device(mac(self.number))

    def has_ended(self):
        return self.qmp.has_event("DEVICE_DELETED", device="nic0")

    def wait_until_it_waits_or_the_program_dies(self):
        """Its exit status; None: it holds the device, and the kernel waits for it, unless assert_not_finished says otherwise."""
        while self.program.status is None and not self.has_ended():
            if self.guest.try_run(REMOVAL_WAITS)[0] == 0:
                break
        return self.program.status

    def assert_not_finished(self):
        assert not self.has_ended(), "the device has gone under the program"
        if FULL:
            time.sleep(LONG_S)
            assert not self.has_ended(), f"the device has gone within {LONG_S} s"
        assert self.program.status is None, self.program.output()


def device(guest):
    return guest.run("ls /sys/class/infiniband").strip()


def unplug_under_load(guests):
    """rc-verify, by ibv_post_send(3) alone: what rxe's provider makes of ibv_wr_* is wrong (README.md)."""
    server = guests[0].start(f"rc-verify -Q -x 1 -d {device(guests[0])}")
    guests[0].wait_listening(RC_VERIFY_PORT, server)
    client = guests[1].start(f"rc-verify -x 1 -d {device(guests[1])} --post send --rnr off {address(1)}")
    guests[1].wait_said(client, " done, ")
    with Unplugging(guests[1], 2, client, is_last=True) as unplug:
        status = unplug.wait_until_it_waits_or_the_program_dies()
        if status is None:
            unplug.assert_not_finished()
        else:
            assert status, "rc-verify has noticed nothing"
    server.signal(signal.SIGKILL)
    guests[0].wait(server)


def unplug_under_one_who_sleeps(guests):
    """ibv_asyncwatch sleeps in ibv_get_async_event(3): it is told nothing, and the removal waits until it ends."""
    watcher = guests[0].start(f"exec ibv_asyncwatch -d {device(guests[0])}")
    guests[0].run("until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q infiniband/uverbs; do sleep 0.02; done")
    with Unplugging(guests[0], 1, watcher) as unplug:
        assert unplug.wait_until_it_waits_or_the_program_dies() is None, watcher.output()
        unplug.assert_not_finished()


def unplug_of_a_device_that_nobody_holds(guests):
    """What the tests above take for waiting is not how an unplug is anyway."""
    idle = guests[0].start("sleep 1000")
    with Unplugging(guests[0], 1, idle) as unplug:
        unplug.qmp.wait_event("DEVICE_DELETED", device="nic0")
        unplug.qmp.events.append({"event": "DEVICE_DELETED", "data": {"device": "nic0"}})
        assert guests[0].try_run(REMOVAL_WAITS)[0] != 0


CHECKS = (unplug_of_a_device_that_nobody_holds, unplug_under_one_who_sleeps, unplug_under_load)


def main():
    tap = Tap()
    with VmLab() as lab:
        guests = lab.boot("one", "other")
        for number, guest in enumerate(guests, 1):
            guest.rdma_device(mac(number))
        for check in CHECKS:
            tap.run(f"without libtether: {check.__name__.replace('_', ' ')}", check, guests)
    tap.exit()


main()
