#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""sm-side/openapi.yaml against tether-smd: the same paths, answers as described, the same reasons."""
import os
import re

from openapi import Description, Witness, source
from smd import WAL_FRAME, Locked, Skipped, Stage, equal, run, wait_until

DESCRIPTION = Description()
WITNESS = Witness(DESCRIPTION)


def ask(stage, method, path, body=None):
    return WITNESS.ask(stage.smd, method, path, body)


def the_server_has_the_paths_that_are_described():
    routes = re.findall(r'^(?:ROUTE|NAMED)\((\w+), "([^"]+)"', source("sm-side/api/api_routes.def"), re.M)
    equal(set(routes), set(DESCRIPTION.operations()))


def every_reason_that_stands_in_the_sources_is_described():
    """That each is given at its path, and no other: openapi_reasons_test.py."""
    given = set()
    for name in ("migration/admission.c", "conductor/conductor.c", "conductor/conductor_release.c", "conductor/evacuation.c", "conductor/evacuation_room.c", "conductor/evacuator.c", "api/api_evacuations.c", "api/api_routes.c", "api/api_plan.c", "api/api_agents.c", "api/api_reply.c", "vm_change/vm_admission.c", "vm_change/vm_changer.c", "api/api_vms.c"):
        text = source("sm-side/" + name)
        given |= set(re.findall(r'refuse\w*\(\s*"([a-z-]+)",', text))
        given |= set(re.findall(r'api_refuse\(\s*request,\s*\w+,\s*"([a-z-]+)",', text))
        given |= set(re.findall(r'\breason = "([a-z-]+)"', text))
        given |= set(re.findall(r'reason \? reason : "([a-z-]+)"', text))
    equal(given - {reason for _, _, _, reason in DESCRIPTION.reasons()}, {"unknown-path"})


def the_states_that_are_described_are_those_that_there_are():
    states = re.findall(r"^STATE\((\w+),", source("sm-side/migration/migration_states.def"), re.M)
    equal(DESCRIPTION.whole["components"]["schemas"]["State"]["enum"], [s.lower().replace("_", "-") for s in states])


def a_wrong_answer_is_noticed():
    good = {"reason": "ended", "text": "the migration has ended; see tether status"}
    schema = DESCRIPTION.schema_of(DESCRIPTION.operations()["POST", "/v1/migrations/{id}/abort"], 409)
    equal(DESCRIPTION.wrong(schema, good), [])
    for bad in ({}, [], {**good, "reason": "because"}, {**good, "text": ""}, {**good, "more": 1}, {**good, "text": 7}):
        equal(len(DESCRIPTION.wrong(schema, bad)) > 0, True, bad)


def migrations_are_as_described():
    with Stage() as stage:
        equal(ask(stage, "GET", "/v1/migrations")[1], {"migrations": []})
        equal(ask(stage, "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2", "force": True})[0], 202)
        equal(ask(stage, "GET", "/v1/migrations/1?wait=done")[1]["outcome"], "done")
        equal(ask(stage, "GET", "/v1/migrations/1?wait=change&seen=0")[0], 200)
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        ask(stage, "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp1"})
        equal(ask(stage, "GET", "/v1/migrations/2?wait=done")[1]["outcome"], "refused")
        equal(len(ask(stage, "GET", "/v1/migrations")[1]["migrations"]), 2)
        equal(ask(stage, "GET", "/v1/migrations/7")[1]["reason"], "unknown-migration")
        equal(ask(stage, "GET", "/v1/migrations/1?wait=maybe")[0], 400)
        equal(ask(stage, "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2", "fast": True})[0], 400)
        equal(ask(stage, "POST", "/v1/migrations", {"vm": "vm9", "to": "hyp2"})[0], 404)
        equal(ask(stage, "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2"})[0], 409)


def an_abort_is_as_described():
    with Stage() as stage:
        heard = []
        stage.world.fault("vm2/21.147", "STEP_STOP",
                          lambda: heard.append(ask(stage, "POST", "/v1/migrations/1/abort")[0]))
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "aborted")
        equal(heard, [202])
        equal(ask(stage, "POST", "/v1/migrations/1/abort")[1]["reason"], "ended")
        equal(ask(stage, "POST", "/v1/migrations/8/abort")[0], 404)


