#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM with two VFs: it moves with both, whatever fails or dies on the way, or is refused by name before anybody is asked."""
import os

from command import refused, tether
from crowd import Crowd
from smd import equal, run, wait_until

FORWARD = ["releasing", "detaching", "moving", "leasing", "naming", "vacating", "applying", "unleasing", "attaching",
           "rebuilding", "reconnecting", "resuming"]
OF_EACH = ["detaching", "naming", "vacating", "applying", "attaching"]  # asked for one VF after the other
SLOT = "hyp1-vf5"  # of the second VF, in the beginning
ON_FIRST, ON_BOTH = "vm1/10.70", "vm1/20.140"
FULL = bool(os.environ.get("TETHER_FULL"))


def says_anew(stage, host="hyp1"):
    stage.world.hosts[host].stop()
    wait_until(f"{host} is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
    stage.world.hosts[host].start()
    stage.smd.hosts_here(4)


def all_here(stage):
    stage.smd.hosts_here(4)
    wait_until("the SM is here", lambda: stage.smd.get("/v1/health")[1]["sm_connected"])


def second_vf(stage, vm):
    """What @vm holds besides the one that its host says it moves with."""
    slot = stage.world.slots[SLOT]
    slot["vm"] = vm
    says_anew(stage)
    return slot


class Pair(Crowd):
    """vm1 has two VFs; a process of it talks over the first, another one over both."""

    def __init__(self, **more):
        super().__init__(**more)
        lid = self.world.second_vf("vm1", SLOT)
        other = self.processes["vm1+"] = self.world.process("vm1", 20)
        self.world.connect(other, self.processes["vm9"], lid)
        self.world.connect(other, self.processes["vm9"])
        self.world.connect(other, self.processes["vm2"], lid)

    def all_well(self, host=None):
        wait_until(f"all is well: {self.world.complaints()}", lambda: not self.world.complaints())
        super().all_well()
        if host:
            equal(self.world.vms["vm1"]["host"], host)
            equal(len(self.world.slot_of("vm1")), 2)


class Nth:
    """A fault that does nothing but at the @n-th time: then @what."""

    def __init__(self, n, what):
        self.n, self.what, self.times = n, what, 0

    def __call__(self):
        self.times += 1
        if self.times != self.n:
            return None
        return self.what() if callable(self.what) else self.what


def it_moves_with_both():
    with Pair() as stage:
        for number, to in enumerate(("hyp2", "hyp3", "hyp1", "hyp4", "hyp1"), 1):
            migration = stage.smd.move("vm1", to)
            equal((migration["outcome"], len(migration["others"])), ("done", 1), migration)
            stage.all_well(to)
            equal(migration["counts"]["lft_sets"], 10, "a plan for each")
            equal({migration["to_slot"], migration["others"][0]["to_slot"]}, set(stage.world.slot_of("vm1")), number)


class TwoPorts(Pair):
    """Each host has two ports on the subnet, with a vSwitch each, and vm1 a VF of each."""

    def __init__(self, **more):
        super().__init__(**more)
        for name, slot in self.world.slots.items():
            if int(name[-1]) > 2:
                slot["switch_guid"] += 0x80
                self.world.fabric[slot["port_guid"]]["place"] = (slot["switch_guid"], slot["switch_port"])


def behind_two_ports_of_its_host_it_moves_as_well():
    with TwoPorts() as stage:
        for to in ("hyp2", "hyp1"):
            equal(stage.smd.move("vm1", to)["outcome"], "done")
            stage.all_well(to)


def what_cannot_be_done_for_the_second_is_refused():
    for who, what in (("hyp2", "HOST_CHECK"), ("sm", "plan"), ("sm", "locate")):
        with Pair() as stage:
            stage.world.fault(who, what, Nth(2, "refuse" if who != "sm" else "not-routed"), times=2)
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "refused", what)
            stage.all_well("hyp1")
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "done", what)
            stage.all_well("hyp2")


