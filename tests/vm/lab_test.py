#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The lab itself: what it promises to the tests beside this one."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from vm.guest import CommandFailed, GuestFailed  # noqa: E402
from vm.lab import VmLab, address, mac  # noqa: E402
from vm.machine import nic  # noqa: E402


def all_modules_load(guests):
    for guest in guests:
        with open(guest.machine.console) as console:
            said = console.read()
        assert "cannot be loaded" not in said, said


def statuses_and_output(guests):
    one = guests[0]
    assert one.try_run("echo out; echo err >&2; exit 3") == (3, "out\nerr\n")
    large = one.run("seq 100000")
    assert large == "".join(f"{number}\n" for number in range(1, 100001)), len(large)
    try:
        one.run("exit 5")
    except CommandFailed as failed:
        assert failed.status == 5
    else:
        raise AssertionError("a status that is not 0 was no failure")


def commands_go_on_side_by_side(guests):
    one = guests[0]
    sleeper = one.start("echo begun; sleep 1000 & wait")
    one.wait_said(sleeper, "begun")
    assert one.run("echo beside") == "beside\n"
    sleeper.signal(signal.SIGTERM)
    assert one.wait(sleeper) == 128 + signal.SIGTERM
    assert one.try_run("pidof sleep") == (1, "")


def files_arrive(guests):
    content = os.urandom(200000)
    guests[0].put("/tmp/a file", content, 0o600)
    guests[1].put("/tmp/a file", content)
    one, other = (guest.run("md5sum <'/tmp/a file'") for guest in guests)
    assert one == other
    assert guests[0].run("stat -c %a '/tmp/a file'") == "600\n"


def clock_is_right(guests):
    """Its seconds are the machine's, else deadlines would be something else in a guest: the kernel goes by the counter, and takes it
    for as fast as it was told (it may say so of the processor and of the counter)."""
    said = guests[0].run("dmesg | grep 'tsc: Detected'; cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
    *rates, source = said.splitlines()
    told = int(guests[0].machine.lab.tsc_khz) / 1000
    assert rates and source == "tsc", said
    assert all(abs(float(row.split("Detected ")[1].split()[0]) / told - 1) < 0.001 for row in rates), f"{said} not {told} MHz"


def perftest_talks(guests):
    one, other = guests
    server = one.start("ib_send_lat -d rxe0 -x 1 -n 200")
    one.wait_listening(18515, server)
    other.run(f"ib_send_lat -d rxe0 -x 1 -n 200 {address(1)}")
    assert one.wait(server) == 0, server.output()


def new_nic_has_another_device(guests):
    one = guests[0]
    one.machine.ask_unplug()
    one.machine.qmp.wait_event("DEVICE_DELETED", device="nic0")
    one.use_address(mac(77), address(99))
    one.machine.plug(nic(mac(77), slot=1))
    found = one.rdma_device(mac(77))
    assert found[1:] == ("rxe1", address(99)), found
    assert one.run("ls /sys/class/infiniband /run/lab/up") == f"/run/lab/up:\n{mac(77)}\n\n/sys/class/infiniband:\nrxe1\n"
    guests[1].run(f"ping -c 1 {address(99)}")


def panic_is_a_failure(guests):
    """The message has what the kernel said."""
    try:
        guests[0].run("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")
    except GuestFailed as failed:
        assert "Kernel panic" in str(failed) and "sysrq" in str(failed), failed
    else:
        raise AssertionError("a panic was no failure")


def hang_is_a_failure(guests):
    try:
        guests[1].run("echo before; sleep 1000", seconds=1)
    except GuestFailed as failed:
        assert "before" in str(failed) and "has not ended" in str(failed), failed
    else:
        raise AssertionError("a hang was no failure")


CHECKS = (all_modules_load, statuses_and_output, commands_go_on_side_by_side, files_arrive, clock_is_right, perftest_talks,
          new_nic_has_another_device, hang_is_a_failure, panic_is_a_failure)


def main():
    tap = Tap()
    with VmLab() as lab:
        guests = lab.boot("one", "other")
        for guest, number in zip(guests, (1, 2)):
            guest.rdma_device(mac(number))
        for check in CHECKS:
            tap.run(check.__name__.replace("_", " "), check, guests)
        lab.machines.clear()  # one of them has panicked
    tap.exit()


main()
