# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a real migration of a guest takes, and whose time it is.

The program under load is rc-verify; its other end, in a guest that stays, says how long nothing completed (`blackout_ms`): the clock
of one that moves stands still meanwhile. QEMU's part is what it says itself of the memory's move (`qemu_total_ms`), the time from the
order to detach to DEVICE_DELETED (`unplug_ms`), and from the order to attach until the guest has an RDMA device again (`plug_ms`):
to make that is udev's and the kernel's business. All that is left of the blackout is tether's (`tether_ms`).

Beside each, alternating, `plain_ms`: plain-rebuild in the same guest, which does not move, closes all that it has, opens the device
again, makes everything anew, exchanges addresses with its other end, connects and sends."""
import datetime
import re
import statistics
import time

from lab.workload import last_json
from vm.system import GuestPair, RcVerify

REBUILD_PORT = 18700
# Steps of a migration that are tether's alone, and those in which QEMU and the guest's kernel work.
SHARED = ("detaching", "moving", "attaching", "rebuilding")


def unplugged_at(machine, device):
    """When QEMU said that the VF had left, in seconds of the epoch."""
    stamp = machine.qmp.wait_event("DEVICE_DELETED", device=device)["timestamp"]
    return stamp["seconds"] + stamp["microseconds"] / 1e6


def clock_ahead_s(guest):
    """How much later it is in @guest; some milliseconds are the question's own."""
    began = time.time()
    there = float(guest.run("echo $EPOCHREALTIME"))
    return there - (began + time.time()) / 2


def said_at(log, what):
    """Seconds of the epoch, in the guest, at which the last line of @log that ends so was written."""
    stamps = re.findall(rf"^(\S+)Z .*{what}", log, re.M)
    return datetime.datetime.fromisoformat(stamps[-1] + "+00:00").timestamp()


def waited_for_device_ms(guest, mac):
    """In ATTACH, until the guest had its device: nobody could rebuild anything before."""
    log = guest.run("cat /run/agent.log")
    asked_at, answered_at = said_at(log, r"ATTACH\.\d+$"), said_at(log, r"ATTACH\.\d+ DONE")
    up_at = float(guest.run(f"cat /run/lab/since/{mac}"))
    return 1e3 * max(0, min(up_at, answered_at) - asked_at)


def blackout_ms(pauses, migrated, ahead_s):
    """The longest of @pauses that overlaps the migration."""
    return max((pause["ms"] for pause in pauses if pause["at"] - ahead_s < migrated.ended + 1 and
                pause["at"] - ahead_s + pause["ms"] / 1e3 > migrated.began), default=0.0)


def measure_move(lab, vm, peer, to, qps):
    """One row."""
    load = RcVerify(lab, peer, vm, ["-q", str(qps)])
    guest = lab.guests[vm]
    vf = lab.slot_of(vm)
    seen = {}

    def look(source):
        seen.update(source.qmp.execute("query-migrate"), detached_at=unplugged_at(source, f"tether-{vf}"))

    migrated = lab.migrate(vm, to, look=look)
    ahead_s = clock_ahead_s(lab.guests[peer])
    waited_ms = waited_for_device_ms(guest, lab.mac(to, lab.slot_of(vm)))
    pauses = load.end_exactly()[0]["pauses"]
    steps = dict(migrated.steps())
    detaching_at = migrated.began + next(step["started_us"] for step in migrated.answer["steps"] if step["state"] == "detaching") / 1e6
    row = {"qemu_total_ms": seen["total-time"], "qemu_downtime_ms": seen["downtime"],
           "unplug_ms": 1e3 * (seen["detached_at"] - detaching_at), "plug_ms": steps["attaching"] + waited_ms,
           "blackout_ms": blackout_ms(pauses, migrated, ahead_s)}
    row["tether_ms"] = row["blackout_ms"] - row["qemu_total_ms"] - row["unplug_ms"] - row["plug_ms"]
    return row, steps


def measure_plain(lab, vm, peer, qps):
    pair = GuestPair(lab, peer, vm, ["plain-rebuild", "-q", str(qps), "-r", "3"], REBUILD_PORT, with_shim=())
    statuses = pair.wait()
    assert statuses == (0, 0), f"plain-rebuild: {statuses}{pair.words()}"
    return last_json(pair.client.output())["plain_ms"]


def medians(rows):
    return {name: round(statistics.median(row[name] for row in rows), 1) for name in rows[0]}


def result(rows, steps, plain):
    told = {**medians(rows), "steps_ms": medians(steps), "plain_ms": round(statistics.median(plain), 1), "migrations": len(rows)}
    told["ratio"] = round(told["tether_ms"] / told["plain_ms"], 2)
    told["each"] = [{**{name: round(value, 1) for name, value in row.items()}, "plain_ms": plain_ms} for row, plain_ms in zip(rows, plain)]
    return told
