#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What an application sees of an RC connection when things go wrong: wrong keys, no receives, links and routes that go,
peers that die or sleep, detach with and without warning, and the faults that the fabric can inject."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.tap import Tap  # noqa: E402
from simfabric.lab import demo_fabric, wait_until  # noqa: E402
from simfabric.verbs_peer import EIO, ERR, EVENTS, RESET, RTS, connect, pair, Peer  # noqa: E402

A, B = {"node": "hyp1"}, {"node": "hyp2"}
SHORT = {"timeout": 10, "retry": 3}  # 4 ms a try
ENOMEM, EINVAL, ENODEV = 12, 22, 19


def same(got, want):
    assert got == want, f"got {got}, not {want}"


def wrong_rkey_fails_both_ends(fabric):
    a, b = pair(fabric, A, B)
    target = b.target()
    a.do("write", 0, 7, 0, 64, raddr=target["raddr"], rkey=target["rkey"] ^ 256)
    a.do("send", 0, 8, 0, 8)
    same(a.poll("send"), (7, "rem_access"))
    same(a.poll("send"), (8, "flush"))
    same(b.events(1000), [EVENTS["qp_access_err"]])
    same((a.do("query", 0)["state"], b.do("query", 0)["state"]), (ERR, ERR))
    same((a.end(), b.end()), (0, 0))


def key_of_a_region_that_is_gone_is_wrong(fabric):
    a, b = pair(fabric, A, B)
    old = b.rkey
    b.do("dereg")
    new = b.do("rereg")["rkey"]
    assert new != old
    a.do("write", 0, 1, 0, 64, raddr=b.address, rkey=new)
    same(a.poll("send"), (1, "success"))
    a.do("write", 0, 2, 0, 64, raddr=b.address, rkey=old)
    same(a.poll("send"), (2, "rem_access"))


def sender_waits_for_a_receive(fabric):
    a, b = pair(fabric, A, B)
    a.do("fill", 0, 5000, 3)
    a.do("send", 0, 1, 0, 5000)
    same(a.poll("send", 100), None)
    b.do("recv", 0, 9, 0, 8192)
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv"), (9, "success"))
    assert "same" in b.do("same", 0, 5000, 3)


def rnr_retries_that_are_counted_end(fabric):
    a, b = pair(fabric, A, B, rnr=2)
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send"), (1, "rnr_retry_exc"))
    same(b.do("query", 0)["state"], RTS)


def sleeping_program_is_read_and_written(fabric):
    a, b = pair(fabric, A, B)
    b.do("word", 0, 40)
    b.put("sleep", 3000)
    for n in range(20):
        a.do("add", 0, n, 8, 8, add=1, **b.target())
        same(a.poll("send", 2000), (n, "success"))
    same(a.do("word", 8)["word"], 59)
    b.get()
    same(b.do("word", 0)["word"], 60)


def rnr_timer_runs_while_both_programs_sleep(fabric):
    a, b = pair(fabric, A, B)
    b.do("recv", 0, 1, 0, 64)
    a.do("send", 0, 1, 0, 8)
    a.do("send", 0, 2, 0, 8)  # this one finds no receive
    a.put("sleep", 300)
    b.do("recv", 0, 2, 0, 64)
    b.put("sleep", 300)
    a.get()
    b.get()
    same([a.poll("send", 0), a.poll("send", 0)], [(1, "success"), (2, "success")])
    same([b.poll("recv", 0), b.poll("recv", 0)], [(1, "success"), (2, "success")])


def transport_timer_runs_while_both_programs_sleep(fabric):
    """No acknowledgement arrives until both are asleep; then only a try of the HCA's own can bring one."""
    a, b = pair(fabric, A, B, timeout=17)  # 0.5 s a try
    for n in range(2):
        b.do("recv", 0, n, 0, 64)
    fabric.data_faults({"drop.ack": 1})
    a.do("send", 0, 7, 0, 8)
    same(b.poll("recv"), (0, "success"))
    same(a.poll("send", 0), None)
    a.put("sleep", 2000)
    b.put("sleep", 2000)
    fabric.data_faults({})
    a.get()
    b.get()
    same(a.poll("send", 0), (7, "success"))
    same(b.poll("recv", 0), None)


