#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Roads of a migration through tether-smd, among fakes: what hosts, agents and processes do and leave undone."""
from fake_host import OLDEST, VERSION
from roads import all_running, at, checked, fails_back_at_the_source, hosts_say_addresses, states
from smd import Stage, equal, run, wait_until


def the_vm_moves_and_comes_back():
    with Stage() as stage:
        first = checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
        equal(states(first), ["locating", "preparing", "stopping", "settling", "releasing", "detaching", "moving", "leasing",
                              "naming", "vacating", "applying", "unleasing", "attaching", "rebuilding", "reconnecting",
                              "resuming", "done"])
        equal(first["counts"]["lft_sets"], 5)
        equal(first["counts"]["copy_ms"], 4)
        equal(first["counts"]["replayed"], 12)
        checked(stage, stage.smd.move("vm1", "hyp1"), "done", "hyp1")
        checked(stage, stage.smd.move("vm2", "hyp2"), "done", "hyp1")
        all_running(stage)


def a_veto_is_refused_with_its_reason_and_nothing_changes():
    with Stage() as stage:
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        stage.world.fault("hyp2", "HOST_CHECK", "refuse")
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "refused", "hyp1")
        equal({r["reason"] for r in migration["refusals"]}, {"test-refuse", "test-host_check"})
        equal(migration["committed"], False)
        all_running(stage)
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def a_peer_without_shim_is_refused_by_its_qpn():
    with Stage() as stage:
        stage.world.shims["vm1/11.77"].qps[0x500] = {"remote_lid": 99, "remote_qpn": 0x501, "real": 0x500}
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "refused", "hyp1")
        equal(migration["refusals"][0]["reason"], "peer-without-shim")
        equal(migration["refusals"][0]["who"], "lid 99 qp 0x501")
        all_running(stage)


def a_process_that_does_not_stop_aborts():
    with Stage() as stage:
        stage.world.fault("vm2/21.147", "STEP_STOP", "silent")
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "aborted", "hyp1")
        equal(migration["refusals"][0], {"who": "vm2/21.147", "reason": "no-answer",
                                         "text": "did not answer before the deadline of the step"})
        all_running(stage)


def nobody_is_waited_for_when_the_device_is_lost():
    with Stage(stop_ms=7000) as stage:
        stage.world.fault("hyp3", "STEP_STOP", "silent")
        stage.world.fault("vm1/11.77", "STEP_STOP", "device-lost")
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "aborted", "hyp1")
        equal([refusal["reason"] for refusal in migration["refusals"]], ["device-lost"])
        all_running(stage)


def broken_qps_are_connected_again_after_an_abort():
    with Stage() as stage:
        for shim in stage.world.shims.values():
            shim.broken = True
        stage.world.fault("vm2/21.147", "STEP_SETTLE", "fail")
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "aborted", "hyp1")
        equal(states(migration)[-5:], ["mending-stopping", "mending-settling", "mending-reconnecting", "mending-resuming", "aborted"])
        all_running(stage)


def abort_before_the_commit_aborts_and_after_it_is_too_late():
    with Stage() as stage:
        answers = []

        def abort():
            answers.append(stage.smd.ask("POST", "/v1/migrations/1/abort")[0])

        # Asked from the middle of a step, before its answer is given.
        stage.world.fault("vm2/21.147", "STEP_STOP", abort)
        checked(stage, stage.smd.move("vm1", "hyp2"), "aborted", "hyp1")
        equal(answers, [202])
        all_running(stage)
        stage.world.fault("hyp1", "HOST_DETACH",
                          lambda: answers.append(stage.smd.ask("POST", "/v1/migrations/2/abort")[1]["reason"]))
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
        equal(answers[1], "too-late")
        equal(stage.smd.ask("POST", "/v1/migrations/2/abort")[1]["reason"], "ended")


def a_failed_release_goes_on_at_the_source():
    fails_back_at_the_source("vm1/11.77", "STEP_RELEASE")


def a_failed_detach_goes_on_at_the_source():
    fails_back_at_the_source("hyp1", "HOST_DETACH")


def a_failed_copy_of_memory_goes_on_at_the_source():
    fails_back_at_the_source("hyp1", "HOST_MOVE")


