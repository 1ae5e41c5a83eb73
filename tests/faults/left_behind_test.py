#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Peers that no agent reaches: without libtether, or with an agent that is dead. The migration is refused, each queue pair
named; with --force exactly these end, with verbs errors at both ends, and what shares their process, completion queues and
shared receive queue goes on. Ended, they are in nobody's way."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.sa_truth import check_sa_truth  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.ports import free_port, is_listening  # noqa: E402
from lab.system import PATIENT, CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import ERR, EVENTS, RESET, RTS, Peer, connect  # noqa: E402

SHORT = {"timeout": 12, "retry": 4, "rnr": 7}
SIZE = 64
HALF = 4096  # of the region: receives go there
END_S = 60
WORDS = 1000000


def peer(lab, vm, tether=True):
    environment = lab.environment(vm=vm, tether=tether)
    return Peer(lab.fabric, vm=vm, preload=environment["LD_PRELOAD"], env=environment).open()


def name_of(end, qp):
    return f"lid {end.lid} qp 0x{end.qps[qp]:x}"


def refused(lab, to, reason, names):
    """By exactly these @names, and nothing has changed."""
    before = lab.fabric.lft_dump(), lab.fabric.slots()
    try:
        lab.migrate("vm1", to)
    except CommandFailed as error:
        said = {(row["who"], row["reason"]) for row in error.answer["refusals"]}
        assert said == {(name, reason) for name in names}, f"{said}"
    else:
        raise AssertionError("the command has succeeded")
    assert (lab.fabric.lft_dump(), lab.fabric.slots()) == before, "something has changed"


class Ends:
    """In VM 1 a program whose queue pairs share completion queues and a shared receive queue: 0 and 1 (srq) to VM 2's program
    with libtether, 2 and 3 (srq) to the one without."""

    def __init__(self, lab):
        self.vm, self.covered, self.bare = peer(lab, "vm1"), peer(lab, "vm2"), peer(lab, "vm2", tether=False)
        for end in (self.vm, self.covered, self.vm, self.bare):
            end.qp()
            end.qp("srq")
        for number, (other, its) in enumerate(((self.covered, 0), (self.covered, 1), (self.bare, 0), (self.bare, 1))):
            connect(self.vm, other, number, its, psn=1000 * (1 + number), **SHORT)
        self.sent = 0

    def send(self, a, a_qp, b, b_qp, is_shared=False):
        """One message, that arrives once and unchanged."""
        self.sent += 1
        a.do("fill", 0, SIZE, self.sent)
        b.do("recv", "srq" if is_shared else b_qp, self.sent, HALF, SIZE)
        a.do("send", a_qp, self.sent, 0, SIZE)
        assert a.poll("send") == (self.sent, "success")
        assert b.poll("recv") == (self.sent, "success")
        b.do("same", HALF, SIZE, self.sent)

    def covered_ones_work(self):
        self.send(self.vm, 0, self.covered, 0)
        self.send(self.covered, 0, self.vm, 0)
        self.send(self.vm, 1, self.covered, 1, is_shared=True)
        self.send(self.covered, 1, self.vm, 1, is_shared=True)

    def bare_ones_work(self):
        self.send(self.vm, 2, self.bare, 0)
        self.send(self.bare, 0, self.vm, 2)
        self.send(self.vm, 3, self.bare, 1, is_shared=True)
        self.send(self.bare, 1, self.vm, 3, is_shared=True)

    def end(self):
        for end in (self.vm, self.covered, self.bare):
            end.end()


def peers_without_libtether_are_named(lab, ends):
    ends.covered_ones_work()
    ends.bare_ones_work()
    refused(lab, "hyp3", "peer-without-shim", [name_of(ends.bare, 0), name_of(ends.bare, 1)])
    ends.covered_ones_work()
    ends.bare_ones_work()


def exactly_the_named_queue_pairs_end_by_force(lab, ends):
    """Work is open on all of them: nobody has posted a receive."""
    vm, covered, bare = ends.vm, ends.covered, ends.bare
    vm.do("recv", 2, 20, HALF, SIZE)
    for number in (21, 22):
        vm.do("send", 2, number, 0, SIZE)
    for number in (31, 32):
        vm.do("recv", "srq", number, HALF + number * SIZE, SIZE)
    for number in range(5):
        vm.do("fill", number * SIZE, SIZE, 100 + number)
        vm.do("send", 0, 100 + number, number * SIZE, SIZE)
    answer = lab.migrate("vm1", "hyp3", "--force")
    assert answer["outcome"] == "done" and answer["counts"]["errors"] == 2, answer
    assert {row["who"] for row in answer["refusals"]} == {name_of(bare, 0), name_of(bare, 1)}, answer["refusals"]
    for number in range(5):
        covered.do("recv", 0, 100 + number, HALF + number * SIZE, SIZE)
    assert [covered.poll("recv") for _ in range(5)] == [(100 + number, "success") for number in range(5)]
    for number in range(5):
        covered.do("same", HALF + number * SIZE, SIZE, 100 + number)
    found = [vm.poll("send") for _ in range(7)]
    assert sorted(found[:2]) == [(21, "retry_exc"), (22, "flush")], found
    assert found[2:] == [(100 + number, "success") for number in range(5)], found
    assert vm.poll("recv") == (20, "flush")
    assert [vm.do("query", qp)["state"] for qp in range(4)] == [RTS, RTS, ERR, ERR]
    # The shared receive queue has lost nothing and given nothing back.
    for number in (31, 32):
        covered.do("fill", 0, SIZE, number)
        covered.do("send", 1, number, 0, SIZE)
        assert covered.poll("send") == (number, "success")
        assert vm.poll("recv") == (number, "success")
        vm.do("same", HALF + number * SIZE, SIZE, number)
    assert vm.poll("send", 0) is None and vm.poll("recv", 0) is None
    assert vm.events() == [EVENTS["last_wqe"]], "of the one that ended and has a shared receive queue"
    ends.covered_ones_work()


