#!/usr/bin/env python3
"""The driver that speaks QMP, under an agent, with QEMUs that are good, late, broken or gone."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import AGENT, Agent, run_tests  # noqa: E402
from fake_qemu import FakeQemu  # noqa: E402

VF0, VF1 = "tether-vf0", "tether-vf1"
CONF = """
vms = vm1 vm2
qmp = %v.qmp
incoming = unix:/run/%h/%v.incoming
{more}
[slot vf0]
device = vfio-pci,host=0000:fb:1f.7,bus=rp0
max_qp = 100
[slot vf1]
device = virtio-net-pci,netdev=n1,mac=52:54:00:00:00:02,bus=rp1,rombar=0,disable-legacy=on
[vm vm2]
guest = none
"""


class Host(Agent):
    """An agent whose driver speaks to `qemus` by VM."""

    def __init__(self, more="", **qemus):
        super().__init__(start=False, driver="qmp:qmp.conf")
        self.write("qmp.conf", CONF.format(more=more))
        self.qemus = {vm: FakeQemu(self.path(f"{vm}.qmp"), **fields) for vm, fields in qemus.items()}

    def __enter__(self):
        super().__enter__()
        self.start()
        return self

    def __exit__(self, *error):
        super().__exit__(*error)
        for qemu in self.qemus.values():
            qemu.end()

    def done(self, action, sequence=1, **fields):
        self.order(action, sequence=sequence, **fields)
        answer = self.answer("MOVE", sequence)
        assert answer["outcome"] == "OUTCOME_DONE", answer
        return answer["result"]

    def fails(self, action, reason, text, sequence=1, **fields):
        self.order(action, sequence=sequence, **fields)
        return self.failed(reason, text, sequence)

    def failed(self, reason, text, sequence=1):
        answer = self.answer("MOVE", sequence)
        assert answer["outcome"] == "OUTCOME_FAILED", answer
        refusal, = answer["refusals"]
        assert refusal["reason"] == reason and text in refusal["text"], (refusal, text)
        return answer

    def restart(self):
        self.kill()
        self.start()


def vms_of(rows):
    return {vm["name"]: vm.get("slot") for vm in rows.get("vms", [])}


def slots_of(rows):
    return {slot["name"]: slot.get("vm") for slot in rows.get("slots", [])}


def hello_has_what_qemus_have():
    with Host(vm1={"devices": [VF0, "disk0"]}, vm2={}) as host:
        assert vms_of(host.hello) == {"vm1": "vf0", "vm2": None}, host.hello
        assert slots_of(host.hello) == {"vf0": "vm1", "vf1": None}, host.hello
        assert host.hello["slots"][0]["attributes"]["max_qp"] == 100, host.hello


def vms_that_are_not_here_are_not_told():
    rows = [
        ("no QEMU", None, {}),
        ("waits for its memory", {"status": "inmigrate", "migration": {"status": "active"}}, {}),
        ("has moved", {"status": "postmigrate", "migration": {"status": "completed"}}, {}),
        ("its migration failed", {"status": "postmigrate", "migration": {"status": "failed"}}, {"vm1": None}),
        ("is stopped", {"status": "paused"}, {"vm1": None}),
        ("has come and been started", {"migration": {"status": "completed"}}, {"vm1": None}),
        ("has crashed", {"status": "internal-error"}, {"vm1": None}),
    ]
    for what, fields, vms in rows:
        with Host(**({} if fields is None else {"vm1": fields})) as host:
            assert vms_of(host.hello) == vms, (what, host.hello)


def vf_leaves_and_comes_back():
    with Host(vm1={"devices": [VF0]}) as host:
        qemu = host.qemus["vm1"]
        result = host.done("DETACH", slot="vf0")
        assert slots_of(result) == {"vf0": None, "vf1": None} and qemu.said("device_del") == [{"id": VF0}]
        result = host.done("DETACH", 2, slot="vf0")
        assert len(qemu.said("device_del")) == 1
        result = host.done("GIVE_BACK", 3, slot="vf0")
        assert slots_of(result)["vf0"] == "vm1" and vms_of(result) == {"vm1": "vf0"}, result
        host.done("GIVE_BACK", 4, slot="vf0")
        assert qemu.said("device_add") == [{"id": VF0, "driver": "vfio-pci", "host": "0000:fb:1f.7", "bus": "rp0"}]


def properties_have_the_types_that_they_look_like():
    with Host(vm1={}) as host:
        host.done("ATTACH", slot="vf1")
        added, = host.qemus["vm1"].said("device_add")
        assert added == {"id": VF1, "driver": "virtio-net-pci", "netdev": "n1", "mac": "52:54:00:00:00:02", "bus": "rp1",
                         "rombar": 0, "disable-legacy": True}, added


def guest_that_does_not_let_go_is_told_at_the_deadline():
    with Host(vm1={"devices": [VF0]}) as host:
        host.qemus["vm1"].deletes = "never"
        answer = host.fails("DETACH", "driver-timeout", "does not let go of device tether-vf0", slot="vf0", deadline_ms=1000)
        assert slots_of(answer["result"])["vf0"] == "vm1", answer


def vf_that_leaves_late_is_given_back():
    with Host(vm1={"devices": [VF0]}) as host:
        qemu = host.qemus["vm1"]
        qemu.deletes = "never"
        host.fails("DETACH", "driver-timeout", "", slot="vf0", deadline_ms=500)
        result = host.done("GIVE_BACK", 2, slot="vf0")
        assert slots_of(result)["vf0"] == "vm1" and not qemu.said("device_add")
        qemu.leave(VF0)
        qemu.wait_command("device_add")
        # Another migration finds all as it was, and is not disturbed by what watched before.
        qemu.deletes = "at once"
        host.done("DETACH", 3, slot="vf0")
        assert not qemu.devices


def unplug_that_is_asked_for_again_goes_on():
    """The agent was restarted in the middle; QEMU refuses the second request, since the first one stands."""
    with Host(vm1={"devices": [VF0]}) as host:
        qemu = host.qemus["vm1"]
        qemu.deletes = "never"
        host.order("DETACH", slot="vf0", deadline_ms=20000)
        qemu.wait_command("device_del")
        host.restart()
        qemu.commands.clear()
        host.order("DETACH", sequence=2, slot="vf0", deadline_ms=20000)
        qemu.wait_command("device_del")
        qemu.leave(VF0)
        assert host.answer("MOVE", 2)["outcome"] == "OUTCOME_DONE"


def guest_that_refuses_is_believed():
    with Host(vm1={"devices": [VF0]}) as host:
        host.qemus["vm1"].deletes = "refused"
        host.fails("DETACH", "driver-failed", "refuses to let go of device tether-vf0", slot="vf0")


def vm_moves_and_its_qemu_ends():
    with Host("max_bandwidth = 1000000\ndowntime_limit_ms = 100\ncapabilities = auto-converge", vm1={}) as host:
        qemu = host.qemus["vm1"]
        shim = host.shim()
        result = host.done("MOVE", peer_host="hyp2")
        assert result["copy_ms"] == 321 and not vms_of(result), result
        shim.closed()
        assert qemu.said("migrate") == [{"uri": "unix:/run/hyp2/vm1.incoming"}] and qemu.said("quit")
        assert qemu.said("migrate-set-parameters") == [{"max-bandwidth": 1000000, "downtime-limit": 100}]
        on = {row["capability"]: row["state"] for row in qemu.said("migrate-set-capabilities")[0]["capabilities"]}
        assert on == {"return-path": True, "events": True, "pause-before-switchover": False, "auto-converge": True}, on
        # Given again, also to the next agent: it is known that the VM was not lost.
        host.done("MOVE", 2, peer_host="hyp2")
        host.restart()
        host.done("MOVE", 3, peer_host="hyp2")
        host.fails("MOVE", "driver-failed", "no QEMU of VM vm1 is here", 4, peer_host="hyp3")


def vm_whose_qemu_has_gone_has_not_moved():
    with Host() as host:
        host.fails("MOVE", "driver-failed", "no QEMU of VM vm1 is here", peer_host="hyp2")


def qemu_of_a_moved_vm_stays_where_that_is_wanted():
    with Host("after_move = keep", vm1={}) as host:
        host.done("MOVE", peer_host="hyp2")
        host.done("MOVE", 2, peer_host="hyp2")
        assert not host.qemus["vm1"].said("quit") and len(host.qemus["vm1"].said("migrate")) == 1
        host.fails("GIVE_BACK", "driver-failed", "VM vm1 has moved to another host", 3, slot="vf0")
        assert not host.qemus["vm1"].said("cont")


def switchover_waits_for_a_word():
    with Host("pause_before_switchover = yes", vm1={}) as host:
        host.qemus["vm1"].migrates = "pauses"
        host.done("MOVE", peer_host="hyp2")
        assert host.qemus["vm1"].said("migrate-continue") == [{"state": "pre-switchover"}]


def move_that_fails_leaves_the_vm_running():
    with Host(vm1={}) as host:
        qemu = host.qemus["vm1"]
        qemu.migrates = "fails"
        answer = host.fails("MOVE", "driver-failed", "goes on here: Unable to write to socket: Broken pipe", peer_host="hyp2")
        assert qemu.status == "running" and qemu.said("cont") and vms_of(answer["result"]) == {"vm1": None}
        qemu.migrates = "completes"
        host.done("MOVE", 2, peer_host="hyp2")


def vm_that_was_stopped_before_is_not_started():
    with Host(vm1={"status": "paused"}) as host:
        host.qemus["vm1"].migrates = "fails"
        host.fails("MOVE", "driver-failed", "is here: Unable to write", peer_host="hyp2")
        assert not host.qemus["vm1"].said("cont")


def move_is_refused_by_qemu():
    with Host(vm1={}) as host:
        host.qemus["vm1"].migrates = "refused"
        host.fails("MOVE", "driver-failed", "VFIO device doesn't support migration", peer_host="hyp2")


def vm_with_a_vf_does_not_move():
    with Host(vm1={"devices": [VF1]}) as host:
        host.fails("MOVE", "driver-failed", "still has the VF in slot vf1", peer_host="hyp2")
        assert not host.qemus["vm1"].said("migrate")


def move_that_takes_too_long_is_cancelled():
    with Host(vm1={}) as host:
        qemu = host.qemus["vm1"]
        qemu.migrates = "hangs"
        host.fails("MOVE", "driver-timeout", "goes on here", peer_host="hyp2", deadline_ms=1000)
        assert qemu.migration["status"] == "cancelled" and qemu.status == "running"


def move_that_cannot_be_cancelled_ends_all_the_same():
    with Host(vm1={}) as host:
        host.qemus["vm1"].migrates = "hangs for good"
        host.fails("MOVE", "driver-timeout", "answers, but has not come to an end", peer_host="hyp2", deadline_ms=1000)


def another_order_cancels_the_move():
    with Host(vm1={}) as host:
        qemu = host.qemus["vm1"]
        qemu.migrates = "hangs"
        host.order("MOVE", peer_host="hyp2", deadline_ms=60000)
        qemu.wait_command("migrate")
        host.order("GIVE_BACK", sequence=2, slot="vf0")
        host.failed("superseded", "goes on here")
        assert host.answer("MOVE", 2)["outcome"] == "OUTCOME_DONE" and qemu.devices == {VF0}


def qemu_that_dies_in_the_middle_fails_the_move():
    with Host(vm1={}) as host:
        host.qemus["vm1"].migrates = "dies"
        host.fails("MOVE", "driver-failed", "has closed its QMP connection, or has ended", peer_host="hyp2")


def agent_restarted_in_the_middle_finds_the_move():
    with Host(vm1={}) as host:
        qemu = host.qemus["vm1"]
        qemu.migrates = "hangs"
        host.order("MOVE", peer_host="hyp2", deadline_ms=60000)
        qemu.wait_command("migrate")
        host.restart()
        assert vms_of(host.hello) == {"vm1": None}
        host.order("MOVE", sequence=2, peer_host="hyp2", deadline_ms=60000)
        qemu.commands.clear()
        qemu.wait_command("query-migrate")
        qemu.complete()
        answer = host.answer("MOVE", 2)
        assert answer["outcome"] == "OUTCOME_DONE" and answer["result"]["copy_ms"] == 321, answer
        assert not qemu.said("migrate")


def agent_restarted_in_the_middle_cancels_where_the_vm_stays():
    with Host(vm1={"status": "finish-migrate", "migration": {"status": "active"}}) as host:
        qemu = host.qemus["vm1"]
        host.done("GIVE_BACK", slot="vf0")
        assert qemu.migration["status"] == "cancelled" and qemu.status == "running" and qemu.devices == {VF0}


def vm_stopped_by_a_failed_move_is_started_with_its_vf():
    with Host(vm1={"status": "postmigrate", "migration": {"status": "failed"}}) as host:
        host.done("GIVE_BACK", slot="vf0")
        assert host.qemus["vm1"].status == "running"


def destination_is_looked_at_before_anything_is_touched():
    rows = [
        ({"status": "inmigrate"}, None),
        ({}, "waits for nothing: it is running"),
        ({"status": "postmigrate", "migration": {"status": "completed"}}, "has left is still here"),
        (None, "no QEMU of VM vm1 is here"),
    ]
    for fields, text in rows:
        with Host(**({} if fields is None else {"vm1": fields})) as host:
            if text:
                host.fails("CHECK", "driver-failed", text, slot="vf1", peer_host="hyp2")
            else:
                host.done("CHECK", slot="vf1", peer_host="hyp2")
    with Host(vm1={}) as host:  # a VM that stays where it is gets a VF
        host.done("CHECK", slot="vf1")


def vf_that_this_server_does_not_have_is_not_promised():
    with Host(vm1={"status": "inmigrate"}) as host:
        host.fails("CHECK", "driver-failed", "no PCI device 0000:fb:1f.7 is here", slot="vf0", peer_host="hyp2")


def vm_arrives_and_gets_its_vf():
    with Host("guest = virtio:%v.port", vm1={"status": "inmigrate"}) as host:
        qemu = host.qemus["vm1"]
        host.order("ATTACH", slot="vf1")
        qemu.wait_command("query-status")
        qemu.status = "running"
        answer = host.answer("MOVE")
        assert answer["outcome"] == "OUTCOME_DONE" and vms_of(answer["result"]) == {"vm1": "vf1"}, answer
        assert answer["result"]["vms"][0]["guest"] == "virtio:" + host.path("vm1.port"), answer


def vm_that_waits_for_a_word_is_started():
    with Host(vm1={"status": "paused", "migration": {"status": "completed"}}) as host:
        host.done("ATTACH", slot="vf1")
        assert host.qemus["vm1"].status == "running"


def vm_that_never_arrives_is_not_waited_for_longer():
    with Host(vm1={"status": "inmigrate"}) as host:
        host.fails("ATTACH", "driver-timeout", "the memory of VM vm1 has not come", slot="vf1", deadline_ms=500)
        host.qemus["vm1"].end()
        host.fails("ATTACH", "driver-failed", "no QEMU of VM vm1 is here", 2, slot="vf1")
        # What is asked back may never have come.
        host.done("DETACH", 3, slot="vf1")


def device_that_qemu_does_not_take_is_told():
    with Host(vm1={}) as host:
        host.qemus["vm1"].adds = "refused"
        answer = host.fails("ATTACH", "driver-failed", "does not get device tether-vf1: Bus 'rp0' not found", slot="vf1")
        assert slots_of(answer["result"])["vf1"] is None, answer


def guids_are_left_as_they_are():
    with Host(vm1={}) as host:
        host.done("SET_GUIDS", slot="vf1", node_guid=1, port_guid=2)


def what_the_settings_do_not_have_is_told():
    with Host(vm1={}) as host:
        host.fails("DETACH", "driver-failed", "says nothing of VM vm9", vm="vm9", slot="vf0")
        host.fails("DETACH", "driver-failed", "says nothing of slot vf9", 2, slot="vf9")


def broken_qemus_fail_the_order_and_cost_little():
    rows = [("garbage", "says what is not QMP"), ("deep", "says what is not QMP"), ("no greeting", "does not greet"),
            ("endless", "says too much"), ("events", "says too much"), ("closes", "has closed its QMP connection"),
            ("foreign answer", "answers what it was not asked"), ("silent", "does not answer")]
    with Host(vm1={"devices": [VF0]}) as host:
        qemu = host.qemus["vm1"]
        sequence = 0
        for place in ("greeting", "query-status", "device_del"):
            for kind, text in rows:
                if place == "greeting" and kind in ("events", "foreign answer") or place != "greeting" and kind == "no greeting":
                    continue
                sequence += 1
                qemu.breaks, qemu.breaks_at = kind, place
                host.order("DETACH", sequence=sequence, slot="vf0", deadline_ms=300 if kind == "silent" else 20000)
                answer = host.answer("MOVE", sequence)
                wanted = "does not greet" if kind == "silent" and place == "greeting" else text
                assert wanted in answer["refusals"][0]["text"], (place, kind, answer)
                # The inventory that follows finds the same and must end, too: what was known counts.
                qemu.breaks = None
        with open(f"/proc/{host.process.pid}/status") as status:
            peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        assert peak_kib < 64 * 1024, peak_kib
        host.done("DETACH", 99, slot="vf0")


def silent_qemu_costs_the_others_nothing():
    with Host(vm1={"devices": [VF0]}, vm2={}) as host:
        host.qemus["vm2"].breaks = "silent"
        host.done("DETACH", slot="vf0")
        assert vms_of(host.done("GIVE_BACK", 2, slot="vf0")) == {"vm1": "vf0", "vm2": None}


def settings_are_checked_before_the_start():
    with Agent(start=False, driver="qmp:qmp.conf") as agent:
        agent.write("qmp.conf", "qmp = %v.qmp\nvms = vm1\n[slot vf0]\ndevise = x\n")
        check = subprocess.run([AGENT, "--check-config", "--config", agent.path("agent.conf")], stderr=subprocess.PIPE, text=True)
        assert check.returncode == 2 and 'qmp.conf:4: unknown key "devise": is "device" meant?' in check.stderr, check


def settings_are_read_anew_with_the_inventory():
    with Host(vm1={}) as host:
        host.write("qmp.conf", CONF.format(more="vms = vm3").replace("[slot vf0]", "[slot vf7]"))
        host.qemus["vm3"] = FakeQemu(host.path("vm3.qmp"), devices=["tether-vf7"])
        host.process.send_signal(signal.SIGHUP)
        host.welcome()
        assert vms_of(host.hello) == {"vm1": None, "vm3": "vf7"}, host.hello


sys.exit(run_tests([
    hello_has_what_qemus_have,
    vms_that_are_not_here_are_not_told,
    vf_leaves_and_comes_back,
    properties_have_the_types_that_they_look_like,
    guest_that_does_not_let_go_is_told_at_the_deadline,
    vf_that_leaves_late_is_given_back,
    unplug_that_is_asked_for_again_goes_on,
    guest_that_refuses_is_believed,
    vm_moves_and_its_qemu_ends,
    vm_whose_qemu_has_gone_has_not_moved,
    qemu_of_a_moved_vm_stays_where_that_is_wanted,
    switchover_waits_for_a_word,
    move_that_fails_leaves_the_vm_running,
    vm_that_was_stopped_before_is_not_started,
    move_is_refused_by_qemu,
    vm_with_a_vf_does_not_move,
    move_that_takes_too_long_is_cancelled,
    move_that_cannot_be_cancelled_ends_all_the_same,
    another_order_cancels_the_move,
    qemu_that_dies_in_the_middle_fails_the_move,
    agent_restarted_in_the_middle_finds_the_move,
    agent_restarted_in_the_middle_cancels_where_the_vm_stays,
    vm_stopped_by_a_failed_move_is_started_with_its_vf,
    destination_is_looked_at_before_anything_is_touched,
    vf_that_this_server_does_not_have_is_not_promised,
    vm_arrives_and_gets_its_vf,
    vm_that_waits_for_a_word_is_started,
    vm_that_never_arrives_is_not_waited_for_longer,
    device_that_qemu_does_not_take_is_told,
    guids_are_left_as_they_are,
    what_the_settings_do_not_have_is_told,
    broken_qemus_fail_the_order_and_cost_little,
    silent_qemu_costs_the_others_nothing,
    settings_are_checked_before_the_start,
    settings_are_read_anew_with_the_inventory,
]))