def nobody_assumes_where_the_memory_is():
    """Nor does anybody who was told that it did not move: the driver may have been killed at its deadline."""
    for kind in ("silent", "fail"):
        for moved in (True, False):
            with Stage(move_ms=300) as stage:
                def move():
                    if moved:
                        stage.world.vms["vm1"]["host"] = "hyp2"
                    return kind

                stage.world.fault("hyp1", "HOST_MOVE", move)
                migration = stage.smd.move("vm1", "hyp2")
                checked(stage, migration, "done" if moved else "failed-at-source", "hyp2" if moved else "hyp1")
                equal("looking-there" in states(migration), True)
                all_running(stage)


def a_vf_that_cannot_be_given_back_is_given_back_later():
    with Stage() as stage:
        stage.world.fault("hyp1", "HOST_DETACH", lambda: stage.world.fault("hyp1", "HOST_GIVE_BACK", "fail", 3) or "fail")
        checked(stage, stage.smd.move("vm1", "hyp2"), "failed-at-source", "hyp1")
        all_running(stage)


def guids_that_cannot_be_set_go_on_at_the_source():
    fails_back_at_the_source("hyp2", "HOST_SET_GUIDS")
    fails_back_at_the_source("hyp1", "HOST_SET_GUIDS")


def guids_that_are_taken_back_late_go_on_at_the_source():
    for host in ("hyp1", "hyp2"):
        with Stage() as stage:
            # Once the source's agent has set the other's GUIDs; now it or the destination's cannot for a while.
            stage.world.fault("hyp2", "HOST_ATTACH", lambda host=host: stage.world.fault(host, "HOST_SET_GUIDS", "fail", 3)
                              or "fail")
            checked(stage, stage.smd.move("vm1", "hyp2"), "failed-at-source", "hyp1")
            all_running(stage)


def a_vm_whose_guids_nobody_takes_back_keeps_them_where_it_is():
    def cut_off(stage, kind):
        stage.world.fault("hyp1", "HOST_SET_GUIDS", kind, times=1000)
        return "fail"

    for kind in ("fail", "silent"):
        with Stage(detach_ms=400) as stage:
            stage.world.fault("hyp2", "HOST_ATTACH", lambda: cut_off(stage, kind))
            migration = checked(stage, stage.smd.move("vm1", "hyp2"), "lost", "hyp2")
            equal(states(migration)[-5:], ["back-naming", "stay-applying", "stay-unleasing", "staying", "lost"])


def a_slot_that_kept_the_vms_guid_gives_it_up_when_its_agent_is_back():
    with Stage(detach_ms=400) as stage:
        def cut_off():
            stage.world.fault("hyp2", "HOST_SET_GUIDS", "fail", times=1000)
            return "fail"

        stage.world.fault("hyp2", "HOST_ATTACH", cut_off)
        migration = stage.smd.move("vm1", "hyp2")
        equal((migration["outcome"], at(stage, "vm1")), ("lost", "hyp1"))
        equal("a GUID is shown by two slots" in stage.world.complaints(), True)
        stage.world.faults.clear()
        stage.world.hosts["hyp2"].stop()
        stage.world.hosts["hyp2"].start()
        wait_until("the slot shows its own", lambda: "a GUID is shown by two slots" not in stage.world.complaints())
        stage.world.sm.sweep()
        equal(stage.world.complaints(), [])
        for shim in stage.world.shims.values():
            shim.state = "running"  # programs that were started again
        stage.smd.hosts_here(3)
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def a_failed_attach_goes_on_at_the_source():
    fails_back_at_the_source("hyp2", "HOST_ATTACH")


def a_peer_left_behind_ends_with_errors_and_the_rest_goes_on():
    with Stage() as stage:
        stage.world.fault("vm2/22.154", "STEP_RECONNECT", "silent")
        stage.world.fault("vm2/22.154", "STEP_RESUME", "silent")
        migration = stage.smd.move("vm1", "hyp2")
        equal(migration["outcome"], "done")
        equal([r["who"] for r in migration["refusals"]], ["vm2/22.154"])
        # Its agent hears, when it comes back, how it ended.
        stage.world.hosts["hyp3"].stop()
        stage.world.hosts["hyp3"].start()
        wait_until("it is told", lambda: not stage.world.shims["vm2/22.154"].open)
        equal(stage.world.shims["vm2/22.154"].state, "errored")
        equal(stage.world.complaints(), [])


def what_nobody_can_rebuild_is_lost_and_the_vm_has_its_vf():
    with Stage() as stage:
        stage.world.fault("vm1/11.77", "STEP_ATTACH", "fail")
        stage.world.fault("vm1/12.84", "STEP_ATTACH", "fail")
        checked(stage, stage.smd.move("vm1", "hyp2"), "lost", "hyp2")
        equal({s.state for s in stage.world.shims.values()}, {"errored"})


