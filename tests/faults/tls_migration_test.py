#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""rc-verify through migrations that are driven over TLS, half of the servers behind an agent between, with tether-smd
started again and all certificates exchanged meanwhile: nothing lost, repeated or changed."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.survival import Turns  # noqa: E402
from lab.system import PATIENT, System  # noqa: E402
from lab.tap import FULL, Tap  # noqa: E402
from lab.workload import RcVerify  # noqa: E402

ROUNDS = 10 if FULL else 2
WORK = ["-q", "8", "--ack-timeout", "18", "--atomics", "client"]


def log_of(lab, name):
    with open(lab.path(f"{name}.log")) as log:
        return log.read()


def smd_started_again(lab):
    lab.smd.kill()
    lab.start_smd()
    lab.wait_connected(lab.hosts)


def cut_off(lab, parent, child, number):
    """Because of its certificate, for the @number-th time; then it takes its new one."""
    text = f"{child} is away: its certificate is revoked"
    wait_until(text, lambda: log_of(lab, parent).count(text) >= number)
    lab.agents[child.split()[1]].signal(signal.SIGHUP)


def certificates_read_again(lab):
    """Another one for each agent, and the one from before is revoked."""
    lab.renewed = getattr(lab, "renewed", 0) + 1
    for who in [f"host/{host}" for host in lab.hosts] + [f"relay/{name}" for name in lab.between]:
        lab.tls.authority.cert("revoke", who)
        lab.tls.authority.issue(who)
    lab.smd.signal(signal.SIGHUP)
    for name in lab.between:
        cut_off(lab, "smd", f"agent {name}", lab.renewed)
    for host in lab.hosts:
        cut_off(lab, f"agent-{lab.tree[host]}" if host in lab.tree else "smd", f"host {host}", lab.renewed)
    lab.wait_connected(lab.hosts)


def everything_arrives_once(lab):
    turns = Turns(lab)
    with RcVerify(lab, "vm2", "vm1", WORK) as verify:
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        for _ in range(ROUNDS):
            for between in (smd_started_again, certificates_read_again):
                turns.move()
                between(lab)
                assert verify.is_running(), verify.words()
        verify.end_exactly()
    check_sa_truth(lab)


def main():
    tap = Tap()
    with System(copy_ms=5, settings=PATIENT, tls=True, tree={"hyp1": "rack1", "hyp2": "rack1"}) as lab:
        lab.settings["tls_crl"] = lab.path("ca", "ca.crl")
        lab.start()
        tap.run(f"everything_arrives_once_through_{2 * ROUNDS}_migrations_over_tls", everything_arrives_once, lab)
    tap.exit()


main()
