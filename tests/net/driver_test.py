#!/usr/bin/env python3
"""simfabric's driver under two agents: a VM's VF goes from one hypervisor of a fabric to another, and back."""
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from agent_harness import BUILD, Agent, answered, run_tests  # noqa: E402
from simfabric import vm_sockets  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVER = os.path.join(HERE, "..", "simfabric", "driver")
TOPOLOGY = os.path.join(HERE, "..", "fabrics", "demo.net")
CLI = os.path.join(BUILD, "bin", "simfabric")
LET_GO_MS = 5000  # of which the driver leaves itself a tenth to be started and to answer in


class Fabric:
    """The demo fabric with vm1 on hyp1 and vm2 nowhere."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="tether-driver.")
        self.sockets = os.path.join(self.dir, "sockets")
        os.mkdir(self.sockets)
        self.env = {"SIMFABRIC": os.path.join(self.dir, "fabric"), "SIMFABRIC_CLI": CLI,
                    "TETHER_VM_SOCKETS": self.sockets, "SIMFABRIC_COPY_MS": "7"}
        self.cli("create", TOPOLOGY)
        self.cli("vm", "add", "vm1", "hyp1_vf1")
        self.cli("vm", "add", "vm2")
        return self

    def __exit__(self, *error):
        self.cli("destroy")
        shutil.rmtree(self.dir)

    def cli(self, *words):
        return subprocess.run([CLI, "-f", self.env["SIMFABRIC"], *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def slot(self, name):
        return next(row for row in json.loads(self.cli("slots", "--json")) if row["slot"] == name)

    def agent(self, host):
        return Agent(env=self.env, name=host, driver=f"exec:{os.path.realpath(DRIVER)}")

    def link(self, vm):
        path = os.path.join(self.sockets, vm + ".sock")
        return os.readlink(path) if os.path.islink(path) else None


class Inventory:
    """Of hyp1 by the driver alone, without an agent. Paused: it stands still when it has seen who has which VF."""

    CLI = """#!/bin/sh
