#!/usr/bin/env python3
"""tether-agent in the host role: its relay over real sockets, its root, its start, restarts and end."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import AGENT, OLDEST, PATIENCE_S, VERSION, WRAP, Agent, answered, run_tests  # noqa: E402

from lab.metrics import Metrics  # noqa: E402
from lab.ports import free_port  # noqa: E402
from lab.service_manager import ServiceManager  # noqa: E402


def hello_says_what_the_driver_found():
    with Agent() as agent:
        assert agent.hello["name"] == "hyp1" and agent.hello["role"] == "ROLE_HOST", agent.hello
        vm, = agent.hello["vms"]
        assert vm == {"name": "vm1", "slot": "vf0", "socket": agent.path("vms/vm1.sock")}, vm
        assert [slot["name"] for slot in agent.hello["slots"]] == ["vf0", "vf1"], agent.hello
        assert agent.hello["slots"][0]["switch_guid"] == 0x3001
        assert agent.hello["slots"][0]["attributes"]["max_qp"] == 100
        assert agent.driver_log("inventory") == [f"hyp1 inventory socket_dir={agent.path('vms')} timeout_ms=10000"]


def event_reaches_processes_and_one_answer_goes_up():
    with Agent() as agent:
        shims = [agent.shim(name=f"vm1/{pid}.1") for pid in (10, 11)]
        agent.event("STOP", to_vm=True)
        for shim in shims:
            event = shim.frame("event")
            assert event["to_vm"] and event["deadline_ms"] < 5000, event
            answered(shim, event, counts={"qps": 3}, qps={key: [7] for key in (
                "local_lid", "local_qpn", "real_qpn", "remote_lid", "remote_qpn", "sq_psn", "context", "real_lid", "of_vm")})
        answer = agent.answer("STOP")
        assert answer["outcome"] == "OUTCOME_DONE", answer
        assert sorted(answer["answered"]) == ["vm1/10.1", "vm1/11.1"], answer
        assert answer["counts"]["qps"] == 6 and answer["qps"]["local_qpn"] == [7, 7], answer


def told_that_a_vm_has_moved(agent):
    return agent.read("agent.log").count("of interest here, has moved")


def move_of_another_vm_is_told_once():
    """Not again where it is repeated, under the same number or another, nor from an epoch before."""
    with Agent() as agent:
        shim = agent.shim(lids=[9])
        moved = {"vm": "vm7", "address": {"lid": 9}, "to_peers": True}
        for sequence in (1, 1, 2):
            agent.event("MOVED", sequence, epoch=5, **moved)
            assert agent.answer("MOVED", sequence)["outcome"] == "OUTCOME_DONE"
            assert told_that_a_vm_has_moved(agent) == 1
        agent.event("MOVED", 9, epoch=4, **moved)
        answer = agent.answer("MOVED", 9)
        assert answer["outcome"] == "OUTCOME_REFUSED" and answer["refusals"][0]["reason"] == "old-epoch", answer
        assert told_that_a_vm_has_moved(agent) == 1
        agent.event("MOVED", 1, migration=2, epoch=6, **moved)
        agent.answer("MOVED", 1)
        assert told_that_a_vm_has_moved(agent) == 2
        agent.event("STOP", 2, to_vm=True)
        assert shim.frame("event")["step"] == "STEP_STOP"  # it heard nothing of all that


def refusal_names_the_process():
    with Agent() as agent:
        shim = agent.shim()
        agent.event("PREPARE", to_vm=True)
        answered(shim, shim.frame("event"), "OUTCOME_REFUSED", refusals=[{"reason": "veto-flow", "text": "has a flow"}])
        refusal, = agent.answer("PREPARE")["refusals"]
        assert refusal == {"who": "hyp1/vm1/10 ib_write_bw", "reason": "veto-flow", "text": "has a flow"}, refusal


def process_is_of_the_vm_whose_socket_it_came_through():
    with Agent() as agent:
        links = agent._links("connect", agent.path("vms/vm1.sock"))
        links.opened()
        links.send({"hello": {"version": VERSION, "role": "ROLE_SHIM", "name": "vm2/10.1"}})
        answer = links.frame("hello_answer")
        assert answer["outcome"] == "OUTCOME_REFUSED", answer
        assert answer["refusals"][0]["reason"] == "foreign-name", answer
        links.closed()


def process_two_versions_apart_is_refused_and_both_are_named():
    with Agent() as agent:
        shim = agent.shim()
        for version in (OLDEST - 1, VERSION + 1):
            other = agent._links("connect", agent.path("vms/vm1.sock"))
            other.opened()
            other.send({"hello": {"version": version, "role": "ROLE_SHIM", "name": "vm1/11.1"}})
            refusal, = other.frame("hello_answer")["refusals"]
            text = f"it speaks version {version} of the protocol, this relay versions {OLDEST} to {VERSION}: "
            assert refusal["reason"] == "version" and refusal["text"].startswith(text), refusal
            other.closed()
            assert f"is refused: version: {text}" in agent.read("agent.log")
        agent.event("STOP", to_vm=True)
        answered(shim, shim.frame("event"))
        assert agent.answer("STOP")["answered"] == ["vm1/10.1"]


def root_that_refuses_it_is_quoted_and_asked_again():
    with Agent() as agent:
        agent.root.close(agent.link)
        agent.root.closed(agent.link)
        agent.link = agent.root.opened()
        agent.root.frame("hello", agent.link, version=OLDEST, newest=VERSION)
        agent.down({"hello_answer": {"outcome": "OUTCOME_REFUSED", "refusals": [
            {"reason": "version", "text": "it speaks another"}]}})
        agent.root.closed(agent.link)
        assert "the root refuses this host: version: it speaks another" in agent.read("agent.log")
        agent.welcome()
        agent.event("STOP")
        agent.answer("STOP")


def interest_is_acknowledged_by_the_root():
    with Agent() as agent:
        shim = agent.shim()
        shim.send({"interest": {"request": 77, "address": {"lid": 9}, "remote_qpn": 3}})
        interest = agent.root.frame("interest")
        assert interest["address"]["lid"] == 9 and interest["remote_qpn"] == 3, interest
        shim.nothing("interest_answer", 0.2)
        agent.down({"interest_answer": {"request": interest["request"], "outcome": "OUTCOME_DONE"}})
        assert shim.frame("interest_answer") == {"request": 77, "outcome": "OUTCOME_DONE"}


def interest_of_a_killed_process_is_dropped():
    with Agent() as agent:
        shim = agent.shim(lids=[9])
        assert agent.root.frame("interest")["address"]["lid"] == 9
        shim.kill()
        assert agent.root.frame("interest", drop=True)["address"]["lid"] == 9


def killed_process_is_not_waited_for():
    with Agent() as agent:
        shim, other = agent.shim(), agent.shim(name="vm1/11.1")
        agent.event("STOP", to_vm=True, deadline_ms=60000)
        answered(other, other.frame("event"))
        shim.frame("event")
        shim.kill()
        answer = agent.answer("STOP")
        assert answer["outcome"] == "OUTCOME_DONE" and answer["answered"] == ["vm1/11.1"], answer


def stopped_process_is_missing_at_the_deadline():
    with Agent() as agent:
        shim, other = agent.shim(), agent.shim(name="vm1/11.1")
        shim.tool.send_signal(signal.SIGSTOP)
        agent.event("STOP", to_vm=True, deadline_ms=500)
        answered(other, other.frame("event"))
        answer = agent.answer("STOP")
        assert answer["outcome"] == "OUTCOME_PARTIAL" and answer["missing"] == ["vm1/10.1"], answer
        assert answer["answered"] == ["vm1/11.1"], answer
        shim.tool.send_signal(signal.SIGCONT)


def process_that_reconnects_gets_the_open_event_again():
    with Agent() as agent:
        shim = agent.shim()
        agent.event("STOP", to_vm=True, deadline_ms=60000)
        shim.frame("event")
        shim.close()
        shim.closed()
        again = agent.shim()
        answered(again, again.frame("event"))
        assert agent.answer("STOP")["outcome"] == "OUTCOME_DONE"


def garbage_ends_only_its_own_link():
    with Agent() as agent:
        shim = agent.shim()
        for data in (b"\x00\x00\x00\x02\xff\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"GET / HTTP/1.1\r\n\r\n",
                     b"\x00\x00\x00\x04\x22\x02\x08\x01"):
            bad = agent._links("connect", agent.path("vms/vm1.sock"))
            bad.opened()
            bad.raw(data)
            bad.closed()
        agent.event("STOP", to_vm=True)
        answered(shim, shim.frame("event"))
        assert agent.answer("STOP")["answered"] == ["vm1/10.1"]


def half_a_frame_and_silence_are_not_kept():
    with Agent() as agent:
        bad = agent._links("connect", agent.path("vms/vm1.sock"))
        bad.opened()
        bad.raw(b"\x00\x00\x10\x00half")
        bad.closed()


def killed_agent_comes_back_with_its_epoch_and_the_open_event():
    with Agent() as agent:
        shim = agent.shim()
        agent.event("STOP", epoch=9, to_vm=True, deadline_ms=60000)
        shim.frame("event")
        agent.kill()
        shim.closed()
        agent.start(epoch=9)
        assert agent.hello["epoch"] == 9, agent.hello
        assert [vm["name"] for vm in agent.hello["vms"]] == ["vm1"], agent.hello
        # The root gives the open event again; the process has not come back yet.
        agent.event("STOP", epoch=9, to_vm=True, expected=["vm1/10.1"], deadline_ms=60000)
        shim = agent.shim()
        answered(shim, shim.frame("event"))
        assert agent.answer("STOP")["answered"] == ["vm1/10.1"]


def replaced_root_is_not_obeyed():
    with Agent() as agent:
        agent.event("STOP", epoch=9, to_vm=True)
        agent.answer("STOP")
        agent.root.close(agent.link)
        agent.welcome(epoch=8)
        agent.root.closed(agent.link)  # the agent leaves it
        agent.welcome(epoch=9)
        agent.event("STOP", 2, epoch=9, to_vm=True)
        agent.answer("STOP", 2)
        assert "older than one seen before" in agent.read("agent.log")


def root_that_comes_back_hears_of_interests_and_answers():
    with Agent() as agent:
        shim = agent.shim(lids=[9])
        interest = agent.root.frame("interest")
        agent.down({"interest_answer": {"request": interest["request"], "outcome": "OUTCOME_DONE"}})
        agent.event("STOP", to_vm=True, deadline_ms=60000)
        event = shim.frame("event")
        agent.root.close(agent.link)
        agent.root.closed(agent.link)
        agent.link = agent.root.opened()
        agent.hello = agent.root.frame("hello", agent.link)
        answered(shim, event)  # while the root is not ready to hear it
        agent.down({"hello_answer": {"outcome": "OUTCOME_DONE", "epoch": 1}})
        assert agent.hello["addresses"] == [{"lid": 9}], agent.hello
        assert agent.hello["step"] == "STEP_STOP" and agent.hello["migration"] == 1, agent.hello
        agent.event("STOP", to_vm=True)
        assert agent.answer("STOP")["answered"] == ["vm1/10.1"]
        shim.nothing("event", 0.1)


def silent_root_is_left():
    with Agent(heartbeat_ms=50) as agent:
        agent.root.tool.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 10
        while "no heartbeat" not in agent.read("agent.log"):
            assert time.monotonic() < end
            time.sleep(0.01)
        agent.root.tool.send_signal(signal.SIGCONT)
        agent.root.closed(agent.link)
        agent.welcome()


def sighup_brings_a_new_vm():
    with Agent() as agent:
        agent.write("inventory.json", '{"vms": [{"name": "vm1"}, {"name": "vm8"}], "slots": []}')
        agent.process.send_signal(signal.SIGHUP)
        agent.root.closed(agent.link)
        agent.welcome()
        assert [vm["name"] for vm in agent.hello["vms"]] == ["vm1", "vm8"], agent.hello
        agent.shim("vm8", "vm8/10.1")


def sighup_without_news_breaks_no_link():
    with Agent() as agent:
        agent.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while agent.read("agent.log").count("1 VMs, 2 slots") < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        agent.event("STOP")
        agent.answer("STOP")
        assert "the root is away" not in agent.read("agent.log")


def socket_directory_must_be_there():
    with Agent(start=False, socket_dir="/nonexistent") as agent:
        assert subprocess.run([AGENT, "--config", agent.path("agent.conf")], timeout=20).returncode == 1
        assert "/nonexistent: No such file or directory" in agent.read("agent.log")


def sigterm_leaves_nothing_behind():
    with Agent() as agent:
        shim = agent.shim()
        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(10) == 0
        shim.closed()
        assert os.listdir(agent.path("vms")) == []


def second_agent_in_the_same_directory_is_refused():
    with Agent() as agent:
        second = subprocess.run([AGENT, "--config", agent.path("agent.conf")], timeout=20)
        assert second.returncode == 1
        assert "another agent is at work here" in agent.read("agent.log")
        agent.event("STOP")
        agent.answer("STOP")


def agent_says_how_it_is_when_it_is_asked():
    with Agent() as agent:
        agent.shim()
        agent.shim(name="vm1/11.1")
        agent.event("STOP", epoch=9, deadline_ms=60000)
        agent.answer("STOP")
        agent.down({"report": {"request": 77}})
        report = agent.root.frame("report")
        assert (report["request"], report["name"], report["role"]) == (77, "hyp1", "ROLE_HOST"), report
        assert report["vms"] == [{"name": "vm1", "processes": 2, "protocol": VERSION}] and report["epoch"] == 9, report
        assert report["version"] in subprocess.run([AGENT, "--version"], capture_output=True, text=True).stdout, report
        counters = {counter["name"]: counter.get("value", 0) for counter in report["counters"]}
        assert counters["events"] == 1 and counters["late_answers"] == 0, counters


def prometheus_is_told():
    with Agent(start=False) as agent:
        for address in (f"127.0.0.1:{free_port()}", "unix:" + agent.path("metrics.sock")):
            agent.write("agent.conf", agent.read("agent.conf").split("metrics =")[0] + f"metrics = {address}\n")
            agent.start()
            agent.shim()
            metrics = Metrics(address)
            values = metrics.values()
            assert values["tether_agent_parent_connected"] == 1 and values["tether_agent_vms"] == 1, values
            assert values['tether_agent_processes{vm="vm1"}'] == 1 and values["tether_agent_events_total"] == 0, values
            agent.event("STOP", sequence=2)
            agent.answer("STOP", 2)
            assert metrics.values()["tether_agent_events_total"] == 1
            assert metrics.ask("GET /")[0] == 404
            assert metrics.ask("DELETE /metrics")[0] in (405, 501)
            agent.process.send_signal(signal.SIGTERM)
            assert agent.process.wait(10) == 0
            agent.root.closed(agent.link)
        assert not os.path.exists(agent.path("metrics.sock"))


def who_asks_for_metrics_and_does_not_read_holds_nobody_up():
    with Agent(start=False) as agent:
        address = "unix:" + agent.path("metrics.sock")
        agent.write("agent.conf", agent.read("agent.conf") + f"metrics = {address}\n")
        agent.start()
        idle = [Metrics(address).connect() for _ in range(50)]
        for sock in idle[:25]:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        for sock in idle[25:]:
            sock.sendall(b"GET /metr")
        shim = agent.shim()
        agent.event("STOP", to_vm=True)
        answered(shim, shim.frame("event"))
        assert agent.answer("STOP")["outcome"] == "OUTCOME_DONE"
        assert Metrics(address).values()["tether_agent_vms"] == 1
        for sock in idle:
            sock.close()


def service_manager_is_told():
    with Agent(start=False) as agent, ServiceManager(agent.path("notify")) as manager:
        agent.start(env={"NOTIFY_SOCKET": agent.path("notify")})
        manager.told("READY=1")
        assert "root.sock is here" in manager.told("STATUS=")
        agent.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in manager.told("RELOADING=1")
        manager.told("READY=1")
        agent.root.close(agent.link)
        assert "is away" in manager.told("STATUS=")
        agent.welcome()
        agent.process.send_signal(signal.SIGTERM)
        manager.told("STOPPING=1")


def watchdog_hears_that_the_loop_goes_round():
    with Agent(start=False) as agent, ServiceManager(agent.path("notify")) as manager:
        agent.start(env={"NOTIFY_SOCKET": agent.path("notify"), "WATCHDOG_USEC": "20000"})
        for _ in range(3):
            manager.told("WATCHDOG=1")
        # What is there when it stands still is all there is.
        agent.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, agent.process.pid, os.WSTOPPED | os.WNOWAIT)
        manager.said()
        assert manager.said() == []
        agent.process.send_signal(signal.SIGCONT)
        manager.told("WATCHDOG=1")
        agent.process.send_signal(signal.SIGTERM)
        manager.told("STOPPING=1")
        assert agent.process.wait(PATIENCE_S) == 0


def settings_are_checked():
    def check(text):
        agent.write("bad.conf", text)
        run = subprocess.run([AGENT, "--config", agent.path("bad.conf"), "--check-config"], capture_output=True, text=True)
        return run.returncode, run.stderr.replace(agent.dir + "/", "").strip()

    with Agent(start=False) as agent:
        good = agent.read("agent.conf")
        assert check(good) == (0, "")
        end = good.count("\n") + 1
        line = {text.split()[0]: number for number, text in enumerate(good.splitlines(), 1)}

        def replaced(key, value):
            return good.replace(f"{key} = {agent.settings[key]}\n", f"{key} = {value}\n")

        # The line, what is wrong with it, and what to do.
        for text, said in (
                (good + "stopp_ms = 3\n", f'bad.conf:{end}: unknown key "stopp_ms": is "stop_ms" meant?'),
                (good + "colour = 3\n", f'bad.conf:{end}: unknown key "colour": take it out; tether.conf(5) has those that there are'),
                (good + "stop_ms = soon\n",
                 f'bad.conf:{end}: bad value for "stop_ms": it has to be a number of milliseconds from 1 to 3600000'),
                (good + "stop_ms\n", f'bad.conf:{end}: not a line of the form "key = value"'),
                (good.replace("role = host\n", ""), 'bad.conf: "role" is not said: add a line "role = ...": host, relay or guest'),
                (replaced("role", "boss"), f'bad.conf:{line["role"]}: bad value for "role": it has to be host, relay or guest'),
                (replaced("name", "hyp/1"), f'bad.conf:{line["name"]}: bad value for "name": it has to be this server\'s name: '
                 'letters, digits and _.-:@'),
                (replaced("root", "tcp:1.2.3.4:5"), f'bad.conf:{line["root"]}: bad value for "root": it has to be where '
                 'tether-smd listens: unix:/PATH or tls:ADDRESS:PORT; of a guest virtio:/PATH, vsock:CID:PORT or unix:/PATH'),
                (replaced("driver", "/bin/true"), f'bad.conf:{line["driver"]}: bad value for "driver": it has to be exec:/PATH, of an '
                 'executable, or qmp:/PATH, of a tether-qmp.conf(5)'),
                (replaced("log_level", "loud"), f'bad.conf:{line["log_level"]}: bad value for "log_level": it has to be none, error, '
                 'warn, info or debug'),
                (good + "socket_mode = 999\n", f'bad.conf:{end}: bad value for "socket_mode": it has to be a file mode in octal, at '
                 'most 0777'),
                *((good + f"mad_port = {port}\n", f'bad.conf:{end}: bad value for "mad_port": it has to be none, or the adapter at which '
                   'notices are heard: CA or CA:PORT') for port in ("mlx5_0:0", "mlx5_0:x", ":1", "mlx5_0:1:2", "a" * 20)),
                *((good + f"parent_name = {name}\n", f'bad.conf:{end}: bad value for "parent_name": it has to be sm/NAME or relay/NAME, '
                   'whose certificate the parent has to show, or any') for name in ("smd", "host/hyp2", "sm/", "tether:sm/smd", "any/")),
                (good + "parent_name = sm/smd\n", f'bad.conf:{end}: parent_name: root is not tls:, and nobody shows a certificate there'),
                (good.replace("role = host\n", "role = relay\n").replace(f"driver = {agent.settings['driver']}\n", "mad_port = mlx5_0\n") +
                 "listen = unix:below.sock\n", f'bad.conf:{line["driver"]}: mad_port: a relay has none: a host hears notices'),
                *((good + f"metrics = {where}\n", f'bad.conf:{end}: bad value for "metrics": it has to be none, 127.0.0.1:PORT, '
                   '[::1]:PORT or unix:/PATH: only this machine may ask')
                  for where in ("0.0.0.0:9710", "10.0.0.1:9710", "[::]:9710", "127.0.0.1", "127.0.0.1:0", "9710", "here:9710")),
                (replaced("driver", "exec:/nonexistent/driver"),
                 f'bad.conf:{line["driver"]}: driver: /nonexistent/driver is not there: No such file or directory'),
                (replaced("driver", "exec:agent.conf"),
                 f'bad.conf:{line["driver"]}: driver: agent.conf cannot be executed by uid {os.geteuid()}: name an executable'),
                (replaced("state_dir", "agent.conf"),
                 f'bad.conf:{line["state_dir"]}: state_dir: agent.conf is no directory: name another'),
                (replaced("socket_dir", "none"), f'bad.conf:{line["socket_dir"]}: socket_dir: none is not there: make it, or have '
                 'the service manager make it')):
            assert check(text) == (2, f"tether-agent: {said}"), (said, check(text))
        for text in (replaced("driver", "exec:driver"), good + "parent_name = any\n", replaced("state_dir", "state"), replaced("root", "unix:root.sock"),
                     *(good + f"metrics = {where}\n" for where in ("127.0.0.1:9710", "[::1]:9710", "unix:metrics.sock", "none"))):
            assert check(text) == (0, ""), check(text)
        assert subprocess.run([AGENT, "--nonsense"], capture_output=True).returncode == 2
        assert subprocess.run([AGENT, "--version"], capture_output=True).returncode == 0
        assert subprocess.run([AGENT, "--help"], capture_output=True).returncode == 0


TESTS = [
    hello_says_what_the_driver_found,
    event_reaches_processes_and_one_answer_goes_up,
    move_of_another_vm_is_told_once,
    refusal_names_the_process,
    process_is_of_the_vm_whose_socket_it_came_through,
    process_two_versions_apart_is_refused_and_both_are_named,
    root_that_refuses_it_is_quoted_and_asked_again,
    interest_is_acknowledged_by_the_root,
    interest_of_a_killed_process_is_dropped,
    killed_process_is_not_waited_for,
    stopped_process_is_missing_at_the_deadline,
    process_that_reconnects_gets_the_open_event_again,
    garbage_ends_only_its_own_link,
    half_a_frame_and_silence_are_not_kept,
    killed_agent_comes_back_with_its_epoch_and_the_open_event,
    replaced_root_is_not_obeyed,
    root_that_comes_back_hears_of_interests_and_answers,
    silent_root_is_left,
    sighup_brings_a_new_vm,
    sighup_without_news_breaks_no_link,
    socket_directory_must_be_there,
    sigterm_leaves_nothing_behind,
    second_agent_in_the_same_directory_is_refused,
    agent_says_how_it_is_when_it_is_asked,
    prometheus_is_told,
    who_asks_for_metrics_and_does_not_read_holds_nobody_up,
    service_manager_is_told,
    watchdog_hears_that_the_loop_goes_round,
    settings_are_checked,
]
if WRAP:  # it knows no pidfd_open(2), so the agent learns of a process's end by the deadline only
    TESTS.remove(killed_process_is_not_waited_for)
sys.exit(run_tests(TESTS))