def a_full_disk_and_an_end_are_as_described():
    with Stage() as stage:
        stage.smd.move("vm1", "hyp2")
        stage.smd.kill()
        # For the epoch of the start, which is one page.
        stage.smd.start(room=WAL_FRAME + WAL_FRAME // 2)
        stage.smd.all_here(3)
        equal(ask(stage, "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp1"})[1]["reason"], "journal-failed")
        equal(ask(stage, "POST", "/v1/evacuations", {"host": "hyp2"})[1]["reason"], "journal-failed")
        equal(ask(stage, "POST", "/v1/vms", {"name": "vm7", "host": "hyp2"})[1]["reason"], "journal-failed")
        equal(ask(stage, "DELETE", "/v1/vms/vm1")[1]["reason"], "journal-failed")
        stage.smd.make_room()


def reports_are_as_described():
    with Stage() as stage:
        equal(ask(stage, "POST", "/v1/migrations", {"vm": "vm1", "to": "hyp2", "mode": "called"})[0], 202)
        for step in ("detached", "moved", "attached"):
            wait_until(f"{step} is awaited", lambda step=step: ask(stage, "GET", "/v1/migrations/1")[1].get("awaits") == step)
            equal(ask(stage, "POST", "/v1/migrations/1/steps", {"step": step})[0], 202)
        equal(ask(stage, "GET", "/v1/migrations/1?wait=done")[1]["mode"], "called")
        equal(ask(stage, "POST", "/v1/migrations/1/steps", {"step": "moved"})[1]["reason"], "ended")
        equal(ask(stage, "POST", "/v1/migrations/1/steps", {"step": "flown"})[0], 400)
        equal(ask(stage, "POST", "/v1/migrations/9/steps", {"step": "moved"})[0], 404)


def evacuations_are_as_described():
    with Stage() as stage:
        def ended(number):
            wait_until("it has ended", lambda: ask(stage, "GET", f"/v1/evacuations/{number}?wait=change")[1]["ended"])
            return ask(stage, "GET", f"/v1/evacuations/{number}")[1]

        equal(ask(stage, "GET", "/v1/evacuations")[1], {"evacuations": []})
        equal(ask(stage, "POST", "/v1/evacuations", {"host": "hyp1", "to": ["hyp2"], "force": True})[0], 202)
        equal(ask(stage, "GET", "/v1/evacuations/1?wait=change&seen=99")[1]["outcome"], "done")
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        ask(stage, "POST", "/v1/evacuations", {"host": "hyp2"})
        equal(ask(stage, "POST", "/v1/evacuations", {"host": "hyp2"})[0], 409)
        equal(ended(2)["vms"][0]["reason"], "test-refuse")
        equal(len(ask(stage, "GET", "/v1/evacuations")[1]["evacuations"]), 2)
        equal(ask(stage, "POST", "/v1/evacuations", {"host": "hyp9"})[0], 404)
        equal(ask(stage, "POST", "/v1/evacuations", {"hosts": "hyp9"})[0], 400)
        equal(ask(stage, "GET", "/v1/evacuations/9")[0], 404)
        equal(ask(stage, "GET", "/v1/evacuations/1?wait=done")[0], 400)
        equal(ask(stage, "POST", "/v1/evacuations/9/abort")[0], 404)
        equal(ask(stage, "POST", "/v1/evacuations/1/abort")[1]["reason"], "ended")
        stage.world.fault("vm2/21.147", "STEP_STOP", lambda: ask(stage, "POST", "/v1/evacuations/3/abort"))
        ask(stage, "POST", "/v1/evacuations", {"host": "hyp2"})
        equal(ended(3)["outcome"], "aborted")
        locked, heard = Locked(stage.smd), []

        def abort_is_not_written():
            locked()
            heard.append(ask(stage, "POST", "/v1/evacuations/4/abort")[1]["reason"])
            locked.unlock()

        stage.world.fault("vm2/21.147", "STEP_STOP", abort_is_not_written)
        ask(stage, "POST", "/v1/evacuations", {"host": "hyp2"})
        equal((ended(4)["outcome"], heard), ("done", ["journal-failed"]))


