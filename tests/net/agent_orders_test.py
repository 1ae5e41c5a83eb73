#!/usr/bin/env python3
"""What tether-agent is ordered, and the driver that it orders it of: done, failed, slow, given again, given up."""
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import INVENTORY, Agent, answered, run_tests  # noqa: E402


def detach_is_ordered_and_the_inventory_follows():
    with Agent() as agent:
        agent.write("detach.sh", "sleep 0.05; echo '{}'")
        agent.order("DETACH", slot="vf0", peer_host="hyp2")
        answer = agent.answer("MOVE")
        assert answer["outcome"] == "OUTCOME_DONE", answer
        result = answer["result"]
        assert result["elapsed_us"] >= 50000 and result.get("exit_status", 0) == 0, result
        assert "vm" not in result["slots"][0] and "slot" not in result["vms"][0], result
        call, = agent.driver_log("detach")
        assert call.startswith("hyp1 detach vm=vm1 slot=vf0 peer_host=hyp2 socket=") and "timeout_ms=" in call, call


def failed_driver_is_told_in_its_own_words():
    with Agent() as agent:
        agent.write("detach.sh", "echo first >&2; echo 'vm1 holds it' >&2; exit 3")
        agent.order("DETACH", slot="vf0")
        answer = agent.answer("MOVE")
        assert answer["outcome"] == "OUTCOME_FAILED" and answer["result"]["exit_status"] == 3, answer
        assert answer["refusals"] == [{"who": "hyp1", "reason": "driver-failed", "text": "vm1 holds it"}], answer
        assert answer["result"]["slots"][0]["vm"] == "vm1", answer


def senseless_driver_answer_is_a_failure():
    with Agent() as agent:
        agent.write("detach.sh", "echo hello")
        agent.order("DETACH", slot="vf0")
        answer = agent.answer("MOVE")
        assert answer["refusals"][0]["reason"] == "driver-answer", answer


def slow_driver_blocks_nobody_and_is_killed_at_its_deadline():
    with Agent() as agent:
        shim = agent.shim()
        agent.write("detach.sh", 'sleep 600 & echo $! > "$here/pid"; wait')
        agent.order("DETACH", slot="vf0", deadline_ms=1500)
        agent.event("STOP", to_vm=True)
        answered(shim, shim.frame("event"))
        agent.answer("STOP")  # while the driver is at work
        answer = agent.answer("MOVE")
        assert answer["outcome"] == "OUTCOME_FAILED" and answer["refusals"][0]["reason"] == "driver-timeout", answer
        pid = int(agent.read("pid"))
        end = time.monotonic() + 10
        while os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().split(") ")[1][0] != "Z":
            assert time.monotonic() < end, "the driver's child lives on"
            time.sleep(0.01)


def check_compares_what_the_vm_has_seen():
    with Agent() as agent:
        rows = [
            ({"slot": "vf1", "attributes": {"max_qp": 50}}, "OUTCOME_DONE", None),
            ({"slot": "vf1", "attributes": {"max_qp": 51}}, "OUTCOME_REFUSED", "fewer-capabilities"),
            ({"slot": "vf1", "attributes": {"device_cap_flags": 1}}, "OUTCOME_REFUSED", "fewer-capabilities"),
            ({"slot": "vf0", "vm": "vm2"}, "OUTCOME_REFUSED", "slot-busy"),
            ({"slot": "vf9"}, "OUTCOME_REFUSED", "no-such-slot"),
        ]
        for sequence, (fields, outcome, reason) in enumerate(rows, 1):
            agent.order("CHECK", "PREPARE", sequence, **fields)
            answer = agent.answer("PREPARE", sequence)
            assert answer["outcome"] == outcome, answer
            assert not reason or answer["refusals"][0]["reason"] == reason, answer
        assert len(agent.driver_log("check")) == 1


def move_ends_the_vms_links_here_and_give_back_brings_them_back():
    with Agent() as agent:
        shim = agent.shim()
        agent.write("move.sh", "echo '{\"copy_ms\": 12}'")
        agent.order("MOVE", peer_host="hyp2")
        answer = agent.answer("MOVE")
        assert answer["result"]["copy_ms"] == 12 and "vms" not in answer["result"], answer
        shim.closed()
        assert not os.path.exists(agent.path("vms/vm1.sock"))
        agent.order("GIVE_BACK", sequence=2, slot="vf0")
        answer = agent.answer("MOVE", 2)
        assert answer["result"]["vms"][0]["slot"] == "vf0", answer
        agent.shim()


def socket_stands_before_the_vf_is_attached():
    with Agent() as agent:
        agent.write("attach.sh", 'test -S "$socket" && echo "{}"')
        agent.order("ATTACH", "ATTACH", vm="vm7", slot="vf1")
        answer = agent.answer("ATTACH")
        assert answer["outcome"] == "OUTCOME_DONE", answer
        vm = [vm for vm in answer["result"]["vms"] if vm["name"] == "vm7"]
        assert vm == [{"name": "vm7", "slot": "vf1", "socket": agent.path("vms/vm7.sock")}], answer
        # The VM's process that tether-smd expects gets the event when it comes.
        agent.event("ATTACH", 2, vm="vm7", to_vm=True, expected=["vm7/10.1"], deadline_ms=60000)
        shim = agent.shim("vm7", "vm7/10.1", migration=1)
        answered(shim, shim.frame("event"))
        assert agent.answer("ATTACH", 2)["answered"] == ["vm7/10.1"]