def retries_end_when_the_link_is_down(fabric):
    a, b = pair(fabric, A, B, **SHORT)
    fabric.link("hyp2", 1, "down")
    a.do("send", 0, 1, 0, 8)
    a.do("write", 0, 2, 0, 8, **b.target())
    same(a.poll("send"), (1, "retry_exc"))
    same(a.poll("send"), (2, "flush"))
    # The peer has seen nothing of it.
    same(b.do("query", 0)["state"], RTS)
    restore(fabric, "hyp2")


def link_that_comes_back_in_time_loses_nothing(fabric):
    a, b = pair(fabric, A, B, timeout=17)
    fabric.link("hyp2", 1, "down")
    a.do("write", 0, 1, 0, 5000, **b.target())
    same(a.poll("send", 50), None)
    restore(fabric, "hyp2")
    same(a.poll("send"), (1, "success"))


def restore(fabric, node):
    ups = fabric.opensms[-1].up
    fabric.link(node, 1, "up")
    fabric.opensms[-1].wait_up(30, ups + 1)
    wait_until(f"{node} is active again", lambda: fabric.check()["lost"] == 0, 30)


def port_tells_when_it_goes_and_comes(fabric):
    a = Peer(fabric, **A).open()
    same(a.events(50), [])
    fabric.link("hyp1", 1, "down")
    same(a.events(1000), [EVENTS["port_err"]])
    restore(fabric, "hyp1")
    told = []  # what else the subnet manager changes is told one by one
    wait_until("the port is said to be active", lambda: told.extend(a.events(50)) or EVENTS["port_active"] in told, 30)


def killed_peer_exceeds_the_retries(fabric):
    a, b = pair(fabric, A, B, **SHORT)
    b.kill()
    a.do("write", 0, 1, 0, 8, **b.target())
    same(a.poll("send"), (1, "retry_exc"))


def killed_process_gives_its_numbers_back(fabric):
    for _ in range(3):
        a, b = pair(fabric, A, B)
        b.kill()
        a.end()
    a, b = pair(fabric, A, B)
    a.do("write", 0, 1, 0, 8, **b.target())
    same(a.poll("send"), (1, "success"))


def error_state_flushes_sends_and_receives(fabric):
    a, b = pair(fabric, A, B)
    for n in range(3):
        a.do("send", 0, n, 0, 8, unsignalled=1)
        a.do("recv", 0, 10 + n, 0, 8)
    a.do("state", 0, ERR)
    same([a.poll("send", 0) for _ in range(4)], [(0, "flush"), (1, "flush"), (2, "flush"), None])
    same([a.poll("recv", 0) for _ in range(4)], [(10, "flush"), (11, "flush"), (12, "flush"), None])
    a.do("send", 0, 5, 0, 8)
    same(a.poll("send", 0), (5, "flush"))


def rxe_flushes_no_receives_and_purges_nothing(fabric):
    fabric.cli("data-fault", "preset=rxe")
    a, b = pair(fabric, A, B)
    a.do("write", 0, 1, 0, 8, **b.target())
    a.do("recv", 0, 10, 0, 8)
    wait_until("the write is done", lambda: a.do("query", 0)["sq_psn"] == 1001, 5)
    a.do("state", 0, ERR)
    same(a.poll("recv", 0), None)
    a.do("sleep", 50)
    a.do("state", 0, RESET)
    same(a.poll("send", 0)[0], 1)
    fabric.cli("data-fault", "preset=mlx5")


def mlx5_purges_completions_on_reset(fabric):
    a, b = pair(fabric, A, B)
    a.do("write", 0, 1, 0, 8, **b.target())
    a.do("sleep", 50)
    a.do("state", 0, RESET)
    same(a.poll("send", 0), None)


