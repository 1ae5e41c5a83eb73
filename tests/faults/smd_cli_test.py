#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether and the API of tether-smd as their users meet them: exit statuses, reasons, bad input."""
import json
import os
import random
import re
import resource
import socket
import subprocess
import tempfile
import threading

from command import TETHER, refused, tether
from smd import BUILD, Smd, Skipped, Stage, equal, run, wait_until

from lab.journal import ask


def migrate_shows_each_step_and_its_end():
    with Stage() as stage:
        status, out, err = tether(stage, "migrate", "vm1", "hyp2")
        equal(status, 0, err)
        equal(out.startswith("migration 1: done: vm1 from hyp1 to hyp2, "), True, out)
        for state in ("preparing", "stopping", "applying", "resuming"):
            equal(f" {state} " in err, True, f"{state} in {err}")
        status, out, _ = tether(stage, "migrate", "vm1", "hyp3", "--json")
        equal((status, json.loads(out)["outcome"]), (0, "done"))
        status, out, _ = tether(stage, "migrate", "--no-wait", "vm1", "hyp1")
        equal((status, out), (0, "3\n"))
        equal(stage.smd.wait_for(3)["outcome"], "done")


def what_cannot_be_done_is_refused_by_name_and_changes_nothing():
    with Stage() as stage:
        refused(stage, "unknown-vm", "migrate", "vm9", "hyp2")
        refused(stage, "unknown-host", "migrate", "vm1", "hyp9")
        refused(stage, "same-host", "migrate", "vm1", "hyp1")
        stage.world.vm("vm3", "hyp2")
        stage.world.vm("vm4", "hyp2")
        stage.world.hosts["hyp2"].stop()
        wait_until("hyp2 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 2)
        refused(stage, "host-not-connected", "migrate", "vm1", "hyp2")
        stage.world.hosts["hyp2"].start()
        stage.smd.hosts_here(3)
        refused(stage, "no-free-vf", "migrate", "vm1", "hyp2")
        refused(stage, "unknown-migration", "status", "7")
        refused(stage, "unknown-migration", "abort", "7")
        equal(stage.smd.get("/v1/migrations")[1]["migrations"], [])
        equal(stage.world.complaints(), [])


def while_one_moves_others_are_refused():
    with Stage() as stage:
        gate = threading.Event()

        def others():
            refused(stage, "vm-already-moving", "migrate", "vm1", "hyp3")
            refused(stage, "busy", "migrate", "vm2", "hyp2")
            gate.set()

        stage.world.fault("hyp1", "HOST_DETACH", others)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        equal(gate.is_set(), True)


def a_refused_migration_says_why_and_what_next():
    with Stage() as stage:
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        status, out, err = tether(stage, "migrate", "vm1", "hyp2")
        equal(status, 1)
        equal("test-refuse: as asked" in err and "nothing was changed" in err, True, err)
        equal(out.startswith("migration 1: refused: "), True, out)
        status, out, _ = tether(stage, "status", "1")
        equal(status, 0)
        equal("refused: somebody could not" in out and "test-refuse" in out, True, out)


def force_is_advised_where_it_helps_and_lifts_no_veto():
    with Stage() as stage:
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse", 2)
        status, _, err = tether(stage, "migrate", "vm1", "hyp2")
        equal((status, "test-refuse" in err, "--force" in err), (1, True, False), err)
        status, _, err = tether(stage, "migrate", "--force", "vm1", "hyp2")
        equal((status, "test-refuse" in err, "--force" in err), (1, True, False), err)
        stage.world.shims["vm2/21.147"].qps[0x501] = {"remote_lid": stage.world.vms["vm1"]["lid"], "remote_qpn": 0x500,
                                                      "real": 0x501}
        status, _, err = tether(stage, "migrate", "vm1", "hyp2")
        equal((status, "vm-qp-without-shim" in err, "--force" in err), (1, True, True), err)
        status, out, err = tether(stage, "migrate", "--force", "--json", "vm1", "hyp2")
        equal((status, json.loads(out)["outcome"]), (0, "done"), err)
        states = {shim.name: shim.state for shim in stage.world.shims.values()}
        equal([name for name, state in states.items() if state == "errored"], ["vm2/21.147"])


def a_plan_is_shown_and_changes_nothing():
    with Stage() as stage:
        status, out, err = tether(stage, "plan", "vm1", "hyp2")
        equal((status, err), (0, ""))
        rows = [line.split() for line in out.splitlines()]
        equal(rows[0][:6], ["vm1", "(LID", "16)", "from", "hyp1", "(hyp1-vf0)"])
        equal([row for row in rows if row[:1] == ["0"]],
              [["0", f"0x{switch:016x}", kind, *blocks]
               for switch, kind, blocks in ((0x100, "vswitch", "0"), (0x101, "vswitch", "0"), (0x200, "physical", "01"),
                                            (0x300, "physical", "0"))])
        sums = {" ".join(row[:-1]): int(row[-1]) for row in rows[rows.index([], 2) + 1:]}
        equal(sums, {"switches": 4, "blocks": 5, "waves": 1, "LFT Sets, physical": 3, "LFT Sets, vSwitches": 2,
                     "of these by splits": 0, "P_Key Sets": 4, "PortInfo Sets": 2, "multicast groups": 1})
        asked = []
        stage.world.sm.plan_asked = asked.append
        status, out, _ = tether(stage, "plan", "--json", "--order", "consistent", "--reach", "minimum", "vm1", "hyp2")
        plan = json.loads(out)
        equal((status, plan["blocks"], len(plan["changes"]), plan["order"], plan["reach"]),
              (0, 5, 5, "consistent", "minimum"))
        equal([(r["order"], r["reach"]) for r in asked], [("consistent", "minimum")])
        equal(plan["stability"], "reverted-by-sweep")
        equal(["next sweep" in tether(stage, "plan", *more, "vm1", "hyp2")[1] for more in ((), ("--reach", "minimum"))], [False, True])
        equal(stage.smd.get("/v1/plan?vm=vm1&to=hyp2")[1]["lft_sets"], 5)
        equal(stage.smd.get("/v1/migrations")[1]["migrations"], [])
        equal(stage.world.complaints(), [])


def a_migration_is_planned_as_asked():
    with Stage() as stage:
        asked = []
        stage.world.sm.plan_asked = asked.append
        status, out, err = tether(stage, "migrate", "--order", "consistent", "--reach", "minimum", "--json", "vm1", "hyp2")
        equal((status, json.loads(out)["order"], json.loads(out)["reach"]), (0, "consistent", "minimum"), err)
        equal([(r["order"], r["reach"]) for r in asked], [("consistent", "minimum")])
        refused(stage, "bad-request", "migrate", "vm1", "hyp3", "--order", "slow", ends=2)
        asked.clear()
        # Planned anew after a restart, too.
        stage.smd.stop()
        stage.smd.start(TETHER_DIE_AT="smd-asked:moving:1")
        stage.smd.hosts_here(3)
        wait_until("the SM is here", lambda: stage.smd.get("/v1/health")[1]["sm_connected"])
        tether(stage, "migrate", "--order", "drop-first", "vm1", "hyp3")
        stage.smd.wait()
        stage.world.fault("sm", "apply", "stale-plan")
        stage.smd.start()
        equal(stage.smd.wait_for(2)["outcome"], "done")
        equal([r["order"] for r in asked], ["drop-first", "drop-first"])


def what_cannot_be_planned_is_refused_by_name():
    with Stage() as stage:
        refused(stage, "unknown-vm", "plan", "vm9", "hyp2")
        refused(stage, "unknown-host", "plan", "vm1", "hyp9")
        refused(stage, "same-host", "plan", "vm1", "hyp1")
        refused(stage, "bad-request", "plan", "vm1", "hyp2", "--order", "slow", ends=2)
        stage.world.fault("sm", "plan", "sl-by-path")
        refused(stage, "sl-by-path", "plan", "vm1", "hyp2")
        for body in ("", "[]", '{"vm":"vm1"}', '{"vm":"vm1","to":7}', '{"vm":"vm1","to":"hyp2","force":"x"}'):
            equal(stage.smd.ask("POST", "/v1/plan", body)[0], 400, body)
        for query in ("", "?vm=vm1", "?vm=vm1&to=hyp2&order=", "?vm=vm1&to=hyp2&x=1"):
            equal(stage.smd.get("/v1/plan" + query)[0], 400, query)
        stage.world.sm.stop()
        wait_until("the SM is away", lambda: not stage.smd.get("/v1/health")[1]["sm_connected"])
        refused(stage, "sm-not-connected", "plan", "vm1", "hyp2")
    with Stage(fabric="none") as stage:
        refused(stage, "no-fabric", "plan", "vm1", "hyp2")


def who_asks_for_a_plan_is_answered_though_the_sm_is_not():
    with Stage(plan_ms=200) as stage:
        stage.world.fault("sm", "plan", "silent")
        refused(stage, "sm-not-connected", "plan", "vm1", "hyp2")
        stage.world.fault("sm", "plan", lambda: stage.world.sm.stop() or "silent")
        refused(stage, "sm-not-connected", "plan", "vm1", "hyp2")
        stage.world.sm.start()
        wait_until("the SM is back", lambda: stage.smd.get("/v1/plan?vm=vm1&to=hyp2")[0] == 200)
        # Whoever does not wait for the answer harms nobody.
        stage.world.fault("sm", "plan", "silent")
        equal(stage.smd.raw(b"GET /v1/plan?vm=vm1&to=hyp2 HTTP/1.1\r\nHost: x\r\n\r\n")[:12] in (b"", b"HTTP/1.1 503"), True)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def abort_ends_what_is_under_way():
    with Stage() as stage:
        done = []
        stage.world.fault("vm2/21.147", "STEP_STOP", lambda: done.append(tether(stage, "abort", "1", "--no-wait")[0]))
        equal(tether(stage, "migrate", "vm1", "hyp2")[0], 1)
        equal(done, [0])
        equal(stage.smd.get("/v1/migrations/1")[1]["outcome"], "aborted")
        refused(stage, "ended", "abort", "1")


def lists_say_what_there_is():
    with Stage() as stage:
        status, out, _ = tether(stage, "vms")
        equal((status, [line.split() for line in out.splitlines()[1:]]),
              (0, [["vm1", "hyp1", "hyp1-vf0", "yes", "present"], ["vm2", "hyp3", "hyp3-vf0", "yes", "present"]]))
        hosts = json.loads(tether(stage, "hosts", "--json")[1])["hypervisors"]
        equal(sorted(h["name"] for h in hosts), ["hyp1", "hyp2", "hyp3"])
        equal({len(h["slots"]) for h in hosts}, {2})
        stage.world.hosts["hyp3"].stop()
        wait_until("hyp3 is away", lambda: "no" in tether(stage, "vms")[1])


def agents_are_asked_how_they_are():
    with Stage() as stage:
        status, out, err = tether(stage, "agents")
        equal((status, err), (0, ""))
        rows = [line.split() for line in out.splitlines()]
        equal(rows[0], ["AGENT", "ROLE", "VERSION", "VMS", "PROCESSES", "LAG"])
        equal([row[:5] + row[6:] for row in rows[1:]], [["hyp1", "host", "0.1", "1", "2", "ms"], ["hyp2", "host", "0.1", "0", "0", "ms"],
                                                      ["hyp3", "host", "0.1", "1", "2", "ms"]])
        equal([float(row[5]) > 0 for row in rows[1:]], [True] * 3)
        said = json.loads(tether(stage, "agents", "--json")[1])
        first = said["agents"][0]
        equal((first["vms"], first["counters"], first["answered"]), ([{"name": "vm1", "processes": 2}], {"events": 7}, True))
        equal(said["epoch"], stage.smd.get("/v1/health")[1]["epoch"])


def an_agent_that_is_away_or_silent_is_listed_so():
    with Stage(report_ms=3000) as stage:
        equal([agent["answered"] for agent in stage.smd.get("/v1/agents")[1]["agents"]], [True] * 3)
        stage.world.hosts["hyp1"].stop()
        wait_until("hyp1 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 2)
        stage.world.fault("hyp2", "report", "silent")
        status, out, _ = tether(stage, "agents")
        rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
        equal((status, rows["hyp1"], rows["hyp2"]), (0, ["host", "0.1", "1", "2", "away"], ["host", "0.1", "0", "0", "silent"]))
        equal(rows["hyp3"][-1], "ms")
        # What comes too late is nobody's, and the next round is not mistaken for it.
        equal([agent["answered"] for agent in stage.smd.get("/v1/agents")[1]["agents"]], [False, True, True])


def who_asks_for_agents_at_once_hears_the_same():
    with Stage(report_ms=3000) as stage:
        asked = threading.Event()
        stage.world.fault("hyp2", "report", lambda: asked.set() or "silent")
        heard = []
        askers = [threading.Thread(target=lambda: heard.append(stage.smd.get("/v1/agents")[1])) for _ in range(3)]
        for asker in askers:
            asker.start()
        # One that leaves while it waits is nobody's trouble.
        equal(stage.smd.raw(b"GET /v1/agents HTTP/1.1\r\nHost: x\r\n\r\n")[:12] in (b"", b"HTTP/1.1 200"), True)
        equal(asked.wait(20), True)
        for asker in askers:
            asker.join()
        equal(len(heard), 3)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def an_agent_reports_for_nobody_else():
    with Stage(report_ms=3000) as stage:
        stage.world.hosts["hyp2"].reports = {"name": "hyp3", "version": "of hyp2"}
        agents = {agent["name"]: agent for agent in stage.smd.get("/v1/agents")[1]["agents"]}
        equal((agents["hyp3"]["version"], agents["hyp2"]["answered"]), ("0.1", False))


def evacuations_are_listed_and_shown():
    with Stage() as stage:
        equal(len(tether(stage, "evacuations")[1].splitlines()), 1, "none yet")
        equal(tether(stage, "evacuate", "hyp1")[0], 0)
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        equal(tether(stage, "evacuate", "hyp3")[0], 1)
        status, out, err = tether(stage, "evacuations")
        equal((status, err, [line.split() for line in out.splitlines()[1:]]),
              (0, "", [["2", "hyp3", "1", "0", "0", "0", "1", "0", "incomplete"], ["1", "hyp1", "1", "1", "0", "0", "0", "0", "done"]]))
        status, out, err = tether(stage, "evacuations", "2")
        equal((status, err, out.splitlines()[0]), (0, "", "evacuation 2 of hyp3: incomplete"))
        equal(out.split()[5:10], ["vm2", "failed", "migration", "2", "test-refuse:"], out)
        equal(json.loads(tether(stage, "evacuations", "1", "--json")[1]), stage.smd.get("/v1/evacuations/1")[1])
        refused(stage, "unknown-evacuation", "evacuations", "9")
        equal(tether(stage, "evacuations", "x")[0], 2)


def wrong_usage_is_status_2():
    with Stage() as stage:
        for words in ([], ["fly"], ["migrate"], ["migrate", "vm1"], ["migrate", "a", "b", "c"], ["abort"], ["abort", "x"],
                      ["status", "-1"], ["vms", "--force"], ["run"], ["status", "1x"], ["migrate", "a", "b", "--colour"]):
            status, out, err = tether(stage, *words)
            equal((status, out), (2, ""), f"{words}")
            equal(len(err) > 20, True, f"{words} says how")
        for words in (["--help"], ["migrate", "--help"], ["run", "--help"]):
            status, out, err = tether(stage, *words)
            equal((status, err, "usage: tether" in out), (0, "", True), f"{words}")


def every_program_says_which_version_it_is():
    said = [subprocess.run([f"{BUILD}/bin/{name}", "--version"], capture_output=True, text=True, timeout=20)
            for name in ("tether", "tether-smd", "tether-fabric", "tether-agent")]
    equal([done.returncode for done in said], [0] * 4, said)
    words = [done.stdout.split(",")[0].split() for done in said]
    equal([name for name, _ in words], ["tether", "tether-smd", "tether-fabric", "tether-agent"])
    equal(len({version for _, version in words}), 1, words)


def no_daemon_is_said_plainly():
    done = subprocess.run([TETHER, "status"], capture_output=True, text=True, timeout=20,
                          env={**os.environ, "TETHER_API": "/nonexistent/api.sock"})
    equal(done.returncode, 1)
    equal("no answer from tether-smd at /nonexistent/api.sock" in done.stderr, True, done.stderr)


def a_daemon_that_dies_meanwhile_is_said_plainly():
    with Stage(env={"TETHER_DIE_AT": "smd-ask:moving:1"}) as stage:
        status, _, err = tether(stage, "migrate", "vm1", "hyp2")
        equal(status, 3)
        equal("how migration 1 ends is not known here" in err and "see tether status 1" in err, True, err)
        stage.smd.wait()
        stage.smd.start()
        equal(stage.smd.wait_for(1)["outcome"], "done")


def who_waits_for_a_daemon_that_is_ended_hears_the_end():
    with Stage() as stage:
        stage.world.fault("hyp1", "HOST_MOVE", stage.smd.child.terminate)
        status, out, err = tether(stage, "migrate", "vm1", "hyp2")
        equal((status, out.startswith("migration 1: done: vm1 from hyp1 to hyp2, ")), (0, True), err)
        equal(stage.smd.wait(), 0)
        stage.smd.start()


def a_daemon_that_dies_before_it_says_that_it_has_begun_is_said_plainly():
    with Stage(env={"TETHER_DIE_AT": "smd-ask:locating:1"}) as stage:
        status, _, err = tether(stage, "migrate", "vm1", "hyp2")
        equal((status, "whether the migration has begun is not known; see tether status" in err), (3, True), err)
        stage.smd.wait()
        stage.smd.start()
        equal(stage.smd.wait_for(1)["outcome"], "aborted")


def run_puts_libtether_before_what_is_preloaded():
    with tempfile.TemporaryDirectory() as directory:
        # A copy beside an empty library, so that what is preloaded does nothing.
        os.makedirs(f"{directory}/bin")
        os.makedirs(f"{directory}/lib")
        with open(TETHER, "rb") as original, open(f"{directory}/bin/tether", "wb") as copy:
            copy.write(original.read())
        os.chmod(f"{directory}/bin/tether", 0o755)
        subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", f"{directory}/lib/libtether.so"], check=True)
        env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "TETHER_AGENT")}
        command = [f"{directory}/bin/tether", "run", "--", "sh", "-c", 'echo "$LD_PRELOAD $TETHER_AGENT $1"', "x", "--json"]

        def out(**more):
            return subprocess.run(command, capture_output=True, text=True, env={**env, **more}, check=True).stdout.split()

        library = os.path.realpath(f"{directory}/lib/libtether.so")
        equal(out(), [library, "unix:/run/tether/agent.sock", "--json"])
        equal(out(LD_PRELOAD="libm.so.6", TETHER_AGENT="unix:/x"), [f"{library}:libm.so.6", "unix:/x", "--json"])
        done = subprocess.run([f"{directory}/bin/tether", "run", "--", "/nonexistent"], capture_output=True, env=env)
        equal(done.returncode, 1)


