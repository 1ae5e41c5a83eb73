#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd as whoever runs it meets it: --check-config, SIGHUP, the service manager, Prometheus, the log."""
import os
import re
import signal
import socket
import subprocess
import tempfile

from smd import BUILD, Smd, Stage, equal, run, wait_until

from lab.metrics import Metrics
from lab.service_manager import ServiceManager


def settings(smd, text=None):
    """The settings file, or another one."""
    if text is not None:
        with open(smd.config, "w") as config:
            config.write(text)
    with open(smd.config) as config:
        return config.read()


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


def check_config_says_the_line_what_is_wrong_and_what_to_do():
    with tempfile.TemporaryDirectory(prefix="smd.") as directory:
        smd = Smd(directory)
        good = settings(smd)
        end = good.count("\n") + 1
        line = {text.split()[0]: number for number, text in enumerate(good.splitlines(), 1)}

        def check(text):
            settings(smd, text)
            done = subprocess.run([f"{BUILD}/bin/tether-smd", "--check-config", "--config", smd.config], capture_output=True,
                                  text=True, timeout=20)
            return done.returncode, done.stderr.replace(directory + "/", "").strip()

        def replaced(key, value):
            return re.sub(f"^{key} = .*$", f"{key} = {value}", good, flags=re.M)

        equal(check(good), (0, ""))
        for text, said in (
                (good + "stpo_ms = 5\n", f'smd.conf:{end}: unknown key "stpo_ms": is "stop_ms" meant?'),
                (good + "colour = 5\n", f'smd.conf:{end}: unknown key "colour": take it out; tether-smd(8) has those that there are'),
                (good + "stop_ms = soon\n",
                 f'smd.conf:{end}: bad value for "stop_ms": it has to be a number of milliseconds from 1 to 3600000'),
                (replaced("listen", "tcp:1"), f'smd.conf:{line["listen"]}: bad value for "listen": it has to be where agents connect: '
                 'unix:/PATH, tls:ADDRESS:PORT, or several with blanks between them'),
                (replaced("fabric", "maybe"), f'smd.conf:{line["fabric"]}: bad value for "fabric": it has to be opensm or none'),
                (replaced("listen", "tls:127.0.0.1:1"), f'smd.conf:{line["listen"]}: listen: it is at tls:, but "tls_ca" is not said: '
                 'add a line "tls_ca = ...": a file in PEM, as tether cert makes it'),
                (good + "lease_ms = 7\n", f'smd.conf:{end}: lease_ms: lease_ms (7) has to be longer than stop_ms (5000)'),
                (good + "sm_lease_ms = 10001\n", f'smd.conf:{end}: sm_lease_ms: sm_lease_ms (10001) is longer than the plugin holds '
                 'sweeps off (10000)'),
                (replaced("journal", "none/journal"), f'smd.conf:{line["journal"]}: journal: none is not there: make it, or have the '
                 'service manager make it'),
                (replaced("api", "smd.conf/api"), f'smd.conf:{line["api"]}: api: smd.conf is no directory: name another'),
                (replaced("listen", "unix:agents.sock unix:none/a"), f'smd.conf:{line["listen"]}: listen: none is not there: make it, '
                 'or have the service manager make it'),
                (good + "metrics = 0.0.0.0:9710\n", f'smd.conf:{end}: bad value for "metrics": it has to be none, 127.0.0.1:PORT, '
                 '[::1]:PORT or unix:/PATH: only this machine may ask')):
            equal(check(text), (1, f"tether-smd: {said}"))
        # Certificates are looked into.
        tls = replaced("listen", "tls:127.0.0.1:1") + "tls_ca = ca.crt\ntls_certificate = sm-smd.crt\ntls_key = sm-smd.key\n"
        status, said = check(tls)
        equal((status, said.startswith(f"tether-smd: smd.conf:{end + 1}: tls_certificate: ")), (1, True), said)
        subprocess.run([f"{BUILD}/bin/tether", "cert", "ca", directory, "--issue", "sm/smd"], check=True, stdout=subprocess.DEVNULL)
        equal(check(tls), (0, ""))
        equal(sorted(name for name in os.listdir(directory) if name.endswith((".sock", "journal"))), [])