def queue_pair_is_full_at_its_depth(fabric):
    a, b = pair(fabric, A, B)
    for n in range(64):
        a.do("write", 0, n, 0, 8, **b.target())
    same(a.error("write", 0, 64, 0, 8, **b.target()), ENOMEM)
    same(a.poll("send"), (0, "success"))
    a.do("write", 0, 64, 0, 8, **b.target())
    same([a.poll("send")[0] for _ in range(64)], list(range(1, 65)))


MAX_INLINE = 1024


def what_is_claimed_is_there_and_no_more(fabric):
    a = Peer(fabric, **A).open()
    limits = a.do("limits")
    a.qp(wr=limits["wr"], recv=limits["wr"], sge=limits["sge"], inline=MAX_INLINE)
    for key, most in (("wr", limits["wr"]), ("recv", limits["wr"]), ("sge", limits["sge"]), ("inline", MAX_INLINE)):
        same(a.error("qp", **{key: most + 1}), EINVAL)
    b = Peer(fabric, **B).open()
    b.qp()
    same(a.error("connect", 0, b.lid, b.qps[0], 1, 1, reads=limits["reads"] + 1), EINVAL)


def wrong_order_of_states_is_refused(fabric):
    a = Peer(fabric, **A).open()
    a.qp()
    same(a.error("state", 0, RTS), EINVAL)
    same(a.error("send", 0, 1, 0, 8), EINVAL)
    same(a.error("recv", 0, 1, 0, 8), EINVAL)


def solicited_event_wakes_and_others_do_not(fabric):
    a, b = pair(fabric, A, B)
    for n in range(3):
        b.do("recv", 0, n, 0, 64)
    b.do("arm", "recv", 1)
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send"), (1, "success"))
    assert "none" in b.do("cqevent", 50)
    a.do("send", 0, 2, 0, 8, solicited=1)
    same(b.do("cqevent", 5000).get("cq"), "recv")
    a.do("send", 0, 3, 0, 8, solicited=1)
    assert "none" in b.do("cqevent", 50)
    same([b.poll("recv") for _ in range(3)], [(n, "success") for n in range(3)])


def shared_receives_are_taken_in_order_and_reported_at_the_end(fabric):
    a, b = pair(fabric, A, B, kind=["srq"])
    for n in range(4):
        b.do("recv", "srq", n, 100 * n, 100)
    for n in range(4):
        a.do("send", 0, n, 0, 8)
    same([b.poll("recv")[0] for _ in range(4)], [0, 1, 2, 3])
    b.events()
    b.do("state", 0, ERR)
    same(b.events(1000), [EVENTS["last_wqe"]])


# ---- injected ----


def lost_and_late_packets_are_made_good(fabric):
    a, b = pair(fabric, A, B, timeout=11)
    fabric.data_faults({"drop.request": 0.05, "drop.ack": 0.05, "drop.response": 0.05, "delay.request": "0.1:2000",
                        "duplicate.request": 0.1, "delay.response": "0.1:2000", "duplicate.response": 0.1, "seed": 7})
    a.do("fill", 0, 30000, 1)
    for n in range(50):
        a.do("write", 0, 3 * n, 0, 30000, **b.target())
        a.do("read", 0, 3 * n + 1, 100000, 30000, **b.target())
        a.do("add", 0, 3 * n + 2, 200000, 8, add=1, **b.target(300000))
        same([a.poll("send") for _ in range(3)], [(3 * n + i, "success") for i in range(3)])
    fabric.data_faults({})
    assert "same" in b.do("same", 0, 30000, 1)
    assert "same" in a.do("same", 100000, 30000, 1)
    same(b.do("word", 300000)["word"], 50)