def what_fails_for_the_second_leads_back_with_both():
    for who, what, nth in (("hyp1", "HOST_DETACH", 2), ("hyp2", "HOST_SET_GUIDS", 2), ("hyp1", "HOST_SET_GUIDS", 2),
                           ("hyp2", "HOST_ATTACH", 2), ("sm", "apply", 2), ("sm", "apply", 1)):
        with Pair() as stage:
            stage.world.fault(who, what, Nth(nth, "fail" if who != "sm" else "not-acknowledged"), times=nth)
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "failed-at-source", what)
            stage.all_well("hyp1")
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "done", what)
            stage.all_well("hyp2")


def an_abort_leaves_both():
    with Pair() as stage:
        stage.world.fault(ON_BOTH, "STEP_SETTLE", "fail")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "aborted")
        stage.all_well("hyp1")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.all_well("hyp2")


def a_plan_of_one_that_is_stale_is_made_anew():
    for nth in (1, 2):
        with Pair() as stage:
            stage.world.fault("sm", "apply", Nth(nth, "stale-plan"), times=nth)
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "done", nth)
            stage.all_well("hyp2")


def an_sm_that_has_swept_one_or_both_moves_the_rest():
    for nth in (1, 2):
        with Pair() as stage:
            def sweeps(stage=stage):
                stage.world.sm.sweep()
                return "stale-plan"

            stage.world.fault("sm", "apply", Nth(nth, sweeps), times=nth)
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "done", nth)
            stage.all_well("hyp2")


def a_called_migration_reports_each_step_once():
    with Pair() as stage:
        number = stage.begin("vm1", "hyp2", mode="called")
        for step, state in (("detached", "detaching"), ("moved", "moving"), ("attached", "attaching")):
            stage.smd.wait_for(number, state)
            equal(stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})[0], 202)
        equal(stage.ends(number), ["done"])
        stage.all_well("hyp2")


def what_an_orchestrator_attached_unseen_is_taken_back():
    """No agent looks by itself at what somebody else attaches, and a successor has nothing but their word."""
    with Pair(env={"TETHER_DIE_AT": "smd-recorded:back-leasing"}) as stage:
        number = stage.begin("vm1", "hyp2", mode="called")
        for step, state in (("detached", "detaching"), ("moved", "moving"), ("failed", "attaching")):
            stage.smd.wait_for(number, state)
            if step == "failed":
                there = stage.world.hosts["hyp2"]
                with stage.world.lock:
                    hello, before = there.hello, there.inventory()
                    there.hello = lambda: {**hello(), **before}
                    stage.world.slots[stage.smd.get(f"/v1/migrations/{number}")[1]["to_slot"]]["vm"] = "vm1"
            try:
                stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})
            except ConnectionError:
                equal(step, "failed")
        equal(stage.smd.wait(), -9)
        stage.smd.start()
        equal(stage.smd.wait_for(number)["outcome"], "failed-at-source")
        stage.all_well("hyp1")


def killed_and_started_again(place, state, count, outcomes):
    what = f"{place}:{state}:{count}"
    with Pair(env={"TETHER_DIE_AT": what}) as stage:
        try:
            stage.smd.migrate("vm1", "hyp2")
        except ConnectionError:
            pass
        equal(stage.smd.wait(), -9, what)
        stage.smd.start()
        migration = stage.smd.wait_for(1)
        equal(migration["outcome"] in outcomes, True, f"{what}: {migration['outcome']} {migration['refusals']}")
        stage.all_well("hyp2" if migration["outcome"] == "done" else "hyp1")
        all_here(stage)
        equal(stage.smd.move("vm1", "hyp3")["outcome"], "done", what)
        stage.all_well("hyp3")


def killed_between_the_one_and_the_other_it_goes_on():
    for state in OF_EACH:
        killed_and_started_again("smd-ask", state, 2, ["done"])
        if FULL:
            killed_and_started_again("smd-asked", state, 2, ["done"])
    for state in FORWARD if FULL else ("leasing", "reconnecting"):
        killed_and_started_again("smd-recorded", state, 1, ["done"])
    for state in ("locating", "preparing", "stopping", "settling"):
        killed_and_started_again("smd-asked", state, 1, ["aborted"])