def post(body, length=None):
    return (b"POST /v1/migrations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
            + str(len(body) if length is None else length).encode() + b"\r\n\r\n" + body)


def bad_input_to_the_api_is_refused_and_harms_nobody():
    with Stage() as stage:
        for body in (b"", b"{", b"[]", b'{"vm":"vm1"}', b'{"vm":1,"to":2}', b"\xff" * 100, b"[" * 5000, b"{}" * 100):
            equal(stage.smd.raw(post(body)).split(b" ")[1], b"400", repr(body[:20]))
        equal(stage.smd.raw(post(b"x" * 100000, 100000)).startswith(b"HTTP/1.1 2"), False, "a body of 100,000 bytes is taken")
        equal(stage.smd.ask("GET", "/v1/nothing")[0], 404)
        equal(stage.smd.ask("POST", "/v1/hypervisors", "")[0], 404)
        equal(stage.smd.ask("GET", "/v1/migrations/1?wait=nonsense")[0], 400)
        equal(stage.smd.ask("GET", "/v1/migrations/1?seen=-1")[0], 400)
        equal(stage.smd.ask("GET", "/v1/migrations/99999999999999999999")[0], 404)
        equal(b" 200 " in stage.smd.raw(b"DELETE /v1/vms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), False)
        noise = random.Random(7)
        for _ in range(200):
            stage.smd.raw(noise.randbytes(noise.randrange(1, 400)))
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def noise_on_the_agents_socket_harms_nobody():
    with Stage() as stage:
        noise = random.Random(7)
        for i in range(200):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(os.path.join(stage.temporary.name, "agents.sock"))
                data = noise.randbytes(noise.randrange(1, 400))
                sock.sendall(data if i % 2 else len(data).to_bytes(4, "big") + data)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def noise_from_the_sm_is_a_lost_link():
    with Stage() as stage:
        # A link stands before the SM has accepted it; it is down before the log says so.
        wait_until("the SM has accepted the link", lambda: stage.world.sm.connections)
        with stage.world.lock:
            for sock in stage.world.sm.connections:
                sock.sendall(b'{"id":"x"}\n')
        wait_until("the link stands again", lambda: "not an answer" in stage.smd.log()
                   and stage.smd.get("/v1/health")[1]["sm_connected"])
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def without_descriptors_accepting_pauses_and_goes_on():
    with Stage() as stage:
        child = stage.smd.child.pid
        # Held, so that no other descriptor is freed while there are none left.
        held = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        before = resource.prlimit(child, resource.RLIMIT_NOFILE)
        resource.prlimit(child, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{child}/fd")), before[1]))
        for sock, path in zip(held, (stage.smd.api_path, os.path.join(stage.temporary.name, "agents.sock"))):
            sock.connect(path)
        for what in ("no agent can be accepted", "nobody can be accepted"):
            wait_until(what, lambda what=what: f"{what}, accepting pauses: Too many open files" in stage.smd.log())
        resource.prlimit(child, resource.RLIMIT_NOFILE, before)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        for sock in held:
            sock.close()


def strangers_are_not_served():
    if os.geteuid():
        raise Skipped("only root can pass for another user")
    with Stage() as stage:
        # The mode of the socket keeps them out already; whoever opens it up has the second guard.
        os.chmod(stage.temporary.name, 0o755)
        os.chmod(stage.smd.api_path, 0o666)
        child = os.fork()
        if not child:
            status = 0
            try:
                os.setuid(65534)
                status = stage.smd.get("/v1/vms")[0]
            finally:
                os._exit(0 if status == 403 else 1)
        equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "status 403")


def two_daemons_do_not_share_a_journal():
    with Stage() as stage:
        config = os.path.join(stage.temporary.name, "second.conf")
        with open(stage.smd.config) as first, open(config, "w") as second:
            second.write(first.read().replace("api.sock", "api2.sock").replace("agents.sock", "agents2.sock")
                         .replace("smd.log", "smd2.log"))
        done = subprocess.run([f"{BUILD}/bin/tether-smd", "--config", config], timeout=20, stderr=subprocess.PIPE, text=True)
        equal((done.returncode, "smd2.log says why" in done.stderr), (1, True), "whoever starts it by hand hears it")
        with open(os.path.join(stage.temporary.name, "smd2.log")) as log:
            equal("belongs to another tether-smd" in log.read(), True)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")


def a_foreign_journal_is_refused():
    with tempfile.TemporaryDirectory(prefix="smd.") as directory:
        smd = Smd(directory)
        with open(smd.journal, "w") as journal:
            journal.write("somebody's letters\n")
        done = subprocess.run([f"{BUILD}/bin/tether-smd", "--config", smd.config], timeout=20)
        equal(done.returncode, 1)
        equal("is not a journal" in smd.log(), True)
        with open(smd.journal) as journal:
            equal(journal.read(), "somebody's letters\n")


def a_damaged_journal_is_refused_and_left_as_it_is():
    with tempfile.TemporaryDirectory(prefix="smd.") as directory:
        smd = Smd(directory)
        smd.start()
        equal(smd.stop(), 0)
        with open(smd.journal, "r+b") as journal:
            page = journal.read().index(b"CREATE TABLE states")
            journal.seek(page)
            journal.write(b"D")
        with open(smd.journal, "rb") as journal:
            damaged = journal.read()
        done = subprocess.run([f"{BUILD}/bin/tether-smd", "--config", smd.config], timeout=20)
        equal(done.returncode, 1)
        equal(f"{smd.journal} is damaged" in smd.log(), True, smd.log())
        with open(smd.journal, "rb") as journal:
            equal(journal.read() == damaged, True)


def the_examples_of_the_man_page_say_what_they_promise():
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "sm-side", "tether-smd.8")
    with open(page) as text:
        examples = re.findall(r'^sqlite3 \\-readonly \S+ "(.*)"$', text.read(), re.MULTILINE)
    with Stage() as stage:
        stage.world.fault("vm2/21.147", "STEP_SETTLE", "fail")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "aborted")
        rows = {}
        for example in examples:
            view = re.search(r"FROM (\w+)", example).group(1)
            rows[view] = ask(stage.smd.journal, example.replace("= 7", "= 1"))
        equal(sorted(rows), ["findings", "history", "plan_entries", "steps", "under_way"])
        equal([row[2:7] for row in rows["history"]], [("vm1", "hyp1", "hyp2", "aborted", "aborted")])
        equal(rows["history"][0][-1], "swap")
        equal(rows["under_way"], [])
        equal([row[0] for row in rows["steps"]][:4], ["locating", "preparing", "stopping", "settling"])
        equal(len(rows["findings"]) > 0, True)
        # What the fake SM plans.
        entries = [row[1:] for row in rows["plan_entries"]]
        equal((len(entries), entries[0], entries[-1]),
              (320, ("0x0000000000000100", 0, 255, 1), ("0x0000000000000101", 63, 255, 1)))


