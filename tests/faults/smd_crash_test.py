#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd killed at each record of its journal and each question that it asks, then started again."""

import os
import re
import sqlite3
import time

from fake_peer import Peer
from fault_points import passed
from smd import Locked, WAL_FRAME, Stage, equal, run, wait_until

TRYING = ["locating", "preparing", "stopping", "settling"]
FORWARD = ["releasing", "detaching", "moving", "leasing", "naming", "vacating", "applying", "unleasing", "attaching",
           "rebuilding", "reconnecting", "resuming"]
BACK = ["back-leasing", "back-naming", "back-vacating", "back-undoing", "back-unleasing", "back-moving", "back-giving",
        "back-rebuilding", "back-reconnecting", "back-resuming"]
PLACES = ["smd-record", "smd-recorded", "smd-ask", "smd-asked"]


def killed_and_started_again(stage, place, state):
    """The migration's end, after tether-smd died at that place and was started again."""
    stage.smd.migrate("vm1", "hyp2") if stage.smd.child.poll() is None else None
    equal(stage.smd.wait(), -9, f"{place} {state}: tether-smd died by itself")
    stage.smd.start()
    return stage.smd.wait_for(1)


def ended_well(place, state, outcomes, prepare=lambda stage: None):
    with Stage(env={"TETHER_DIE_AT": f"{place}:{state}:1"}) as stage:
        prepare(stage)
        try:
            migration = killed_and_started_again(stage, place, state)
        except ConnectionError:
            # It died before it had answered that it had begun.
            stage.smd.wait()
            stage.smd.start()
            migration = stage.smd.wait_for(1)
        what = f"killed at {place} of {state}"
        equal(migration["outcome"] in outcomes, True, f"{what}: ended {migration['outcome']}")
        wait_until(f"{what}: {stage.world.complaints()}", lambda: not stage.world.complaints())
        equal({s.state for s in stage.world.shims.values()}, {"running"}, f"{what}: processes")
        equal(stage.world.vms["vm1"]["host"], "hyp2" if migration["outcome"] == "done" else "hyp1", what)
        stage.smd.all_here(3)
        again = stage.smd.move("vm1", "hyp3")
        equal(again["outcome"], "done", f"{what}: asked again")
        equal(stage.world.complaints(), [], f"{what}: asked again")


def killed_before_the_commit_it_is_aborted():
    for state in TRYING:
        for place in PLACES:
            ended_well(place, state, ["aborted"])


def killed_while_it_aborts_it_is_aborted():
    def prepare(stage):
        stage.world.fault("vm2/21.147", "STEP_STOP", "fail")

    for place in PLACES:
        ended_well(place, "aborting", ["aborted"], prepare)


def killed_while_broken_qps_are_mended_they_are_mended():
    def prepare(stage):
        stage.world.fault("vm2/21.147", "STEP_SETTLE", "fail")

    for state in ("mending-stopping", "mending-settling", "mending-reconnecting", "mending-resuming"):
        for place in PLACES:
            ended_well(place, state, ["aborted"], prepare)


def killed_after_the_commit_it_goes_on():
    for state in FORWARD:
        for place in PLACES:
            before_commit = state == "releasing" and place == "smd-record"
            ended_well(place, state, ["aborted"] if before_commit else ["done"])


def killed_on_the_way_back_it_goes_on_back():
    def prepare(stage):
        stage.world.fault("hyp2", "HOST_ATTACH", "fail")

    for state in BACK:
        for place in PLACES:
            # Before its first record nobody knows of the failure: the destination is asked once more.
            forgotten = state == "back-leasing" and place == "smd-record"
            ended_well(place, state, ["done"] if forgotten else ["failed-at-source"], prepare)