def without_both_it_gets_both_again():
    for nth, die_at in ((1, None), (2, "smd-ask:naming:2"), (2, "smd-ask:attaching:2")):
        with Pair(attach_ms=400) as stage:
            stage.world.fault("hyp2", "HOST_ATTACH", Nth(nth, "fail"), times=nth)
            stage.world.fault("hyp2", "HOST_MOVE", "fail")
            migration = stage.smd.move("vm1", "hyp2")
            equal((migration["outcome"], stage.world.slot_of("vm1")), ("lost", []), migration)
            if die_at:
                stage.smd.stop()
                stage.smd.start(TETHER_DIE_AT=die_at)
                all_here(stage)
            try:
                stage.smd.migrate("vm1", "hyp2")
            except ConnectionError:
                pass  # it died before it had answered that it had begun
            if die_at:
                equal(stage.smd.wait(), -9, die_at)
                stage.smd.start()
            equal(stage.smd.wait_for(2)["outcome"], "done", die_at)
            wait_until(f"all is well: {stage.world.complaints()}", lambda: not stage.world.complaints())
            equal((stage.world.vms["vm1"]["host"], len(stage.world.slot_of("vm1"))), ("hyp2", 2))


def with_one_alone_it_is_said_which_slot_has_the_other():
    with Pair(attach_ms=400) as stage:
        stage.world.fault("hyp2", "HOST_ATTACH", "fail")
        stage.world.fault("hyp1", "HOST_GIVE_BACK", None)
        stage.world.fault("hyp1", "HOST_GIVE_BACK", "fail", times=1000)
        migration = stage.smd.move("vm1", "hyp2")
        left, = {"hyp1-vf0", SLOT} - set(stage.world.slot_of("vm1"))
        texts = [r["text"] for r in migration["refusals"] if r["reason"] == "vm-without-vf"]
        equal((migration["outcome"], len(texts)), ("lost", 1), migration)
        equal(f"whose GUIDs {left} shows" in texts[0], True, texts)


def with_one_of_three_each_slot_is_named_that_has_another():
    with Pair(attach_ms=400) as stage:
        stage.world.second_vf("vm1", "hyp1-vf4")
        says_anew(stage)
        stage.world.fault("hyp2", "HOST_ATTACH", "fail")
        stage.world.fault("hyp1", "HOST_GIVE_BACK", None)
        stage.world.fault("hyp1", "HOST_GIVE_BACK", "fail", times=1000)
        migration = stage.smd.move("vm1", "hyp2")
        left = sorted({"hyp1-vf0", "hyp1-vf4", SLOT} - set(stage.world.slot_of("vm1")))
        text, = [r["text"] for r in migration["refusals"] if r["reason"] == "vm-without-vf"]
        equal((migration["outcome"], len(left)), ("lost", 2), migration)
        equal([f"whose GUIDs {a}, {b} show" in text for a, b in (left, left[::-1])].count(True), 1, text)


def a_host_that_is_emptied_loses_it_with_both():
    with Pair() as stage:
        status, out, err = tether(stage, "evacuate", "hyp1")
        equal((status, out), (0, "evacuation 1: done: 4 of 4 VMs have left hyp1\n"), err)
        stage.all_well()
        equal(stage.world.vms["vm1"]["host"] == "hyp1", False)
        equal(len({stage.world.slots[slot]["host"] for slot in stage.world.slot_of("vm1")}), 1)


def it_is_refused_by_name_where_it_cannot():
    for change in ({"dynamic": True}, {"shared_port": True}):
        with Crowd() as stage:
            stage.world.slots[SLOT].update(change)
            second_vf(stage, "vm1")
            before = {name: dict(slot) for name, slot in stage.world.slots.items()}
            refused(stage, "several-vfs", "migrate", "vm1", "hyp2")
            refused(stage, "several-vfs", "migrate", "--force", "vm1", "hyp2")
            equal(stage.smd.migrate("vm1", "hyp2", mode="called")[1]["reason"], "several-vfs")
            equal(stage.world.slots, before)
            equal({s.state for s in stage.world.shims.values()}, {"running"})
            text = stage.smd.migrate("vm1", "hyp2")[1]["text"]
            words = ("hyp1-vf0", SLOT, "take that one away from the VM, and ask again")
            equal([word in text for word in words], [True] * 3, text)
            status, out, err = tether(stage, "evacuate", "hyp1")
            equal("vm1              failed: several-vfs: " in err, True, (status, out, err))


