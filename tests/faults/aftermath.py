# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What must hold when somebody was killed in a migration: each function waits for it, or says what does not."""
import time

from faults.victims import GRACE_S, OVERALL_S, verdict_of
from lab import journal
from lab.deadline import tails, wait_until
from lab.system import START_S

LONGEST_S = OVERALL_S + GRACE_S  # for whoever lives on, and for the migration itself


def newest(lab):
    """The migration that was asked for last, None if there was none. OSError while tether-smd is being started."""
    rows = lab.migrations()
    return rows[0] if rows else None


def the_end_of(lab, is_it=lambda row: True):
    """The newest migration when it has ended."""
    def ended():
        try:
            row = newest(lab)
        except OSError:
            return None
        return row if row and is_it(row) and row["ended"] else None

    return wait_until("the migration has ended", ended, LONGEST_S, lab.logs())


def everybody_is_there(lab):
    """After the restart: no daemon has ended, agents and SM are connected, the SM has swept."""
    lab.wait_connected(lab.hosts)
    lab.fabric.opensm_wait_up(START_S)
    assert not lab.obituary(), lab.obituary()


def vm_is_where_it_should_be(lab, outcome, source, destination):
    """With a VF that nobody asks it for, and tether-smd knows which."""
    place = lab.place_of("vm1")
    assert place and place[1], f"VM 1 has no VF: {place}"
    rows = [(row["slot"], row["is_asked"]) for row in lab.fabric.slots() if row["vm"] == "vm1"]
    assert rows == [(place[1], False)], f"VM 1 has {rows} (slot, is asked for it), and tether-smd says {place}"
    if outcome != "lost":
        assert place[0] == (destination if outcome == "done" else source), f"{outcome}, and VM 1 is at {place}"


def is_unharmed(verdict):
    """Whatever else has happened: nothing came twice or changed."""
    return verdict and not any(verdict[name] for name in ("duplicated", "corrupted", "out_of_order"))


def is_told(process, struck):
    """Its queue pairs end with errors by the overall deadline; it hears nothing else. @struck: when the kill was."""
    process.wait(max(0.1, struck + LONGEST_S - time.monotonic()))
    verdict = verdict_of(process)
    assert is_unharmed(verdict), f"{process.name}: {verdict}{tails([process.log])}"
    assert verdict["errors"], f"{process.name} ended without having been told anything: {verdict}"


def both_are_told(load, struck):
    for process in (load.server, load.client):
        is_told(process, struck)


def both_are_exact(load):
    """Returns the longest pause of either, in seconds."""
    load.stop()
    pauses = []
    for process in (load.client, load.server):
        process.wait(LONGEST_S)
        verdict = verdict_of(process)
        assert verdict.get("ok"), f"{process.name}: {verdict}{tails(load.logs())}"
        pauses.append(verdict["longest_pause_ms"] / 1000)
        assert pauses[-1] <= LONGEST_S, f"{process.name} has stood still for {pauses[-1]} s"
    return max(pauses)


def told_of(lab, number):
    """{hypervisor: how often its agent was told that the VM of this migration has moved}."""
    counts = {}
    for host in lab.hosts:
        with open(lab.path(f"agent-{host}.log"), errors="replace") as log:
            counts[host] = sum(f"migration {number}/" in line and "has moved" in line for line in log)
    return {host: count for host, count in counts.items() if count}


def all_know(lab, number):
    """tether-smd has written that all know it: so nobody hears it any more."""
    return journal.ask(lab.path("journal"), "SELECT told FROM news WHERE migration = ?", number) == [(1,)]