said=$({cli} "$@")
case $* in *"vm list"*) echo >{listed}; read -r go <{go} ;; esac
echo "$said"
"""

    def __init__(self, fabric, paused=False):
        self.listed, self.go, script = (os.path.join(fabric.dir, name) for name in ("listed", "go", "cli"))
        if paused:
            os.mkfifo(self.listed)
            os.mkfifo(self.go)
            with open(script, "w", encoding="ascii") as out:
                out.write(self.CLI.format(cli=CLI, listed=self.listed, go=self.go))
            os.chmod(script, 0o700)
        env = {**os.environ, **fabric.env, "TETHER_HOST": "hyp1", **({"SIMFABRIC_CLI": script} if paused else {})}
        self.driver = subprocess.Popen([DRIVER, "inventory", f"socket_dir={fabric.dir}/hyp1"], stdout=subprocess.PIPE, env=env)

    def until_paused(self):
        with open(self.listed, encoding="ascii") as listed:
            listed.read()

    def go_on(self):
        with open(self.go, "w", encoding="ascii") as go:
            go.write("on\n")

    def vms(self):
        said = json.loads(self.driver.communicate()[0])
        assert not self.driver.returncode
        return {vm["name"]: vm["slot"] for vm in said["vms"]}


def is_held(folder):
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def guest_that_ends_while_its_host_is_looked_at_has_ended():
    with Fabric() as fabric:
        assert Inventory(fabric).vms() == {"vm1": "hyp1_vf1"}
        late = Inventory(fabric, paused=True)
        late.until_paused()
        fabric.cli("detach", "vm1")
        if is_held(fabric.sockets):
            late.go_on()
            vm_sockets.end(fabric.sockets, "vm1")
        else:
            vm_sockets.end(fabric.sockets, "vm1")
            late.go_on()
        late.vms()
        assert fabric.link("vm1") is None
        assert Inventory(fabric).vms() == {}


def done(agent, step, sequence):
    answer = agent.answer(step, sequence)
    assert answer["outcome"] == "OUTCOME_DONE", answer
    return answer["result"]


def hypervisor_has_its_slots_and_its_vms():
    with Fabric() as fabric, fabric.agent("hyp1") as agent:
        assert [vm["name"] for vm in agent.hello["vms"]] == ["vm1"], agent.hello
        assert len(agent.hello["slots"]) == 4, agent.hello
        slot, known = agent.hello["slots"][0], fabric.slot("hyp1_vf1")
        assert slot["vm"] == "vm1" and slot["node_guid"] == int(known["node_guid"], 0), (slot, known)
        assert slot["switch_guid"] == int(known["vswitch_guid"], 0) and slot["switch_port"] == known["vswitch_port"]
        assert fabric.link("vm1") == agent.path("vms/vm1.sock")


def vm_moves_and_its_processes_find_the_other_agent():
    with Fabric() as fabric, fabric.agent("hyp1") as source, fabric.agent("hyp2") as destination:
        guids = [(int(slot["node_guid"], 0), int(slot["port_guid"], 0))
                 for slot in (fabric.slot("hyp1_vf1"), fabric.slot("hyp2_vf2"))]
        shim = source.shim()
        destination.order("CHECK", "PREPARE", 1, slot="hyp2_vf2")
        done(destination, "PREPARE", 1)
        source.order("DETACH", sequence=2, slot="hyp1_vf1")
        assert "slot" not in done(source, "MOVE", 2)["vms"][0]
        assert fabric.slot("hyp1_vf1")["vm"] is None
        assert fabric.link("vm1") == source.path("vms/vm1.sock")
        source.order("MOVE", sequence=3, peer_host="hyp2")
        assert done(source, "MOVE", 3)["copy_ms"] == 7
        assert fabric.link("vm1") is None
        shim.closed()
        destination.order("SET_GUIDS", sequence=4, slot="hyp2_vf2", node_guid=guids[0][0], port_guid=guids[0][1])
        done(destination, "MOVE", 4)
        source.order("SET_GUIDS", sequence=5, slot="hyp1_vf1", node_guid=guids[1][0], port_guid=guids[1][1])
        done(source, "MOVE", 5)
        destination.order("ATTACH", "ATTACH", 6, slot="hyp2_vf2")
        result = done(destination, "ATTACH", 6)
        assert [vm["name"] for vm in result["vms"]] == ["vm1"], result
        slot = fabric.slot("hyp2_vf2")
        assert slot["vm"] == "vm1" and int(slot["port_guid"], 0) == guids[0][1], slot
        assert os.path.samefile(os.path.join(fabric.sockets, "vm1.sock"), destination.path("vms/vm1.sock"))
        destination.event("ATTACH", 7, to_vm=True, expected=["vm1/10.1"], deadline_ms=60000)
        shim = destination.shim(migration=1)
        answered(shim, shim.frame("event"))
        destination.answer("ATTACH", 7)


def vm_is_given_back():
    with Fabric() as fabric, fabric.agent("hyp1") as source:
        source.order("DETACH", sequence=1, slot="hyp1_vf1")
        done(source, "MOVE", 1)
        source.order("MOVE", sequence=2, peer_host="hyp2")
        done(source, "MOVE", 2)
        source.order("GIVE_BACK", sequence=3, slot="hyp1_vf1")
        assert done(source, "MOVE", 3)["vms"][0]["slot"] == "hyp1_vf1"
        assert fabric.slot("hyp1_vf1")["vm"] == "vm1" and fabric.link("vm1") == source.path("vms/vm1.sock")


def vm_that_did_not_let_go_is_not_asked_any_more():
    """A program without the shim holds the device. Once it has been given back the VF stays, and can be opened."""
    with Fabric() as fabric, fabric.agent("hyp1") as source, subprocess.Popen(
            [CLI, "-f", fabric.env["SIMFABRIC"], "run", "--vm", "vm1", "--", "ibv_asyncwatch"],
            stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert "hyp1_vf1" in holder.stdout.readline()
            source.order("DETACH", slot="hyp1_vf1", deadline_ms=LET_GO_MS)
            assert source.answer("MOVE")["outcome"] == "OUTCOME_FAILED"
            source.order("GIVE_BACK", sequence=2, slot="hyp1_vf1")
            done(source, "MOVE", 2)
            assert not fabric.slot("hyp1_vf1")["is_asked"]
        finally:
            holder.kill()
        fabric.cli("run", "--vm", "vm1", "--", "ibv_devinfo", "-d", "hyp1_vf1")


def orders_done_before_are_done_again_without_harm():
    with Fabric() as fabric, fabric.agent("hyp1") as source:
        for sequence, order in enumerate((("DETACH", {}), ("DETACH", {}), ("MOVE", {}), ("MOVE", {}), ("GIVE_BACK", {}),
                                          ("GIVE_BACK", {})), 1):
            source.order(order[0], sequence=sequence, slot="hyp1_vf1")
            done(source, "MOVE", sequence)
        assert fabric.slot("hyp1_vf1")["vm"] == "vm1"


def agent_restarted_in_the_middle_knows_its_vm_without_vf():
    with Fabric() as fabric, fabric.agent("hyp1") as source:
        source.order("DETACH", slot="hyp1_vf1")
        done(source, "MOVE", 1)
        source.kill()
        source.start()
        assert [vm["name"] for vm in source.hello["vms"]] == ["vm1"] and "slot" not in source.hello["vms"][0]
        source.order("MOVE", sequence=2, peer_host="hyp2")
        done(source, "MOVE", 2)
        source.kill()
        source.start()
        assert "vms" not in source.hello, source.hello


def refusals_say_why():
    with Fabric() as fabric, fabric.agent("hyp1") as agent:
        rows = [
            ("MOVE", {}, "VM vm1 still has a VF"),
            ("ATTACH", {"vm": "vm9", "slot": "hyp1_vf2"}, "there is no VM vm9"),
            ("ATTACH", {"slot": "hyp1_vf2"}, "VM vm1 has the VF in hyp1_vf1"),
            ("SET_GUIDS", {"slot": "hyp1_vf1", "node_guid": 1, "port_guid": 2}, 'simfabric: a VM has the VF in "hyp1_vf1"'),
        ]
        for sequence, (action, fields, text) in enumerate(rows, 1):
            agent.order(action, sequence=sequence, **fields)
            answer = agent.answer("MOVE", sequence)
            assert answer["outcome"] == "OUTCOME_FAILED", answer
            assert answer["refusals"][0]["text"] == text, answer
        agent.order("CHECK", sequence=9, vm="vm2", slot="hyp1_vf1")
        assert agent.answer("MOVE", 9)["refusals"][0]["reason"] == "slot-busy"


sys.exit(run_tests([
    hypervisor_has_its_slots_and_its_vms,
    vm_moves_and_its_processes_find_the_other_agent,
    guest_that_ends_while_its_host_is_looked_at_has_ended,
    vm_is_given_back,
    vm_that_did_not_let_go_is_not_asked_any_more,
    orders_done_before_are_done_again_without_harm,
    agent_restarted_in_the_middle_knows_its_vm_without_vf,
    refusals_say_why,
]))