def check_config_says_what_is_wrong():
    with tempfile.TemporaryDirectory(prefix="smd.") as directory:
        smd = Smd(directory)
        command = [f"{BUILD}/bin/tether-smd", "--check-config", "--config", smd.config]
        equal(subprocess.run(command, timeout=20).returncode, 0)
        with open(smd.config, "a") as config:
            config.write("stpo_ms = 5\n")
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        equal((done.returncode, "stpo_ms" in done.stderr), (1, True), done.stderr)
        equal(os.path.exists(smd.journal), False)
        equal(subprocess.run(command[:1], capture_output=True).returncode, 2)


run([migrate_shows_each_step_and_its_end, what_cannot_be_done_is_refused_by_name_and_changes_nothing,
     while_one_moves_others_are_refused, a_refused_migration_says_why_and_what_next,
     force_is_advised_where_it_helps_and_lifts_no_veto,
     a_plan_is_shown_and_changes_nothing, a_migration_is_planned_as_asked, what_cannot_be_planned_is_refused_by_name,
     who_asks_for_a_plan_is_answered_though_the_sm_is_not, abort_ends_what_is_under_way,
     lists_say_what_there_is, agents_are_asked_how_they_are, an_agent_that_is_away_or_silent_is_listed_so,
     who_asks_for_agents_at_once_hears_the_same, an_agent_reports_for_nobody_else, evacuations_are_listed_and_shown, wrong_usage_is_status_2, every_program_says_which_version_it_is, no_daemon_is_said_plainly,
     a_daemon_that_dies_meanwhile_is_said_plainly, who_waits_for_a_daemon_that_is_ended_hears_the_end,
     a_daemon_that_dies_before_it_says_that_it_has_begun_is_said_plainly, run_puts_libtether_before_what_is_preloaded,
     bad_input_to_the_api_is_refused_and_harms_nobody, noise_on_the_agents_socket_harms_nobody,
     noise_from_the_sm_is_a_lost_link, without_descriptors_accepting_pauses_and_goes_on, strangers_are_not_served, two_daemons_do_not_share_a_journal,
     a_foreign_journal_is_refused, a_damaged_journal_is_refused_and_left_as_it_is,
     the_examples_of_the_man_page_say_what_they_promise, check_config_says_what_is_wrong])