def executed_and_never_acknowledged(fabric):
    a, b = pair(fabric, A, B, **SHORT)
    fabric.data_faults({"drop.ack": 1, "drop.response": 1})
    a.do("add", 0, 1, 0, 8, add=1, **b.target())
    same(a.poll("send"), (1, "retry_exc"))
    fabric.data_faults({})
    same(b.do("word", 0)["word"], 1)
    same(b.do("query", 0)["rq_psn"], 1001)


def message_cut_in_the_middle(fabric):
    a, b = pair(fabric, A, B, **SHORT)
    fabric.data_faults({"cut": "1:3"})
    b.do("recv", 0, 1, 0, 10000)
    a.do("send", 0, 1, 0, 10000)
    same(a.poll("send"), (1, "retry_exc"))
    fabric.data_faults({})
    same(b.do("query", 0)["rq_psn"], 1003)
    same(b.poll("recv", 0), None)


def acknowledged_before_the_completion_shows(fabric):
    a, b = pair(fabric, A, B)
    fabric.data_faults({"hold": "1:10000000", "hold_until_query": 1})
    b.do("recv", 0, 1, 0, 64)
    a.do("send", 0, 1, 0, 8)
    same(a.poll("send"), (1, "success"))
    same(b.poll("recv", 50), None)
    same(b.do("query", 0)["rq_psn"], 1001)
    same(b.poll("recv", 0), (1, "success"))
    fabric.data_faults({})


def dead_rq_psn_says_nothing(fabric):
    a, b = pair(fabric, A, B)
    fabric.cli("data-fault", "live_rq_psn=0")
    a.do("write", 0, 1, 0, 8, **b.target())
    same(a.poll("send"), (1, "success"))
    same(b.do("query", 0)["rq_psn"], 0)
    fabric.cli("data-fault", "preset=mlx5")


def fault_for_one_pair_spares_the_others(fabric):
    a, b = pair(fabric, A, B, **SHORT)
    c, d = pair(fabric, {"node": "hyp3"}, {"node": "hyp4"}, **SHORT)
    fabric.cli("data-fault", f"{a.lid}>{b.lid}:drop.request=1")
    a.do("write", 0, 1, 0, 8, **b.target())
    c.do("write", 0, 1, 0, 8, **d.target())
    same(c.poll("send"), (1, "success"))
    same(a.poll("send"), (1, "retry_exc"))
    fabric.data_faults({})


# ---- VMs ----


def in_vms(fabric):
    return pair(fabric, {"vm": "vm1"}, {"vm": "vm2"})


def asked_detach_waits_for_the_last_context(fabric):
    a, b = in_vms(fabric)
    assert not fabric.detach("vm1", timeout_ms=100)
    a.do("write", 0, 1, 0, 8, **b.target())
    same(a.poll("send"), (1, "success"))
    same(a.events(50), [])
    a.do("close")
    wait_until("the VF has left", lambda: not vm_has_vf(fabric), 5)
    same(a.error("open"), ENODEV)


def vm_has_vf(fabric):
    return any(slot["vm"] == "vm1" for slot in fabric.slots())


def surprise_detach_is_fatal_once(fabric):
    fabric.cli("data-fault", "loss_flushes=1")
    a, b = in_vms(fabric)
    for n in range(2):
        a.do("recv", 0, 10 + n, 0, 64)
    a.do("send", 0, 1, 0, 8)  # nobody receives it
    fabric.detach("vm1", surprise=True)
    same(a.events(2000), [EVENTS["device_fatal"]])
    same(a.poll("send"), (1, "flush"))
    same([a.poll("recv"), a.poll("recv")], [(10, "flush"), (11, "flush")])
    same(a.error("send", 0, 2, 0, 8), EIO)
    same(a.error("query", 0), EIO)
    same(a.events(50), [])
    same(a.end(), 0)


def lost_in_silence(fabric, preset, event):
    fabric.cli("data-fault", f"preset={preset}")
    a, b = in_vms(fabric)
    a.do("recv", 0, 10, 0, 64)
    a.do("send", 0, 1, 0, 8)  # nobody receives it
    fabric.detach("vm1", surprise=True)
    same(a.events(2000), [EVENTS[event]])
    same([a.poll("send", 50), a.poll("recv", 50)], [None, None])
    same(a.error("send", 0, 2, 0, 8), EIO)
    same(a.end(), 0)
    fabric.cli("data-fault", "preset=mlx5")