def says_how_to_give_a_vf(stage, migration, host):
    equal(migration["outcome"], "lost")
    equal(at(stage, "vm1"), host)
    equal([f"tether migrate vm1 {host}" in r["text"] for r in migration["refusals"] if r["reason"] == "vm-without-vf"],
          [True], f"what to do ({migration['refusals']})")
    stage.world.faults.clear()


def without_a_vf_at_the_source(stage):
    stage.world.fault("hyp1", "HOST_DETACH", lambda: stage.world.slots["hyp1-vf0"].update(vm="") or "fail")
    stage.world.fault("hyp1", "HOST_GIVE_BACK", "fail", times=1000)
    says_how_to_give_a_vf(stage, stage.smd.move("vm1", "hyp2"), "hyp1")


def without_a_vf_at_the_destination(stage):
    stage.world.fault("hyp2", "HOST_ATTACH", "fail")
    stage.world.fault("hyp2", "HOST_MOVE", "fail")
    says_how_to_give_a_vf(stage, stage.smd.move("vm1", "hyp2"), "hyp2")


def a_vm_without_a_vf_is_given_one_where_it_is():
    for lose, host, first in ((without_a_vf_at_the_source, "hyp1", "attaching"),
                              (without_a_vf_at_the_destination, "hyp2", "leasing-again")):
        with Stage(attach_ms=400) as stage:
            lose(stage)
            migration = checked(stage, stage.smd.move("vm1", host), "done", host)
            equal(states(migration)[0], first)
            for shim in stage.world.shims.values():
                shim.state = "running"  # programs that were started again
            checked(stage, stage.smd.move("vm1", "hyp3"), "done", "hyp3")
            all_running(stage)


def a_vf_that_cannot_be_given_is_lost_again_and_nothing_moves():
    for what in ("HOST_SET_GUIDS", "HOST_ATTACH"):
        with Stage(attach_ms=400) as stage:
            without_a_vf_at_the_destination(stage)
            stage.world.fault("hyp2", what, "fail")
            says_how_to_give_a_vf(stage, stage.smd.move("vm1", "hyp2"), "hyp2")
            checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def without_an_sm_a_vf_is_given_back_too():
    with Stage(fabric="none", attach_ms=400) as stage:
        hosts_say_addresses(stage)
        without_a_vf_at_the_source(stage)
        equal(stage.smd.move("vm1", "hyp1")["outcome"], "done")
        equal(stage.world.slot_of("vm1"), ["hyp1-vf0"])


def the_overall_deadline_ends_it_with_errors_while_the_hosts_go_on():
    with Stage(overall_ms=300, detach_ms=600) as stage:
        stage.world.fault("hyp1", "HOST_DETACH", "silent")
        checked(stage, stage.smd.move("vm1", "hyp2"), "lost", "hyp1")
        equal({s.state for s in stage.world.shims.values()}, {"errored"})


def restarted(stage, host, asked=None):
    """The agent of @host dies while it is asked (or @asked is, which goes on), and is started again."""
    def die():
        stage.world.hosts[host].stop()
        stage.world.hosts[host].start()
        return "died" if asked in (None, host) else None
    return die


def an_agent_that_dies_and_comes_back_before_the_commit_is_waited_for():
    for host, who, what in (("hyp2", "hyp2", "HOST_CHECK"), ("hyp1", "hyp2", "HOST_CHECK"),
                            ("hyp3", "vm2/21.147", "STEP_STOP"), ("hyp1", "vm1/11.77", "STEP_SETTLE")):
        with Stage() as stage:
            stage.world.fault(who, what, restarted(stage, host, who))
            checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
            all_running(stage)


def nothing_is_committed_while_the_destination_is_away():
    with Stage() as stage:
        def leave():
            stage.world.hosts["hyp2"].stop()
            stage.smd.hosts_here(2)  # before the last answer to SETTLE is given

        stage.world.fault("vm2/21.147", "STEP_SETTLE", leave)
        migration = checked(stage, stage.smd.move("vm1", "hyp2"), "aborted", "hyp1")
        equal(migration["refusals"][0]["reason"], "agent-lost")
        equal(migration["committed"], False)
        all_running(stage)


