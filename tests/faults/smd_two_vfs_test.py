#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A VM with two VFs: a VM moves with one, so it is refused by name on each road that would take one away, and nothing is touched."""
from command import refused, tether
from crowd import Crowd
from smd import equal, run, wait_until


def says_anew(stage, host="hyp1"):
    stage.world.hosts[host].stop()
    wait_until(f"{host} is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 3)
    stage.world.hosts[host].start()
    stage.smd.hosts_here(4)


def second_vf(stage, vm):
    """What @vm holds besides the one that its host says it moves with."""
    slot = stage.world.slots["hyp1-vf5"]
    slot["vm"] = vm
    says_anew(stage)
    return slot


def it_is_refused_wherever_one_of_them_would_go():
    with Crowd() as stage:
        second_vf(stage, "vm1")
        before = {name: dict(slot) for name, slot in stage.world.slots.items()}
        refused(stage, "several-vfs", "migrate", "vm1", "hyp2")
        refused(stage, "several-vfs", "migrate", "--force", "vm1", "hyp2")
        refused(stage, "several-vfs", "plan", "vm1", "hyp2")
        refused(stage, "several-vfs", "destroy", "vm1")
        equal(stage.smd.migrate("vm1", "hyp2", mode="called")[1]["reason"], "several-vfs")
        equal(stage.world.slots, before)
        equal({s.state for s in stage.world.shims.values()}, {"running"})
        text = stage.smd.migrate("vm1", "hyp2")[1]["text"]
        equal([word in text for word in ("hyp1-vf0", "hyp1-vf5", "take that one away from the VM, and ask again")], [True] * 3, text)


def an_evacuation_names_it_and_the_others_go():
    with Crowd() as stage:
        second_vf(stage, "vm1")
        status, out, err = tether(stage, "evacuate", "hyp1")
        equal((status, out), (1, "evacuation 1: incomplete: 3 of 4 VMs have left hyp1\n"), err)
        equal("vm1              failed: several-vfs: " in err, True, err)
        equal({stage.world.vms[vm]["host"] for vm in ("vm2", "vm3", "vm4")} & {"hyp1"}, set())


def without_the_other_it_moves():
    with Crowd() as stage:
        slot = second_vf(stage, "vm1")
        refused(stage, "several-vfs", "migrate", "vm1", "hyp2")
        slot["vm"] = ""
        says_anew(stage)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.all_well()


def nobody_gets_the_second_ones_slot():
    with Crowd(slots=6) as stage:
        stage.world.vm("vm6", "hyp1")
        second_vf(stage, "vm1")
        equal(stage.smd.migrate("vm5", "hyp1")[1]["reason"], "no-free-vf")


run([it_is_refused_wherever_one_of_them_would_go, an_evacuation_names_it_and_the_others_go, without_the_other_it_moves,
     nobody_gets_the_second_ones_slot])