def failed_attach_leaves_no_socket():
    with Agent() as agent:
        agent.write("attach.sh", "exit 1")
        agent.order("ATTACH", "ATTACH", vm="vm7", slot="vf1")
        answer = agent.answer("ATTACH")
        assert answer["outcome"] == "OUTCOME_FAILED" and len(answer["result"]["vms"]) == 1, answer
        assert not os.path.exists(agent.path("vms/vm7.sock"))


def guids_are_programmed():
    with Agent() as agent:
        agent.order("SET_GUIDS", slot="vf1", node_guid=0x1234, port_guid=0x5678)
        answer = agent.answer("MOVE")
        assert answer["result"]["slots"][1]["port_guid"] == 0x5678, answer
        call, = agent.driver_log("set-guids")
        assert "node_guid=0x0000000000001234 port_guid=0x0000000000005678" in call, call


def a_dynamic_slots_link_is_ordered_with_its_guids():
    with Agent() as agent:
        for sequence, (link, said) in enumerate(((None, ""), ("LINK_DOWN", "link=down"), ("LINK_UP", "link=up")), 1):
            agent.order("SET_GUIDS", sequence=sequence, slot="vf1", node_guid=1, port_guid=2,
                        **({"link": link} if link else {}))
            assert agent.answer("MOVE", sequence)["outcome"] == "OUTCOME_DONE"
            words = [word for word in agent.driver_log("set-guids")[-1].split() if word.startswith("link=")]
            assert words == ([said] if said else []), words


def vm_name_cannot_leave_the_socket_directory():
    with Agent() as agent:
        agent.order("ATTACH", "ATTACH", vm="../vm7", slot="vf1")
        answer = agent.answer("ATTACH")
        assert answer["outcome"] == "OUTCOME_REFUSED" and answer["refusals"][0]["reason"] == "no-socket", answer
        assert not os.path.exists(agent.path("vm7.sock"))


def wait_for_text(agent, name):
    end = time.monotonic() + 10
    while not agent.read(name).strip():
        assert time.monotonic() < end, f"the driver does not write {name}"
        time.sleep(0.01)
    return agent.read(name).strip()


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split(") ")[1][0] not in "ZX"
    except FileNotFoundError:
        return False


def agent_killed_with_its_driver_at_work_leaves_none():
    with Agent() as agent:
        # Grandchildren, one of them an orphan.
        agent.write("detach.sh", 'sh -c "sleep 600 & sleep 600 & wait" & sh -c "sleep 600 &"; '
                                 'while [ $(pgrep -g $$ -c sleep) -lt 3 ]; do sleep 0.01; done; '
                                 'pgrep -g $$ | tr "\\n" " " > "$here/new"; mv "$here/new" "$here/pids"; wait')
        agent.order("DETACH", slot="vf0", deadline_ms=60000)
        pids = wait_for_text(agent, "pids").split()
        assert len(pids) >= 5 and any(lives(pid) for pid in pids), pids
        agent.kill()
        agent.start()
        # So no order that is given again meets them.
        assert not any(lives(pid) for pid in pids), pids


def order_that_a_stopped_agent_finds_in_a_dead_link_is_not_obeyed():
    with Agent() as agent:
        agent.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, agent.process.pid, os.WSTOPPED)
        agent.order("DETACH", slot="vf0")
        agent.root.close(agent.link)
        agent.process.send_signal(signal.SIGCONT)
        agent.welcome()
        assert "has a dead link's order" in agent.read("agent.log")
        assert not agent.driver_log("detach")
        # A root that still wants it gives it again.
        agent.order("DETACH", slot="vf0")
        assert agent.answer("MOVE")["outcome"] == "OUTCOME_DONE"
        assert len(agent.driver_log("detach")) == 1


def another_order_for_a_vm_ends_the_one_at_work_first():
    with Agent() as agent:
        agent.write("detach.sh", 'echo $$ > "$here/pid"; while :; do sleep 0.1; done')
        agent.write("give-back.sh", '! kill -0 $(cat "$here/pid") 2> /dev/null')
        agent.order("DETACH", slot="vf0", deadline_ms=60000)
        wait_for_text(agent, "pid")
        agent.order("GIVE_BACK", sequence=2, slot="vf0")
        given_up = agent.answer("MOVE")
        assert given_up["outcome"] == "OUTCOME_FAILED" and given_up["refusals"][0]["reason"] == "superseded", given_up
        assert agent.answer("MOVE", 2)["outcome"] == "OUTCOME_DONE"
        agent.order("DETACH", sequence=1, slot="vf1", deadline_ms=60000, migration=2, epoch=1)
        assert agent.answer("MOVE")["refusals"][0]["reason"] == "old-order"