def killed_while_a_vm_is_given_a_vf_it_is_given():
    for state in ("leasing-again", "naming", "applying", "attaching"):
        with Stage(attach_ms=400) as stage:
            stage.world.fault("hyp2", "HOST_ATTACH", "fail")
            stage.world.fault("hyp2", "HOST_MOVE", "fail")
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "lost")
            stage.smd.stop()
            stage.smd.start(TETHER_DIE_AT=f"smd-asked:{state}:1")
            stage.smd.all_here(3)
            try:
                stage.smd.migrate("vm1", "hyp2")
            except ConnectionError:
                pass  # it died before it had answered that it had begun
            equal(stage.smd.wait(), -9, f"{state}: tether-smd died by itself")
            stage.smd.start()
            stage.smd.hosts_here(3)
            host = stage.world.hosts["hyp3"]
            host.connects_to("vm1")
            equal(stage.smd.wait_for(2)["outcome"], "done", state)
            wait_until(f"{state}", lambda: not stage.world.complaints())
            # No step of the tree says the end.
            wait_until(f"{state}: connected", lambda: host.outcomes()[-1:] == ["OUTCOME_DONE"])


def a_stopped_vm_that_somebody_moved_meanwhile_gets_its_vf():
    def fail(stage, step):
        stage.world.fault("vm2/21.147", step, "fail")

    for state, step in (("stopping", None), ("aborting", "STEP_STOP"), ("mending-reconnecting", "STEP_SETTLE"),
                        ("mending-resuming", "STEP_SETTLE")):
        for host in ("hyp1", "hyp2"):
            with Stage(env={"TETHER_DIE_AT": f"smd-asked:{state}:1"}) as stage:
                fail(stage, step)
                stage.smd.migrate("vm1", "hyp2")
                equal(stage.smd.wait(), -9, f"{state}: tether-smd died by itself")
                with stage.world.lock:
                    stage.world.slots["hyp1-vf0"]["vm"] = ""
                    stage.world.vms["vm1"]["host"] = host
                stage.smd.start()
                equal(stage.smd.wait_for(1)["outcome"], "lost", f"{state}, {host}")
                wait_until(f"{state}, {host}: {stage.world.complaints()}", lambda: not stage.world.complaints())


def killed_at_the_end_it_has_ended():
    for place in PLACES[:2]:
        ended_well(place, "done", ["done"])


def killed_together_with_the_agents_it_goes_on():
    for state in ("settling", "detaching", "applying", "attaching", "resuming"):
        def prepare(stage):
            for host in stage.world.hosts.values():
                host.stop()
            stage.smd.hosts_here(0)
            for host in stage.world.hosts.values():
                host.start()
            stage.smd.hosts_here(3)

        ended_well("smd-asked", state, ["done", "aborted"], prepare)


def killed_twice_it_goes_on():
    for first, second in (("stopping", "aborting"), ("applying", "naming"), ("attaching", "rebuilding")):
        with Stage(env={"TETHER_DIE_AT": f"smd-asked:{first}:1"}) as stage:
            stage.smd.migrate("vm1", "hyp2")
            stage.smd.wait()
            stage.smd.start(TETHER_DIE_AT=f"smd-asked:{second}:1")
            equal(stage.smd.wait(), -9, f"{first}, {second}: killed again")
            stage.smd.start()
            migration = stage.smd.wait_for(1)
            equal(migration["outcome"], "aborted" if first == "stopping" else "done", f"{first}, {second}")
            wait_until(f"{first}, {second}", lambda: not stage.world.complaints())
            equal({s.state for s in stage.world.shims.values()}, {"running"})


def ended(stage):
    stage.smd.child.terminate()


def a_daemon_that_is_ended_aborts_what_is_not_committed():
    with Stage() as stage:
        said = []

        def end():
            ended(stage)
            wait_until("it is ending", lambda: "signal 15: ending with" in stage.smd.log())
            said.append(stage.smd.migrate("vm2", "hyp2"))

        stage.world.fault("vm2/21.147", "STEP_STOP", end)
        migration = stage.smd.move("vm1", "hyp2")
        equal((migration["outcome"], at(stage)), ("aborted", "hyp1"))
        equal(sorted(r["reason"] for r in migration["refusals"]), ["abort-asked", "shutting-down"])
        equal(stage.smd.wait(), 0, "SIGTERM")
        equal((said[0][0], said[0][1]["reason"]), (503, "shutting-down"))
        equal(stage.world.complaints(), [])
        stage.smd.start()


