# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What the tests of a migration's roads ask of a stage afterwards, and ways to set one up."""
from smd import Stage, equal


def states(migration):
    return [step["state"] for step in migration["steps"]]


def at(stage, vm):
    return stage.world.vms[vm]["host"]


def checked(stage, migration, outcome, host):
    equal(migration["outcome"], outcome, f"outcome ({migration['refusals']})")
    equal(at(stage, "vm1"), host, "the VM's host")
    equal(stage.world.complaints(), [], "afterwards")
    return migration


def all_running(stage):
    equal({s.state for s in stage.world.shims.values()}, {"running"}, "processes")


def hosts_say_addresses(stage):
    """Where no SM can be asked for them."""
    for slot in stage.world.slots.values():
        slot["address"] = {"lid": stage.world.fabric[slot["port_guid"]]["lid"]}
    for host in stage.world.hosts.values():
        host.stop()
        host.start()
    stage.smd.hosts_here(3)


def fails_back_at_the_source(who, what, kind="fail", **settings):
    with Stage(**settings) as stage:
        stage.world.fault(who, what, kind)
        checked(stage, stage.smd.move("vm1", "hyp2"), "failed-at-source", "hyp1")
        all_running(stage)
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