def the_same_order_waits_for_the_one_at_work():
    with Agent() as agent:
        agent.write("move.sh", 'echo begin >> "$here/steps"; while [ ! -e "$here/go" ]; do sleep 0.02; done; '
                               'echo end >> "$here/steps"')
        agent.order("MOVE", peer_host="hyp2", deadline_ms=60000)
        wait_for_text(agent, "steps")
        agent.order("MOVE", peer_host="hyp2", deadline_ms=60000, epoch=2)
        agent.event("STOP", 7, epoch=2)
        agent.answer("STOP", 7)  # so it has the other order too
        agent.write("go", "")
        for epoch in (1, 2):
            assert agent.root.frame("answer", epoch=epoch, step="STEP_MOVE")["outcome"] == "OUTCOME_DONE"
        assert agent.read("steps").split() == ["begin", "end"] * 2


def after_a_failed_order_the_driver_is_asked_what_there_is():
    with Agent() as agent:
        agent.write("detach.sh", 'sed "s/0x2001/0x2009/" < "$here/inventory.json" > "$here/new"; '
                                 'mv "$here/new" "$here/inventory.json"; exit 1')
        agent.order("DETACH", slot="vf0")
        assert agent.answer("MOVE")["outcome"] == "OUTCOME_FAILED"
        agent.welcome()
        assert agent.hello["slots"][0]["port_guid"] == 0x2009, agent.hello


def other_vms_are_known_while_an_order_does_not_end():
    with Agent() as agent:
        os.mkfifo(agent.path("go"))
        agent.write("detach.sh", 'echo begun > "$here/begun"; read -r word < "$here/go"')
        agent.order("DETACH", slot="vf0", deadline_ms=60000)
        wait_for_text(agent, "begun")
        # The driver sees vm1's VF gone already, which the order has not said.
        agent.write("inventory.json", json.dumps({"vms": [{"name": "vm8"}, {"name": "vm1"}],
                                                  "slots": [{**slot, "vm": ""} for slot in INVENTORY["slots"]]}))
        agent.process.send_signal(signal.SIGHUP)
        agent.root.closed(agent.link)
        agent.welcome()
        assert {vm["name"]: vm.get("slot") for vm in agent.hello["vms"]} == {"vm8": None, "vm1": "vf0"}, agent.hello
        assert [slot.get("vm") for slot in agent.hello["slots"]] == ["vm1", None], agent.hello
        agent.write("inventory.json", json.dumps({**INVENTORY, "vms": [{"name": "vm1"}],
                                                  "slots": [{**slot, "vm": ""} for slot in INVENTORY["slots"]]}))
        agent.write("go", "on\n")
        result = agent.answer("MOVE")["result"]
        assert {vm["name"]: vm.get("slot") for vm in result["vms"]} == {"vm8": None, "vm1": None}, result
        agent.welcome()  # it has looked once more
        assert {vm["name"]: vm.get("slot") for vm in agent.hello["vms"]} == {"vm1": None}, agent.hello


def driver_may_say_the_inventory_with_any_order():
    with Agent() as agent:
        agent.write("detach.sh", 'sed s/vf0/vf5/g "$here/inventory.json"')
        agent.order("DETACH", slot="vf0")
        assert agent.answer("MOVE")["result"]["slots"][0]["name"] == "vf5"
        agent.order("NOTHING", "PREPARE", 2)
        assert agent.answer("PREPARE", 2)["result"]["slots"][0]["name"] == "vf0"
        agent.shim()


def driver_that_fails_at_start_is_asked_again():
    with Agent(start=False) as agent:
        agent.write("inventory.sh", 'rm "$here/inventory.sh"; exit 1')
        agent.start()
        assert len(agent.driver_log("inventory")) == 2
        assert agent.hello["vms"][0]["name"] == "vm1"


TESTS = [
    detach_is_ordered_and_the_inventory_follows,
    failed_driver_is_told_in_its_own_words,
    senseless_driver_answer_is_a_failure,
    slow_driver_blocks_nobody_and_is_killed_at_its_deadline,
    check_compares_what_the_vm_has_seen,
    move_ends_the_vms_links_here_and_give_back_brings_them_back,
    socket_stands_before_the_vf_is_attached,
    failed_attach_leaves_no_socket,
    guids_are_programmed,
    a_dynamic_slots_link_is_ordered_with_its_guids,
    vm_name_cannot_leave_the_socket_directory,
    agent_killed_with_its_driver_at_work_leaves_none,
    order_that_a_stopped_agent_finds_in_a_dead_link_is_not_obeyed,
    another_order_for_a_vm_ends_the_one_at_work_first,
    the_same_order_waits_for_the_one_at_work,
    after_a_failed_order_the_driver_is_asked_what_there_is,
    other_vms_are_known_while_an_order_does_not_end,
    driver_may_say_the_inventory_with_any_order,
    driver_that_fails_at_start_is_asked_again,
]
sys.exit(run_tests(TESTS))