def at(stage):
    return stage.world.vms["vm1"]["host"]


def a_daemon_that_is_ended_after_the_commit_goes_on_to_the_end():
    for host, what in (("hyp1", "HOST_DETACH"), ("hyp1", "HOST_MOVE"), ("hyp2", "HOST_ATTACH")):
        with Stage() as stage:
            stage.world.fault(host, what, lambda: ended(stage))
            equal(stage.smd.move("vm1", "hyp2")["outcome"], "done", what)
            equal(stage.smd.wait(), 0, "SIGTERM")
            equal(stage.world.complaints(), [], what)
            stage.smd.start()
            equal(stage.smd.get("/v1/migrations/1")[1]["outcome"], "done", what)


def ended_twice_or_too_late_it_leaves_what_is_under_way_to_its_successor():
    for late in (False, True):
        with Stage(detach_ms=60000, **({"overall_ms": 300} if late else {})) as stage:
            stage.world.fault("hyp1", "HOST_DETACH", "silent")
            _, answer = stage.smd.migrate("vm1", "hyp2")
            stage.smd.wait_for(answer["id"], "detaching")
            ended(stage)
            wait_until("it is ending", lambda: "signal 15: ending with" in stage.smd.log())
            if not late:
                ended(stage)
            equal(stage.smd.wait(), 0, "SIGTERM")
            stage.smd.start()
            equal(stage.smd.wait_for(answer["id"])["outcome"], "lost" if late else "done")
            equal(stage.world.complaints(), [])