def a_host_two_versions_apart_is_refused_and_both_are_named():
    with Stage() as stage:
        host = stage.world.hosts["hyp2"]
        host.stop()
        stage.smd.hosts_here(2)
        host.version = OLDEST - 1
        host.start()
        wait_until("it is refused", lambda: host.refused)
        refusal, = host.refused[0]
        text = f"it speaks version {OLDEST - 1} of the protocol, this relay versions {OLDEST} to {VERSION}: "
        equal((refusal["reason"], refusal["text"][:len(text)]), ("version", text))
        equal(f"a host is refused: version: {text}" in stage.smd.log(), True, stage.smd.log())
        wait_until("its name is logged", lambda: "hyp2 is not listened to" in stage.smd.log())
        status, answer = stage.smd.migrate("vm1", "hyp2")
        equal((status, answer["reason"]), (409, "host-not-connected"))
        host.version = VERSION
        stage.smd.hosts_here(3)
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def a_vm_that_no_agent_shows_any_more_is_given_a_vf_when_one_does():
    with Stage(detach_ms=300, move_ms=300, guids_ms=300, attach_ms=300) as stage:
        stage.world.fault("hyp1", "HOST_MOVE", stage.world.hosts["hyp2"].stop)
        says_how_to_give_a_vf(stage, stage.smd.move("vm1", "hyp2"), "hyp2")
        stage.world.hosts["hyp2"].start()
        stage.smd.hosts_here(3)
        checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")


def a_process_that_has_ended_holds_nobody_up_for_long():
    with Stage(attach_ms=300) as stage:
        # Its host is there to miss it.
        for step in ("STEP_ATTACH", "STEP_RECONNECT", "STEP_RESUME"):
            stage.world.fault("vm1/11.77", step, "silent")
        migration = stage.smd.move("vm1", "hyp2")
        equal(migration["outcome"], "done")
        equal([r["who"] for r in migration["refusals"]], ["vm1/11.77"])
        equal(stage.world.shims["vm1/12.84"].state, "running")
        equal(stage.world.shims["vm2/21.147"].state, "errored")  # it was connected to the other


def an_agent_that_dies_after_the_commit_is_waited_for():
    for host, what in (("hyp1", "HOST_DETACH"), ("hyp1", "HOST_MOVE"), ("hyp2", "HOST_SET_GUIDS"),
                       ("hyp1", "HOST_SET_GUIDS"), ("hyp2", "HOST_ATTACH")):
        with Stage() as stage:
            stage.world.fault(host, what, restarted(stage, host))
            checked(stage, stage.smd.move("vm1", "hyp2"), "done", "hyp2")
            all_running(stage)


run([the_vm_moves_and_comes_back, a_veto_is_refused_with_its_reason_and_nothing_changes,
     a_peer_without_shim_is_refused_by_its_qpn, a_process_that_does_not_stop_aborts,
     nobody_is_waited_for_when_the_device_is_lost, broken_qps_are_connected_again_after_an_abort, abort_before_the_commit_aborts_and_after_it_is_too_late,
     a_failed_release_goes_on_at_the_source, a_failed_detach_goes_on_at_the_source,
     a_failed_copy_of_memory_goes_on_at_the_source, nobody_assumes_where_the_memory_is,
     a_vf_that_cannot_be_given_back_is_given_back_later, guids_that_cannot_be_set_go_on_at_the_source,
     guids_that_are_taken_back_late_go_on_at_the_source, a_vm_whose_guids_nobody_takes_back_keeps_them_where_it_is,
     a_slot_that_kept_the_vms_guid_gives_it_up_when_its_agent_is_back, a_failed_attach_goes_on_at_the_source,
     a_peer_left_behind_ends_with_errors_and_the_rest_goes_on, what_nobody_can_rebuild_is_lost_and_the_vm_has_its_vf,
     a_vm_without_a_vf_is_given_one_where_it_is, a_vf_that_cannot_be_given_is_lost_again_and_nothing_moves,
     without_an_sm_a_vf_is_given_back_too, the_overall_deadline_ends_it_with_errors_while_the_hosts_go_on,
     an_agent_that_dies_and_comes_back_before_the_commit_is_waited_for, nothing_is_committed_while_the_destination_is_away,
     a_vm_that_no_agent_shows_any_more_is_given_a_vf_when_one_does, a_host_two_versions_apart_is_refused_and_both_are_named,
     a_process_that_has_ended_holds_nobody_up_for_long, an_agent_that_dies_after_the_commit_is_waited_for])