def which_one_it_gives_up_and_whose_plan_is_meant_is_not_guessed():
    with Pair() as stage:
        refused(stage, "several-vfs", "plan", "vm1", "hyp2")
        refused(stage, "several-vfs", "destroy", "vm1")
        stage.all_well("hyp1")


def a_vf_of_another_subnet_is_refused():
    """Its port is none that the SM knows, which knows the other one's."""
    for slot in ("hyp1-vf0", SLOT):
        with Pair() as stage:
            stage.world.fabric.pop(stage.world.slots[slot]["port_guid"])
            migration = stage.smd.move("vm1", "hyp2")
            equal((migration["outcome"], [r["reason"] for r in migration["refusals"]]), ("refused", ["several-vfs"]), migration)
            equal(f"in slot {slot}:" in migration["refusals"][0]["text"], True, migration)
            equal({s.state for s in stage.world.shims.values()}, {"running"})


def an_sm_that_has_not_swept_yet_is_asked_again_for_both():
    with Pair(migrations_max=1) as stage:
        stage.world.fault("sm", "locate", "unknown-port", times=2)
        status, out, err = tether(stage, "evacuate", "hyp1")
        equal((status, out), (0, "evacuation 1: done: 4 of 4 VMs have left hyp1\n"), err)
        first = stage.smd.get("/v1/migrations/1")[1]
        equal((first["vm"], [r["reason"] for r in first["refusals"]]), ("vm1", ["unknown-port"]))
        stage.all_well()


def without_the_other_it_moves():
    with Crowd() as stage:
        slot = second_vf(stage, "vm1")
        slot["vm"] = ""
        says_anew(stage)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.all_well()


def nobody_gets_the_second_ones_slot():
    with Crowd(slots=6) as stage:
        stage.world.vm("vm6", "hyp1")
        second_vf(stage, "vm1")
        equal(stage.smd.migrate("vm5", "hyp1")[1]["reason"], "no-free-vf")


def there_has_to_be_a_slot_for_each():
    with Pair(slots=6) as stage:
        for name in ("vm11", "vm12", "vm13", "vm14"):
            stage.world.vm(name, "hyp2")
        says_anew(stage, "hyp2")
        equal(stage.smd.migrate("vm1", "hyp2")[1]["reason"], "no-free-vf")
        equal(stage.smd.move("vm1", "hyp3")["outcome"], "done")


if __name__ == "__main__":
    run([it_moves_with_both, behind_two_ports_of_its_host_it_moves_as_well, what_cannot_be_done_for_the_second_is_refused,
         what_fails_for_the_second_leads_back_with_both, an_abort_leaves_both, a_plan_of_one_that_is_stale_is_made_anew,
         an_sm_that_has_swept_one_or_both_moves_the_rest, a_called_migration_reports_each_step_once,
         what_an_orchestrator_attached_unseen_is_taken_back, killed_between_the_one_and_the_other_it_goes_on,
         without_both_it_gets_both_again, with_one_alone_it_is_said_which_slot_has_the_other,
         with_one_of_three_each_slot_is_named_that_has_another, a_host_that_is_emptied_loses_it_with_both,
         it_is_refused_by_name_where_it_cannot, which_one_it_gives_up_and_whose_plan_is_meant_is_not_guessed,
         a_vf_of_another_subnet_is_refused, an_sm_that_has_not_swept_yet_is_asked_again_for_both,
         without_the_other_it_moves, nobody_gets_the_second_ones_slot, there_has_to_be_a_slot_for_each])