def on_a_full_disk_it_says_so_and_goes_on_when_there_is_room():
    stage = Stage(env={"TETHER_DIE_AT": "smd-asked:detaching:1"}, log="stderr")
    stage.world.vm("vm6", "hyp3")
    with stage:
        stage.smd.migrate("vm1", "hyp2")
        stage.smd.wait()
        # One epoch is one page: that of the start goes in, that of the migration does not.
        stage.smd.start(room=WAL_FRAME + WAL_FRAME // 2)
        said = next(line for line in stage.smd.child.stderr if b"cannot be gone on with" in line)
        equal(bool(re.search(rb"migration 1/[0-9]+ of vm1 was under way \(detaching\)", said)) and b"is its disk full?" in said, True, said)
        stage.smd.all_here(3)
        equal(stage.smd.migrate("vm6", "hyp1")[1]["reason"], "busy")
        # Nor does anybody connect with the VM's numbers of before.
        host = stage.world.hosts["hyp3"]
        host.connects_to("vm1")
        wait_until("an answer", host.outcomes)
        equal(host.outcomes(), ["OUTCOME_NONE"])
        stage.smd.make_room()
        drain = Peer(stage.smd.child.stderr.read)
        wait_until("another may begin", lambda: stage.smd.migrate("vm6", "hyp1")[0] == 202)
        equal("recovering" in [step["state"] for step in stage.smd.get("/v1/migrations/1")[1]["steps"]], True, "it began first")
        equal([stage.smd.wait_for(number)["outcome"] for number in (1, 2)], ["done", "done"])
        equal(stage.world.complaints(), [])
        wait_until("connected", lambda: host.outcomes() == ["OUTCOME_NONE", "OUTCOME_DONE"])
        stage.smd.stop()
        drain.join()


def behind_shared_ports(stage):
    """A LID for each server; peers know each VM by that of the server where it is."""
    lids = {host: 7 + number for number, host in enumerate(stage.world.hosts)}
    before = {vm["lid"]: lids[vm["host"]] for vm in stage.world.vms.values()}
    for slot in stage.world.slots.values():
        slot.update(shared_port=True, address={"lid": lids[slot["host"]], "gid": bytes(16)})
    for vm in stage.world.vms.values():
        vm["lid"] = before[vm["lid"]]
    for shim in stage.world.shims.values():
        for qp in shim.qps.values():
            qp["remote_lid"] = before[qp["remote_lid"]]
    return stage


def nobody_connects_to_a_vm_behind_a_shared_port_by_a_lid_that_it_had_before():
    with behind_shared_ports(Stage(fabric="none", env={"TETHER_DIE_AT": "smd-recorded:preparing:2"})) as stage:
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        try:
            stage.smd.migrate("vm1", "hyp3")
        except OSError:
            pass  # it has died already
        equal(stage.smd.wait(), -9)
        stage.world.hosts["hyp2"].stop()
        stage.smd.start()
        stage.smd.hosts_here(2)
        host = stage.world.hosts["hyp3"]
        # By the LID of hyp1, where it was first.
        host.connects_to("vm1")
        wait_until("an answer", host.outcomes)
        equal(host.outcomes(), ["OUTCOME_NONE"])
        stage.world.hosts["hyp2"].start()
        equal(stage.smd.wait_for(2)["outcome"], "aborted")
        wait_until("connected", lambda: host.outcomes() == ["OUTCOME_NONE", "OUTCOME_DONE"])


def started_again_it_leaves_all_as_it_is(stage, outcome):
    """vm1 has moved twice; the first of it is closed, and nobody is asked anything about it."""
    stage.smd.start()
    stage.smd.all_here(3)
    first = stage.smd.wait_for(1)
    equal((first["outcome"], at(stage)), (outcome, "hyp3"))
    equal("recovering" in stage.smd.log(), False, "a migration that has ended was recovered")
    equal(stage.world.complaints(), [])
    equal({s.state for s in stage.world.shims.values()}, {"running"})
    equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
    equal(stage.world.complaints(), [])
    return first


def an_end_that_was_not_written_is_written_before_the_next_move():
    with Stage() as stage:
        locked = Locked(stage.smd)
        stage.world.fault("vm2/21.147", "STEP_RESUME", locked)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        equal(stage.smd.migrate("vm1", "hyp3")[1]["reason"], "journal-failed")
        locked.unlock()
        equal(stage.smd.move("vm1", "hyp3")["outcome"], "done")
        stage.smd.kill()
        started_again_it_leaves_all_as_it_is(stage, "done")


def an_end_that_was_not_written_is_written_when_it_can_be():
    """And with it that all know by then that the VM has moved."""
    stage = Stage()
    stage.env["TETHER_PASSED"] = note = os.path.join(stage.temporary.name, "passed")
    with stage:
        locked = Locked(stage.smd)
        stage.world.fault("vm2/21.147", "STEP_RESUME", locked)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        wait_until("all know that it has moved", lambda: "smd-news:written" in passed(note))
        locked.unlock()
        reader = sqlite3.connect(f"file:{stage.smd.journal}?mode=ro", uri=True)
        wait_until("the end is written", lambda: reader.execute("SELECT * FROM endings").fetchall())
        equal(reader.execute("SELECT servers, told FROM news").fetchall(), [("hyp3", 1)])
        reader.close()
        stage.smd.kill()
        stage.smd.start()
        equal(stage.smd.wait_for(1)["outcome"], "done")
        equal("recovering" in stage.smd.log(), False, "a migration that has ended was recovered")


def an_end_that_is_missing_is_told_from_the_next_move():
    for fails, outcome in ((None, "done"), ("HOST_ATTACH", "failed-at-source"), ("STEP_STOP", "aborted")):
        with Stage() as stage:
            if fails:
                stage.world.fault("hyp2" if fails == "HOST_ATTACH" else "vm2/21.147", fails, "fail")
            equal(stage.smd.move("vm1", "hyp2")["outcome"], outcome)
            equal(stage.smd.move("vm1", "hyp3")["outcome"], "done")
            stage.smd.kill()
            # As journals were left by those that did not write it again.
            db = sqlite3.connect(stage.smd.journal)
            db.execute("DELETE FROM news WHERE migration = 1")
            db.execute("DELETE FROM findings WHERE migration = 1")
            db.execute("DELETE FROM endings WHERE migration = 1")
            db.execute("DELETE FROM states WHERE rowid = (SELECT max(rowid) FROM states WHERE migration = 1)")
            db.commit()
            db.close()
            first = started_again_it_leaves_all_as_it_is(stage, outcome)
            equal([r["reason"] for r in first["refusals"]], ["journal-failed"])
            equal(stage.smd.stop(), 0)
            stage.smd.start()
            equal(stage.smd.get("/v1/migrations/1")[1]["outcome"], outcome)


def after_the_overall_deadline_its_successor_still_gives_the_vm_a_vf():
    with Stage(overall_ms=400) as stage:
        stage.world.fault("hyp1", "HOST_MOVE", "silent")
        _, answer = stage.smd.migrate("vm1", "hyp2")
        asked = stage.smd.wait_for(answer["id"], "moving")["asked_us"]
        stage.smd.kill()
        wait_until("the deadline is over", lambda: time.time() * 1e6 > asked + 1000000)
        stage.smd.start()
        migration = stage.smd.wait_for(answer["id"])
        equal(migration["outcome"], "lost")
        wait_until("nothing to complain of", lambda: not stage.world.complaints())
        equal({s.state for s in stage.world.shims.values()}, {"errored"})


def the_epoch_rises_with_each_start_and_each_migration():
    with Stage() as stage:
        first = stage.smd.get("/v1/health")[1]["epoch"]
        equal(stage.smd.move("vm1", "hyp2")["epoch"], first + 1)
        stage.smd.kill()
        stage.smd.start()
        equal(stage.smd.get("/v1/health")[1]["epoch"], first + 2)


def without_its_journal_it_has_an_epoch_above_all_that_agents_have_seen():
    with Stage() as stage:
        seen = stage.smd.move("vm1", "hyp2")["epoch"]
        equal(stage.smd.stop(), 0)
        os.unlink(stage.smd.journal)
        stage.smd.start()
        epoch = stage.smd.get("/v1/health")[1]["epoch"]
        equal(epoch > seen, True, f"epoch {epoch} after {seen}")


run([killed_before_the_commit_it_is_aborted, killed_while_it_aborts_it_is_aborted,
     killed_while_broken_qps_are_mended_they_are_mended, killed_after_the_commit_it_goes_on,
     killed_on_the_way_back_it_goes_on_back, killed_while_a_vm_is_given_a_vf_it_is_given, a_stopped_vm_that_somebody_moved_meanwhile_gets_its_vf,
     killed_at_the_end_it_has_ended, killed_together_with_the_agents_it_goes_on,
     killed_twice_it_goes_on, a_daemon_that_is_ended_aborts_what_is_not_committed,
     a_daemon_that_is_ended_after_the_commit_goes_on_to_the_end,
     ended_twice_or_too_late_it_leaves_what_is_under_way_to_its_successor,
     nobody_connects_to_a_vm_behind_a_shared_port_by_a_lid_that_it_had_before,
     on_a_full_disk_it_says_so_and_goes_on_when_there_is_room,
     an_end_that_was_not_written_is_written_before_the_next_move, an_end_that_was_not_written_is_written_when_it_can_be,
     an_end_that_is_missing_is_told_from_the_next_move,
     after_the_overall_deadline_its_successor_still_gives_the_vm_a_vf, the_epoch_rises_with_each_start_and_each_migration,
     without_its_journal_it_has_an_epoch_above_all_that_agents_have_seen])