def plans_are_as_described():
    with Stage() as stage:
        question = {"vm": "vm1", "to": "hyp2"}
        equal(ask(stage, "POST", "/v1/plan", {**question, "order": "drop-first", "reach": "minimum"})[0], 200)
        equal(ask(stage, "GET", "/v1/plan?vm=vm1&to=hyp2&order=fast")[0], 200)
        for method, path, body in (("POST", "/v1/plan", question), ("GET", "/v1/plan?vm=vm1&to=hyp2", None)):
            stage.world.fault("sm", "plan", "not-routed")
            equal(ask(stage, method, path, body)[1]["reason"], "not-routed")
        equal(ask(stage, "POST", "/v1/plan", {"vm": "vm1"})[0], 400)
        equal(ask(stage, "GET", "/v1/plan?vm=vm1")[0], 400)
        equal(ask(stage, "POST", "/v1/plan", {"vm": "vm9", "to": "hyp2"})[0], 404)
        equal(ask(stage, "GET", "/v1/plan?vm=vm1&to=hyp9")[0], 404)
        stage.world.sm.stop()
        wait_until("the SM is away", lambda: not stage.smd.get("/v1/health")[1]["sm_connected"])
        equal(ask(stage, "POST", "/v1/plan", question)[0], 503)
        equal(ask(stage, "GET", "/v1/plan?vm=vm1&to=hyp2")[0], 503)


def vms_that_come_and_go_are_as_described():
    with Stage() as stage:
        stage.world.guest("vm7", "hyp2")
        for method, path, body in (("POST", "/v1/vms", {"name": "vm7", "host": "hyp2"}), ("DELETE", "/v1/vms/vm7", None)):
            equal(ask(stage, method, path, body)[0], 202)
            wait_until("it has ended", lambda: ask(stage, "GET", "/v1/vms/vm7?wait=change&seen=9")[1]["change"]["ended"])
            equal(ask(stage, "GET", "/v1/vms/vm7")[1]["change"]["outcome"], "done")
        stage.world.left("vm7")
        stage.world.fault("hyp2", "HOST_CHECK", "refuse")
        ask(stage, "POST", "/v1/vms", {"name": "vm8", "host": "hyp2"})
        wait_until("it has ended", lambda: ask(stage, "GET", "/v1/vms/vm8?wait=change")[1]["change"]["ended"])
        equal(ask(stage, "GET", "/v1/vms/vm8")[1]["change"]["reason"], "test-host_check")
        equal(ask(stage, "POST", "/v1/vms", {"name": "vm8"})[0], 400)
        equal(ask(stage, "GET", "/v1/vms/vm1?wait=done")[0], 400)
        equal(ask(stage, "POST", "/v1/vms", {"name": "vm8", "host": "hyp9"})[0], 404)
        equal(ask(stage, "GET", "/v1/vms/vm9")[0], 404)
        equal(ask(stage, "DELETE", "/v1/vms/vm9")[0], 404)
        equal(ask(stage, "POST", "/v1/vms", {"name": "vm1", "host": "hyp1"})[0], 409)
        equal(ask(stage, "DELETE", "/v1/vms/vm7")[0], 409)