def settings_are_read_again_at_sighup():
    with Stage(report_ms=3600000) as stage:
        smd = stage.smd
        log = os.path.join(smd.directory, "smd.log")
        good = settings(smd)
        # The log goes on in a new file where the old one was moved away.
        os.rename(log, log + ".1")
        settings(smd, good.replace("report_ms = 3600000", "report_ms = 3000"))
        smd.child.send_signal(signal.SIGHUP)
        wait_until("there is a log again", lambda: os.path.exists(log))
        smd.child.send_signal(signal.SIGHUP)
        wait_until("it has read them", lambda: "settings read again" in smd.log())
        # Nobody waits for an hour.
        stage.world.fault("hyp2", "report", "silent")
        equal([agent["answered"] for agent in smd.get("/v1/agents")[1]["agents"]], [True, False, True])
        settings(smd, good + "nonsense = 1\n")
        smd.child.send_signal(signal.SIGHUP)
        wait_until("it has said that it keeps the old ones",
                   lambda: f'settings are kept: {smd.config}:{good.count(chr(10)) + 1}: unknown key "nonsense"' in smd.log())
        equal(smd.move("vm1", "hyp2")["outcome"], "done")


def service_manager_is_told():
    with tempfile.TemporaryDirectory(prefix="notify.") as directory, ServiceManager(f"{directory}/notify") as manager:
        with Stage(env={"NOTIFY_SOCKET": f"{directory}/notify", "WATCHDOG_USEC": "20000"}) as stage:
            equal("agents at unix:" in manager.told("STATUS="), True)
            manager.told("READY=1")
            manager.told("WATCHDOG=1")
            stage.smd.child.send_signal(signal.SIGHUP)
            equal("MONOTONIC_USEC=" in manager.told("RELOADING=1"), True)
            manager.told("READY=1")
        manager.told("STOPPING=1")


def prometheus_is_told():
    with Stage(metrics="unix:metrics.sock") as stage:
        metrics = Metrics(f"unix:{stage.temporary.name}/metrics.sock")
        before = metrics.values()
        equal({name: value for name, value in before.items() if "host" in name},
              {**{f'tether_smd_host_connected{{host="hyp{n}"}}': 1 for n in (1, 2, 3)},
               **{f'tether_smd_host_vms{{host="hyp{n}"}}': vms for n, vms in ((1, 1), (2, 0), (3, 1))}})
        equal((before["tether_smd_sm_connected"], before["tether_smd_migrations_open"]), (1, 0))
        equal(before["tether_smd_epoch"], stage.smd.get("/v1/health")[1]["epoch"])
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        equal(stage.smd.move("vm1", "hyp1")["outcome"], "refused")
        stage.world.hosts["hyp3"].stop()
        wait_until("hyp3 is away", lambda: stage.smd.get("/v1/health")[1]["hypervisors"] == 2)
        after = metrics.values()
        equal({name: after[name] - before[name] for name in after if "ended" in name and after[name] != before[name]},
              {'tether_smd_migrations_ended_total{outcome="done"}': 1, 'tether_smd_migrations_ended_total{outcome="refused"}': 1})
        equal(after['tether_smd_host_connected{host="hyp3"}'], 0)
        equal(after["tether_smd_events_total"] > before["tether_smd_events_total"], True)
        equal(metrics.ask("GET /v1/health")[0], 404)


def a_port_that_is_taken_is_said():
    with tempfile.TemporaryDirectory(prefix="smd.") as directory, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        smd = Smd(directory, "none", metrics=f"127.0.0.1:{port}")
        done = subprocess.run([f"{BUILD}/bin/tether-smd", "--config", smd.config], capture_output=True, timeout=20)
        equal(done.returncode, 1)
        equal(f"metrics at 127.0.0.1:{port}: Address already in use" in smd.log(), True, smd.log())


def each_line_of_a_migration_names_it_and_its_epoch():
    with Stage() as stage:
        before = len(stage.smd.log().splitlines())
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        equal(stage.smd.move("vm1", "hyp1")["outcome"], "refused")
        lines = [text.split(" ", 4) for text in stage.smd.log().splitlines()[before:]]
        about = [text for _, _, level, subsystem, text in lines if subsystem == "migration:"]
        equal(len(about) > 20, True, about)
        equal([text for text in about if not re.match(r"[12]/[1-9][0-9]* ", text)], [])


run([check_config_says_what_is_wrong, check_config_says_the_line_what_is_wrong_and_what_to_do, settings_are_read_again_at_sighup,
     service_manager_is_told, prometheus_is_told, a_port_that_is_taken_is_said, each_line_of_a_migration_names_it_and_its_epoch])