def mlx5_flushes_nothing_when_it_is_lost(fabric):
    lost_in_silence(fabric, "mlx5", "device_fatal")


def rxe_does_not_even_say_so(fabric):
    lost_in_silence(fabric, "rxe", "gid_change")


def after_a_move_numbers_and_keys_are_others(fabric):
    a, b = in_vms(fabric)
    before = (a.device, a.qps[0], a.rkey)
    a.do("close")
    assert fabric.detach("vm1")
    fabric.attach("vm1", "hyp3_vf1")
    a.open()
    a.qps = []
    a.qp()
    assert not set(before) & {a.device, a.qps[0], a.rkey}, (before, a.device, a.qps, a.rkey)
    b.qp()
    connect(a, b, 0, 1)
    a.do("write", 0, 1, 0, 8, **b.target())
    same(a.poll("send"), (1, "success"))


def colliding_numbers_are_the_same_again(fabric):
    fabric.cli("data-fault", "colliding_numbers=1")
    a, b = in_vms(fabric)
    before = (a.qps[0], a.rkey)
    a.do("close")
    assert fabric.detach("vm1")
    fabric.attach("vm1", "hyp3_vf1")
    a.open()
    a.qps = []
    a.qp()
    fabric.cli("data-fault", "preset=mlx5")
    same((a.qps[0], a.rkey), before)


PLAIN = [wrong_rkey_fails_both_ends, key_of_a_region_that_is_gone_is_wrong, sender_waits_for_a_receive,
         rnr_retries_that_are_counted_end, sleeping_program_is_read_and_written,
         rnr_timer_runs_while_both_programs_sleep, transport_timer_runs_while_both_programs_sleep,
         retries_end_when_the_link_is_down,
         link_that_comes_back_in_time_loses_nothing, port_tells_when_it_goes_and_comes, killed_peer_exceeds_the_retries,
         killed_process_gives_its_numbers_back, error_state_flushes_sends_and_receives,
         rxe_flushes_no_receives_and_purges_nothing, mlx5_purges_completions_on_reset, queue_pair_is_full_at_its_depth,
         what_is_claimed_is_there_and_no_more, wrong_order_of_states_is_refused, solicited_event_wakes_and_others_do_not,
         shared_receives_are_taken_in_order_and_reported_at_the_end, lost_and_late_packets_are_made_good,
         executed_and_never_acknowledged, message_cut_in_the_middle, acknowledged_before_the_completion_shows,
         dead_rq_psn_says_nothing, fault_for_one_pair_spares_the_others]
IN_VMS = [asked_detach_waits_for_the_last_context, surprise_detach_is_fatal_once, mlx5_flushes_nothing_when_it_is_lost,
          rxe_does_not_even_say_so,
          after_a_move_numbers_and_keys_are_others, colliding_numbers_are_the_same_again]


def end_peers(fabric):
    for child in [c for c in fabric.children if c.stdin]:
        child.kill()
        child.wait()
        fabric.children.remove(child)


def main():
    tap = Tap()
    only = sys.argv[1:]
    with demo_fabric() as fabric:
        for test in PLAIN:
            if not only or test.__name__ in only:
                tap.run(test.__name__, test, fabric)
                end_peers(fabric)
        for vm, slot in (("vm1", "hyp1_vf1"), ("vm2", "hyp2_vf1")):
            fabric.cli("vm", "add", vm, slot)
        for test in IN_VMS:
            if vm_has_vf(fabric):
                fabric.detach("vm1")
            fabric.attach("vm1", "hyp1_vf1")
            if not only or test.__name__ in only:
                tap.run(test.__name__, test, fabric)
                end_peers(fabric)
    tap.exit()


main()
