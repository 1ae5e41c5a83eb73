#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""VMs that get and give up a VF through tether-smd, in a world of fakes: slots that have GUIDs and LIDs of their own. The SM
has no part in that; the lid_pool's half is smd_dynamic_vms_test.py's."""
import sqlite3

from command import tether
from smd import Locked, Stage, equal, run, wait_until
from vm_requests import change_of, create, created, destroyed


def holds(stage, name):
    return stage.world.slot_of(name)


def a_vm_takes_over_what_its_slot_has_and_leaves_it_there():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        slots = {name: dict(slot) for name, slot in stage.world.slots.items()}
        change = created(stage.smd, "vm7", "hyp2", slot="hyp2-vf1")
        equal((change["outcome"], change["dynamic"], holds(stage, "vm7")), ("done", False, ["hyp2-vf1"]))
        equal(change["port_guid"], f"0x{slots['hyp2-vf1']['port_guid']:016x}")
        equal(stage.world.complaints(), [])
        equal(stage.smd.move("vm7", "hyp3")["outcome"], "done", "it moves as any other")
        equal(destroyed(stage.smd, "vm7")["outcome"], "done")
        stage.world.left("vm7")
        equal((holds(stage, "vm7"), stage.world.complaints()), ([], []))
        equal(sorted(s["port_guid"] for s in stage.world.slots.values()), sorted(s["port_guid"] for s in slots.values()))


def behind_a_shared_port_too():
    with Stage() as stage:
        for number, slot in enumerate(stage.world.slots.values()):
            slot.update(shared_port=True, address={"lid": 7 + number // 2, "gid": bytes(16)})
        for host in stage.world.hosts.values():
            host.stop()
        wait_until("all are away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 0)
        for host in stage.world.hosts.values():
            host.start()
        stage.smd.hosts_here(3)
        stage.world.guest("vm7", "hyp2")
        equal(created(stage.smd, "vm7", "hyp2")["outcome"], "done")
        equal(destroyed(stage.smd, "vm7")["outcome"], "done")


def one_that_cannot_be_attached_has_not_come():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        stage.world.fault("hyp2", "HOST_ATTACH", "fail")
        change = created(stage.smd, "vm7", "hyp2")
        equal((change["outcome"], change["who"], change["reason"]), ("failed", "hyp2", "test-host_attach"))
        equal((holds(stage, "vm7"), stage.world.complaints()), ([], []))
        equal(created(stage.smd, "vm7", "hyp2")["outcome"], "done")


def one_that_is_refused_changes_nothing():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        stage.world.fault("hyp2", "HOST_CHECK", "refuse")
        change = created(stage.smd, "vm7", "hyp2")
        equal((change["outcome"], change["state"], holds(stage, "vm7")), ("refused", "refused", []))


def what_cannot_be_announced_is_not_begun():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        locked = Locked(stage.smd)
        stage.world.fault("hyp2", "HOST_CHECK", locked)
        change = created(stage.smd, "vm7", "hyp2")
        equal((change["outcome"], change["reason"], holds(stage, "vm7")), ("refused", "journal-failed", []))
        stage.smd.kill()
        locked.unlock()
        stage.smd.start()
        stage.smd.all_here(3)
        equal(change_of(stage.smd, "vm7")["outcome"], "refused")
        equal(created(stage.smd, "vm7", "hyp2")["outcome"], "done")


def an_end_that_was_not_written_is_written_when_it_can_be():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        locked = Locked(stage.smd)
        stage.world.fault("hyp2", "HOST_ATTACH", locked)
        equal(created(stage.smd, "vm7", "hyp2")["outcome"], "done")
        locked.unlock()
        reader = sqlite3.connect(f"file:{stage.smd.journal}?mode=ro", uri=True)
        wait_until("the end is written", lambda: reader.execute("SELECT * FROM vm_states WHERE state = 'present'").fetchall())
        reader.close()


def a_vf_that_does_not_leave_stays():
    with Stage(detach_ms=300) as stage:
        stage.world.fault("hyp1", "HOST_DETACH", "fail", times=100)
        change = destroyed(stage.smd, "vm1")
        equal((change["outcome"], change["reason"], holds(stage, "vm1")), ("failed", "test-host_detach", ["hyp1-vf0"]))
        equal(stage.world.complaints(), [])
        stage.world.faults.clear()
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def a_host_that_can_neither_is_named_and_asked_again():
    with Stage(detach_ms=300, attach_ms=300) as stage:
        for order in ("HOST_DETACH", "HOST_ATTACH"):
            stage.world.fault("hyp1", order, "fail", times=100)
        equal(destroyed(stage.smd, "vm1")["outcome"], "incomplete")
        stage.world.faults.clear()
        for shim in stage.world.shims.values():
            shim.state = "errored"
        equal(destroyed(stage.smd, "vm1")["outcome"], "done")


def while_a_vm_comes_its_slot_is_nobody_elses():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        heard = []

        def look():
            heard.append(stage.smd.migrate("vm1", "hyp2")[0])
            heard.append(stage.smd.migrate("vm7", "hyp3")[1]["reason"])
            heard.append(next(vm["state"] for vm in stage.smd.get("/v1/vms")[1]["vms"] if vm["name"] == "vm7"))

        stage.world.fault("hyp2", "HOST_ATTACH", look)
        equal(created(stage.smd, "vm7", "hyp2", slot="hyp2-vf0")["outcome"], "done")
        equal(heard, [202, "vm-changing", "creating"])
        equal(stage.smd.wait_for(1)["to_slot"], "hyp2-vf1")
        equal(stage.world.complaints(), [])


def what_a_vm_had_is_not_its_own_any_more():
    """Who has its GUIDs and its LID next is another."""
    with Stage() as stage:
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        for shim in stage.world.shims.values():
            shim.state = "errored"
        equal(destroyed(stage.smd, "vm1")["outcome"], "done")
        stage.world.left("vm1")
        # It has a VF no more: moved to where it is, it does not get what it had.
        equal(stage.smd.migrate("vm1", "hyp2")[1]["reason"], "vm-without-vf")
        stage.smd.kill()
        stage.smd.start()
        stage.smd.all_here(3)
        equal(stage.smd.migrate("vm1", "hyp2")[1]["reason"], "vm-without-vf")
        equal(stage.smd.get("/v1/vms/vm1")[1]["change"]["outcome"], "done")


def told_to_end_it_ends_with_what_has_begun():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        stage.world.fault("hyp2", "HOST_ATTACH", lambda: stage.smd.child.terminate())
        create(stage.smd, "vm7", "hyp2")
        equal(stage.smd.wait(), 0)
        equal(holds(stage, "vm7"), ["hyp2-vf0"])
        stage.smd.start()
        equal(change_of(stage.smd, "vm7")["outcome"], "done")


def malformed_requests_change_nothing():
    with Stage() as stage:
        for body in ("", "[]", "{}", {"name": "vm7"}, {"name": "", "host": "hyp2"}, {"name": "a/b", "host": "hyp2"},
                     {"name": ".a", "host": "hyp2"}, {"name": "a" * 65, "host": "hyp2"}, {"name": 7, "host": "hyp2"},
                     {"name": "vm7", "host": "hyp2", "lid": 0}, {"name": "vm7", "host": "hyp2", "lid": 49152},
                     {"name": "vm7", "host": "hyp2", "lid": "7"}, {"name": "vm7", "host": "hyp2", "port_guid": "0x1"},
                     {"name": "vm7", "host": "hyp2", "port_guid": "0x0", "node_guid": "0x1"},
                     {"name": "vm7", "host": "hyp2", "slot": ""}, {"name": "vm7", "host": "hyp2", "more": 1}):
            status, answer = stage.smd.ask("POST", "/v1/vms", body)
            equal((status, answer["reason"]), (400, "bad-request"), body)
        equal(stage.smd.get("/v1/vms/vm7")[0], 404)
        for path in ("/v1/vms/", "/v1/vms/a/b", "/v1/vms"):
            equal(stage.smd.ask("DELETE", path)[0], 404, path)
        equal({slot["vm"] for slot in stage.world.slots.values()}, {"", "vm1", "vm2"})


def the_command_line_creates_and_destroys():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        status, out, err = tether(stage, "create", "vm7", "hyp2", "--slot", "hyp2-vf1")
        equal((status, out.startswith("vm7: done: slot hyp2-vf1 of hyp2")), (0, True), out + err)
        equal("attaching" in err or "present" in err, True, err)
        status, out, err = tether(stage, "create", "vm7", "hyp2")
        equal((status, out, err.startswith("tether: vm-exists: ")), (1, "", True), err)
        for words in (("create", "vm7"), ("create", "a/b", "hyp2"), ("create", "vm8", "hyp2", "--lid", "0"),
                      ("create", "vm8", "hyp2", "--node-guid", "0x1"), ("destroy",), ("destroy", ".."),
                      ("destroy", "vm7", "--slot", "x")):
            equal(tether(stage, *words)[0], 2, words)
        status, out, err = tether(stage, "vms")
        equal([line.split()[-1] for line in out.splitlines() if line.startswith("vm7")], ["present"], out)
        stage.world.fault("hyp2", "HOST_DETACH", lambda: stage.world.left("vm7"))
        status, out, err = tether(stage, "destroy", "vm7", "--json")
        equal((status, '"outcome":"done"' in out), (0, True), out + err)
        status, out, err = tether(stage, "destroy", "vm9")
        equal((status, err.startswith("tether: unknown-vm: ")), (1, True), err)
        status, out, err = tether(stage, "create", "--no-wait", "vm7", "hyp2")
        equal((status, out), (0, "3\n"), out + err)
        change_of(stage.smd, "vm7")
        stage.world.fault("hyp2", "HOST_DETACH", lambda: stage.smd.kill() and "died")
        equal(tether(stage, "destroy", "vm7")[0], 3)
        stage.smd.wait()
        stage.smd.start()
        stage.world.left("vm7")
        equal(change_of(stage.smd, "vm7")["outcome"], "done")


run([a_vm_takes_over_what_its_slot_has_and_leaves_it_there, behind_a_shared_port_too, one_that_cannot_be_attached_has_not_come,
     one_that_is_refused_changes_nothing, what_cannot_be_announced_is_not_begun,
     an_end_that_was_not_written_is_written_when_it_can_be, a_vf_that_does_not_leave_stays, a_host_that_can_neither_is_named_and_asked_again,
     while_a_vm_comes_its_slot_is_nobody_elses, what_a_vm_had_is_not_its_own_any_more,
     told_to_end_it_ends_with_what_has_begun, malformed_requests_change_nothing, the_command_line_creates_and_destroys])
