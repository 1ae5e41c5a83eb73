#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether as its users meet it: exit statuses, reasons, lists, wrong usage, a tether-smd that is not there."""
import json
import os
import re
import subprocess
import tempfile
import threading

from command import TETHER, refused, tether
from crowd import held_in
from smd import BUILD, Stage, equal, run, wait_until


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


def a_name_that_somebody_sits_on_is_taken_away_by_force():
    with Stage() as stage:
        status, _, err = tether(stage, "release", "vm1")
        equal((status, "vm-not-disputed" in err, "--force" in err), (1, True, True), err)
        equal(tether(stage, "release", "--force", "vm1")[:2], (0, "vm1: is nobody's now\n"))
        equal("vm1" in tether(stage, "vms")[1], False)
        refused(stage, "unknown-vm", "release", "--force", "vm1")


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
            gate.set()

        stage.world.fault("hyp1", "HOST_DETACH", others)
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        equal(gate.is_set(), True)


def one_that_waits_for_another_says_so():
    with Stage() as stage:
        said = []
        number, held = held_in(stage)
        other = threading.Thread(target=lambda: said.append(tether(stage, "migrate", "vm2", "hyp1")))
        other.start()
        wait_until("the second waits", lambda: "waits for migration 1" in tether(stage, "status", "2")[1])
        held.go.set()
        other.join(60)
        status, out, err = said[0]
        equal((status, err.count("waits for migration 1"), "migration 2: done" in out), (0, 1, True), (out, err))
        equal(stage.smd.wait_for(number)["outcome"], "done")


def status_shows_a_migration_live():
    """A step's line begins when the step does, and ends with it."""
    with Stage() as stage:
        number, held = held_in(stage)
        status, out, _ = tether(stage, "status", str(number))
        equal((status, len(re.findall(r" ms  detaching +under way for \d+\.\d s$", out, re.M))), (0, 1), out)
        with subprocess.Popen([TETHER, "--api", stage.smd.api_path, "status", "--follow", str(number)], stdout=subprocess.PIPE) as live:
            said = b""
            while not said.endswith(b" detaching            "):
                more = live.stdout.read1(1)
                equal(len(more), 1, f"more than {said}")
                said += more
            equal(live.poll(), None)
            held.go.set()
            said += live.stdout.read()
            equal(live.wait(60), 0)
        migration = stage.smd.get(f"/v1/migrations/{number}")[1]
        shown = re.findall(r"^ +[0-9.]+ ms  ([a-z-]+) +[0-9.]+ ms  \S", said.decode(), re.M)
        equal(shown, [step["state"] for step in migration["steps"] if "ended_us" in step], said)
        equal(said.decode().splitlines()[-1].startswith(f"migration {number}: done: vm1 from hyp1 to hyp2, "), True, said)


def a_called_one_says_which_report_it_waits_for():
    with Stage() as stage:
        number = stage.smd.migrate("vm1", "hyp2", mode="called")[1]["id"]
        line = 'waits for its orchestrator to report "detached"'
        wait_until("it says so", lambda: line in tether(stage, "status", str(number))[1])
        with subprocess.Popen([TETHER, "--api", stage.smd.api_path, "status", "--follow", str(number)], stdout=subprocess.PIPE, text=True) as live:
            said = []
            while line not in (said or [""])[-1]:
                said.append(live.stdout.readline())
                equal(bool(said[-1]), True, said)
            equal(bool(re.search(r" ms  detaching +under way$", said[-2])), True, said)
            stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": "failed"})
            said += live.stdout.readlines()
            equal(live.wait(60), 1, said)
        equal(len([each for each in said if re.search(r" ms  detaching +[0-9.]+ ms ", each)]), 1, said)


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
                      ["status", "-1"], ["vms", "--force"], ["run"], ["status", "1x"], ["status", "--follow"], ["status", "--follow", "x"], ["abort", "--follow", "1"], ["migrate", "a", "b", "--colour"]):
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


run([migrate_shows_each_step_and_its_end, a_name_that_somebody_sits_on_is_taken_away_by_force, what_cannot_be_done_is_refused_by_name_and_changes_nothing,
     while_one_moves_others_are_refused, one_that_waits_for_another_says_so, status_shows_a_migration_live,
     a_called_one_says_which_report_it_waits_for, a_refused_migration_says_why_and_what_next,
     force_is_advised_where_it_helps_and_lifts_no_veto, abort_ends_what_is_under_way, lists_say_what_there_is,
     evacuations_are_listed_and_shown, wrong_usage_is_status_2, every_program_says_which_version_it_is,
     no_daemon_is_said_plainly, a_daemon_that_dies_meanwhile_is_said_plainly,
     who_waits_for_a_daemon_that_is_ended_hears_the_end, a_daemon_that_dies_before_it_says_that_it_has_begun_is_said_plainly,
     run_puts_libtether_before_what_is_preloaded])