def what_is_disputed_is_as_described():
    with Stage() as stage:
        liar = stage.world.hosts["hyp3"]
        said = liar.inventory()
        place = stage.world.slots["hyp1-vf0"]
        liar.inventory = lambda: {
            "vms": said["vms"] + [{"name": "vm1", "slot": ""}],
            "slots": said["slots"] + [{"name": "x", "switch_guid": place["switch_guid"], "switch_port": place["switch_port"]},
                                      {"name": "y", "port_guid": place["port_guid"]}]}
        liar.stop()
        liar.start()
        wait_until("it has said so", lambda: ask(stage, "GET", "/v1/vms/vm1")[1].get("disputed") == ["hyp3"])
        vms = {vm["name"]: vm for vm in ask(stage, "GET", "/v1/vms")[1]["vms"]}
        equal((vms["vm1"]["host"], vms["vm1"]["disputed"], "disputed" in vms["vm2"]), ("hyp1", ["hyp3"], False))
        agents = {agent["name"]: agent.get("not_believed") for agent in ask(stage, "GET", "/v1/agents")[1]["agents"]}
        equal(agents["hyp1"], None)
        equal(agents["hyp3"], [{"what": what, "name": name, "holder": "hyp1"}
                               for what, name in (("vm", "vm1"), ("slot-place", "x"), ("slot-guid", "y"))])
        equal(ask(stage, "POST", "/v1/vms/vm1/release"), (200, {"name": "vm1", "host": "hyp3"}))
        equal(ask(stage, "GET", "/v1/vms/vm1")[1]["host"], "hyp3")
        equal(ask(stage, "POST", "/v1/vms/vm1/release")[1]["reason"], "vm-not-disputed")
        equal(ask(stage, "POST", "/v1/vms/vm1/release", {"force": 1})[0], 400)
        equal(ask(stage, "POST", "/v1/vms/vm1/release", {"force": False})[1]["reason"], "vm-not-disputed")
        equal(ask(stage, "POST", "/v1/vms/vm9/release")[0], 404)
        stage.world.hosts["hyp1"].stop()
        wait_until("it is away", lambda: not next(
            host["connected"] for host in ask(stage, "GET", "/v1/hypervisors")[1]["hypervisors"] if host["name"] == "hyp1"))
        equal(ask(stage, "DELETE", "/v1/hypervisors/hyp1"), (200, {}))
        equal(ask(stage, "DELETE", "/v1/hypervisors/hyp1")[0], 404)
        equal(ask(stage, "DELETE", "/v1/hypervisors/hyp2")[0], 409)
        hosts = {host["name"]: host for host in ask(stage, "GET", "/v1/hypervisors")[1]["hypervisors"]}
        equal(("hyp1" in hosts, [slot["name"] for slot in hosts["hyp3"]["slots"]][-2:]), (False, ["x", "y"]))


def what_there_is_is_as_described():
    with Stage() as stage:
        equal(len(ask(stage, "GET", "/v1/vms")[1]["vms"]), 2)
        equal(len(ask(stage, "GET", "/v1/hypervisors")[1]["hypervisors"]), 3)
        equal(ask(stage, "GET", "/v1/health")[1]["hypervisors"], 3)
        equal(len(ask(stage, "GET", "/v1/agents")[1]["agents"]), 3)


def strangers_are_refused_as_described():
    with Stage() as stage:
        os.chmod(stage.temporary.name, 0o755)
        os.chmod(stage.smd.api_path, 0o666)
        for method, path in DESCRIPTION.operations():
            path = path.replace("{id}", "1").replace("{name}", "vm1")
            WITNESS.heard(method, path, *as_a_stranger(stage.smd, method, path))


def as_a_stranger(smd, method, path):
    """What another user hears; the test's own user is served."""
    if os.geteuid():
        raise Skipped("only root can pass for another user")
    os.seteuid(65534)
    try:
        return smd.ask(method, path)
    finally:
        os.seteuid(0)


def every_answer_that_is_described_has_been_heard():
    strangers = {row for row in WITNESS.unheard() if row[-1] == "403"} if os.geteuid() else set()
    equal(WITNESS.unheard(), strangers)


run([the_server_has_the_paths_that_are_described, every_reason_that_stands_in_the_sources_is_described,
     the_states_that_are_described_are_those_that_there_are, a_wrong_answer_is_noticed, migrations_are_as_described,
     an_abort_is_as_described, reports_are_as_described,
     evacuations_are_as_described, a_full_disk_and_an_end_are_as_described, plans_are_as_described,
     vms_that_come_and_go_are_as_described, what_is_disputed_is_as_described, what_there_is_is_as_described, strangers_are_refused_as_described, every_answer_that_is_described_has_been_heard])