def the_other_end_has_its_transports_errors(ends):
    """Its adapter knows nothing of a move: who was there is silent."""
    bare = ends.bare
    bare.do("recv", 0, 40, HALF, SIZE)
    bare.do("send", 0, 41, 0, SIZE)
    bare.do("send", 1, 42, 0, SIZE)
    assert {bare.poll("send"), bare.poll("send")} == {(41, "retry_exc"), (42, "retry_exc")}
    assert bare.poll("recv") == (40, "flush")
    assert [bare.do("query", qp)["state"] for qp in range(2)] == [ERR, ERR]


def what_has_ended_is_in_nobodys_way(lab, ends):
    """The program has kept them; the next migration needs no force, and they can be used anew."""
    assert lab.migrate("vm1", "hyp1")["outcome"] == "done"
    ends.covered_ones_work()
    ends.vm.do("state", 2, RESET)
    fresh = ends.covered.qp()
    connect(ends.vm, ends.covered, 2, fresh, psn=70000, **SHORT)
    ends.send(ends.vm, 2, ends.covered, fresh)
    assert lab.migrate("vm1", "hyp3")["outcome"] == "done"
    ends.send(ends.vm, 2, ends.covered, fresh)
    ends.send(ends.covered, fresh, ends.vm, 2)
    ends.covered_ones_work()
    assert lab.migrate("vm1", "hyp1")["outcome"] == "done"


def programs_that_know_nothing_of_it_end_with_errors(lab):
    """ib_write_bw both ways, whose server has no libtether."""
    port = free_port()
    argv = ["ib_write_bw", "-F", "-b", "-p", str(port), "-D", "300"]
    server = lab.run_in_vm("vm2", "perftest-server", argv, tether=False)
    wait_until("the server listens", lambda: is_listening(port), 20, [server.log], [server])
    before = lab.words_of("vm1")
    client = lab.run_in_vm("vm1", "perftest-client", [*argv, "localhost"])
    wait_until("they are at work", lambda: lab.words_of("vm1") > before + WORDS, 20, [client.log], [client, server])
    assert lab.migrate("vm1", "hyp3", "--force")["outcome"] == "done"
    assert client.wait(END_S) != 0 and server.wait(END_S) != 0
    assert lab.migrate("vm1", "hyp1")["outcome"] == "done"


def a_peer_whose_agent_is_dead_is_as_one_without_libtether(lab):
    """It is, to the VM's end; itself it goes on, and takes part again when its agent is back."""
    vm, other, third = peer(lab, "vm1"), peer(lab, "vm2"), peer(lab, "vm3")
    for end in (vm, other, vm, third, other, third):
        end.qp()
    connect(vm, other, 0, 0, **SHORT)
    connect(vm, third, 1, 0, psn=5000, **SHORT)
    connect(other, third, 1, 1, psn=9000, **SHORT)
    lab.agents["hyp2"].kill()
    wait_until("it is not waited for any more", lambda: is_unreachable(lab), 30, lab.logs())
    refused(lab, "hyp3", "peer-without-shim", [name_of(other, 0)])
    other.do("recv", 0, 50, HALF, SIZE)
    assert lab.migrate("vm1", "hyp3", "--force")["outcome"] == "done"
    vm.do("send", 0, 51, 0, SIZE)
    assert vm.poll("send") == (51, "flush")
    other.do("send", 0, 52, 0, SIZE)
    assert other.poll("send") == (52, "retry_exc")
    assert other.poll("recv") == (50, "flush")
    for a, a_qp, b, b_qp in ((vm, 1, third, 0), (other, 1, third, 1)):
        b.do("recv", b_qp, 60, HALF, SIZE)
        a.do("send", a_qp, 61, 0, SIZE)
        assert a.poll("send") == (61, "success") and b.poll("recv") == (60, "success")
    lab.start_agent("hyp2")
    lab.wait_connected(lab.hosts)
    assert lab.migrate("vm1", "hyp1")["outcome"] == "done"
    for end in (vm, other, third):
        end.end()


def is_unreachable(lab):
    """What its agent held is forgotten away_ms after its link was lost."""
    try:
        lab.migrate("vm1", "hyp3")
    except CommandFailed as error:
        return {row["reason"] for row in error.answer.get("refusals", [])} == {"peer-without-shim"}
    raise AssertionError("the command has succeeded")


def main():
    tap = Tap()
    with System(copy_ms=5, settings={**PATIENT, "stop_ms": 3000}, vms={"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", "vm3": "hyp4_vf1"}) as lab:
        lab.start()
        ends = Ends(lab)
        tap.run("peers_without_libtether_are_named", peers_without_libtether_are_named, lab, ends)
        tap.run("exactly_the_named_queue_pairs_end_by_force", exactly_the_named_queue_pairs_end_by_force, lab, ends)
        tap.run("the_other_end_has_its_transports_errors", the_other_end_has_its_transports_errors, ends)
        tap.run("what_has_ended_is_in_nobodys_way", what_has_ended_is_in_nobodys_way, lab, ends)
        ends.end()
        tap.run("programs_that_know_nothing_of_it_end_with_errors", programs_that_know_nothing_of_it_end_with_errors, lab)
        tap.run("a_peer_whose_agent_is_dead_is_as_one_without_libtether", a_peer_whose_agent_is_dead_is_as_one_without_libtether, lab)
        tap.run("sa_and_fabric_agree_afterwards", check_sa_truth, lab)
    tap.exit()


main()
