#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What cannot be done is refused with a clear error and a non-zero exit status, and nothing has changed: not the
fabric, not who holds which VF, and the programs run on."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.ports import free_port, is_listening  # noqa: E402
from lab.system import CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import Pair, RcVerify  # noqa: E402
from simfabric.verbs_peer import Peer  # noqa: E402

WORDS = 1000000
END_S = 300
LOAD_S = 60  # more than a refusal and a move take

FULL_HOST = {f"guest{number}": f"hyp3_vf{number}" for number in range(1, 5)}


def state_of(lab):
    """Everything that a refused migration must leave alone."""
    return lab.fabric.lft_dump(), lab.fabric.slots(), lab.fabric.dump("ports"), lab.fabric.dump("pkeys")


def refused(lab, reason, vm, host):
    before = state_of(lab)
    try:
        lab.migrate(vm, host)
    except CommandFailed as error:
        assert reason in str(error), f"does not say {reason}: {error}"
    else:
        raise AssertionError("the command has succeeded")
    assert state_of(lab) == before, "something has changed"


def moving_vm_is_refused(lab, verify):
    """The first one is slow: its memory takes a second."""
    argv = [lab.build.program("tether"), "--api", lab.api_socket, "migrate", "vm1", "hyp2", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env=lab.environment()) as first:
        wait_until("the first migration has begun", lambda: lab.is_migrating("vm1"), 10, lab.logs())
        try:
            lab.migrate("vm1", "hyp4")
        except CommandFailed as error:
            assert "vm-already-moving" in str(error), str(error)
        else:
            raise AssertionError("the second command has succeeded")
        assert first.wait(30) == 0, "the first migration was disturbed"
    assert verify.is_running()


def program_that_shares_its_device_with_a_child_is_refused(lab):
    """The migration is refused by name, the program goes on."""
    environment = lab.environment(vm="vm1", tether=True)
    holder = Peer(lab.fabric, vm="vm1", preload=environment["LD_PRELOAD"], env=environment)
    holder.open()
    child = holder.do("fork")["pid"]
    refused(lab, "veto-forked", "vm1", "hyp1")
    os.kill(child, signal.SIGKILL)
    holder.qp()
    holder.end()


class HalfCovered(Pair):
    """ib_write_bw whose server in VM 2 runs without libtether."""

    def __init__(self, lab):
        port = free_port()
        argv = ["ib_write_bw", "-F", "-p", str(port), "-D", str(LOAD_S)]
        self.name = "half-covered"
        self.server = lab.run_in_vm("vm2", "half-covered-server", argv, tether=False)
        wait_until("the server listens", lambda: is_listening(port), 20, [self.server.log], [self.server])
        self.client = lab.run_in_vm("vm1", "half-covered-client", [*argv, "localhost"])


def peer_without_libtether_is_refused_and_left_behind_by_force(lab):
    before = lab.words_of("vm1")
    with HalfCovered(lab) as pair:
        wait_until("ib_write_bw works", lambda: lab.words_of("vm1") > before + WORDS, 20, pair.logs(),
                   [pair.server, pair.client])
        refused(lab, "peer-without-shim", "vm1", "hyp1")
        assert pair.is_running(), f"it was not left alone{pair.words()}"
        answer = lab.migrate("vm1", "hyp1", "--force")
        assert answer["outcome"] == "done", answer
        assert pair.client.wait(END_S) != 0, f"its queue pair has no error{pair.words()}"


STRANGER = "0x00000000decaf001"  # no port of this subnet


def says_so_of(lab, host, vm, slot):
    """@host's driver says from now on that @vm has the VF in @slot, too, and that this one is of another subnet: its SM has given
    it its GUID."""
    script = lab.path("driver-two-vfs")
    guid = next(row["port_guid"] for row in lab.fabric.slots() if row["slot"] == slot)
    with open(script, "w") as out:
        out.write(f'''#!/bin/sh
[ "$1" = inventory ] || exec "{lab.driver}" "$@"
"{lab.driver}" "$@" | sed -E 's/"name": "{slot}", "vm": (null|"")/"name": "{slot}", "vm": "{vm}"/; s/"port_guid": "{guid}"/"port_guid": "{STRANGER}"/'
''')
        os.chmod(script, 0o700)
    driver, lab.driver = lab.driver, script
    restart_agent(lab, host)
    lab.driver = driver


def restart_agent(lab, host):
    lab.agents[host].kill()
    lab.agents[host].wait(10)
    wait_until(f"{host} is away", lambda: not lab.is_connected([host]), 10, lab.logs())
    lab.start_agent(host)
    lab.wait_connected(lab.hosts)


def vm_with_vfs_of_two_subnets_is_refused(lab):
    host = next(row["host"] for row in lab.ask("/v1/vms")["vms"] if row["name"] == "vm1")
    slot = next(row["slot"] for row in lab.fabric.slots() if row["slot"].startswith(f"{host}_vf") and not row["vm"])
    says_so_of(lab, host, "vm1", slot)
    to = "hyp2" if host != "hyp2" else "hyp1"
    refused(lab, "several-vfs", "vm1", to)
    restart_agent(lab, host)
    assert lab.migrate("vm1", to)["outcome"] == "done"


def vm_with_a_device_that_nobody_has_named_is_refused(lab):
    """As one on another subnet, which its host's driver does not list: a program of the VM has it open."""
    environment = {**lab.environment(node="hyp4", tether=True), "TETHER_AGENT": lab.environment(vm="vm1")["TETHER_AGENT"]}
    holder = Peer(lab.fabric, node="hyp4", preload=environment["LD_PRELOAD"], env=environment)
    holder.open()
    host = next(row["host"] for row in lab.ask("/v1/vms")["vms"] if row["name"] == "vm1")
    refused(lab, "veto-other-device", "vm1", "hyp2" if host != "hyp2" else "hyp1")
    holder.qp()
    holder.end()


def main():
    tap = Tap()
    with System(copy_ms=1000, vms={"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", **FULL_HOST}) as lab:
        lab.start_fabric()
        lab.fabric.limit("hyp4", max_qp=8)
        lab.start_services()
        verify = RcVerify(lab, "vm2", "vm1")
        wait_until("rc-verify works", verify.is_working, 30, verify.logs(), [verify.client])
        tap.run("unknown_vm_is_refused", refused, lab, "unknown-vm", "nobody", "hyp4")
        tap.run("unknown_host_is_refused", refused, lab, "unknown-host", "vm1", "nowhere")
        tap.run("host_without_a_free_vf_is_refused", refused, lab, "no-free-vf", "vm1", "hyp3")
        tap.run("move_to_where_it_is_is_refused", refused, lab, "same-host", "vm1", "hyp1")
        tap.run("destination_that_offers_less_is_refused", refused, lab, "fewer-capabilities", "vm1", "hyp4")
        tap.run("vm_that_is_moving_is_refused", moving_vm_is_refused, lab, verify)
        verify.stop()
        tap.check(all(verdict.get("ok") for verdict in verify.results()), "the_programs_noticed_nothing")
        tap.run("program_that_shares_its_device_with_a_child_is_refused",
                program_that_shares_its_device_with_a_child_is_refused, lab)
        tap.run("peer_without_libtether_is_refused_and_left_behind_by_force",
                peer_without_libtether_is_refused_and_left_behind_by_force, lab)
        tap.run("vm_with_a_device_that_nobody_has_named_is_refused", vm_with_a_device_that_nobody_has_named_is_refused, lab)
        tap.run("vm_with_vfs_of_two_subnets_is_refused", vm_with_vfs_of_two_subnets_is_refused, lab)
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    tap.exit()


main()
