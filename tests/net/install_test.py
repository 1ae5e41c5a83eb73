#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make install: what lies where; the installed command finds the installed library; units and samples of settings fit;
every page renders without a warning."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.tap import Tap  # noqa: E402

LIBDIR = "usr/lib/x86_64-linux-gnu"
PAGES = ["man1/tether.1", "man5/tether-qmp.conf.5", "man5/tether.conf.5", "man7/libtether.7", "man8/tether-agent.8",
         "man8/tether-fabric.8", "man8/tether-smd.8"]
INSTALLED = {
    "usr/bin/tether": 0o755,
    "usr/sbin/tether-agent": 0o755,
    "usr/sbin/tether-fabric": 0o755,
    "usr/sbin/tether-smd": 0o755,
    f"{LIBDIR}/tether/libtether.so": 0o644,
    f"{LIBDIR}/tether/libvirt-hook": 0o755,
    f"{LIBDIR}/libosmtether.so": 0o644,
    "usr/share/doc/tether/agent.conf": 0o644,
    "usr/share/doc/tether/guest.conf": 0o644,
    "usr/share/doc/tether/libvirt-hook.conf": 0o644,
    "usr/share/doc/tether/relay.conf": 0o644,
    "usr/share/doc/tether/smd.conf": 0o644,
    "usr/lib/systemd/system/tether-agent.service": 0o644,
    "usr/lib/systemd/system/tether-smd.service": 0o644,
    **{f"usr/share/man/{page}": 0o644 for page in PAGES},
}
# Settings of the make that runs this test are not for the one that it runs.
NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LD_PRELOAD")
END_S = 300


def environment():
    return {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}


def install(root, *settings):
    subprocess.run(["make", "-C", TOP, f"B={Build().directory}", "install", f"DESTDIR={root}", *settings], check=True,
                   stdout=subprocess.DEVNULL, env=environment(), timeout=END_S)


def files_under(root):
    """{path: mode}"""
    paths = [os.path.join(directory, name) for directory, _, names in os.walk(root) for name in names]
    return {os.path.relpath(path, root): os.stat(path).st_mode & 0o777 for path in paths}


def all_is_there_and_nothing_else(root):
    assert files_under(root) == INSTALLED, files_under(root)


def run_preloads(tether, library):
    said = subprocess.run([tether, "run", "--", "env"], capture_output=True, text=True, check=True, env=environment())
    assert f"LD_PRELOAD={library}" in said.stdout.splitlines(), said.stdout
    assert said.stderr == "", said.stderr


def the_installed_library_is_preloaded(root):
    run_preloads(f"{root}/usr/bin/tether", f"{root}/{LIBDIR}/tether/libtether.so")


def another_prefix_works_too(root):
    install(root, "PREFIX=/opt/tether")
    run_preloads(f"{root}/opt/tether/bin/tether", f"{root}/opt/tether/lib/x86_64-linux-gnu/tether/libtether.so")


def installed_daemons_start(root):
    for name in ("tether-agent", "tether-smd"):
        said = subprocess.run([f"{root}/usr/sbin/{name}", "--help"], capture_output=True, text=True, env=environment())
        assert said.returncode == 0 and name in said.stdout, f"{name}: {said}"


def units_name_what_is_installed(root, prefix):
    """And have systemd wait for the word that a daemon says when it is ready."""
    for name in ("tether-agent", "tether-smd"):
        with open(f"{root}{prefix}/lib/systemd/system/{name}.service") as unit:
            settings = dict(line.split("=", 1) for line in unit.read().splitlines() if "=" in line and not line.startswith("#"))
        program, option, config = settings["ExecStart"].split()
        assert os.access(root + program, os.X_OK), program
        assert program == f"{prefix}/sbin/{name}" and option == "--config" and config.startswith("/etc/tether/"), settings
        assert settings["Type"] == "notify" and settings["ExecReload"].endswith("-HUP $MAINPID"), settings


def samples_are_good_settings(root, directory):
    """As they are, with the site's files beside them: nothing to complain of, and what is commented out is good, too."""
    places = {"/etc/tether": f"{directory}/etc", "/run/tether": f"{directory}/run", "/var/lib/tether": f"{directory}/lib",
              "/usr/lib/tether": f"{directory}/exec"}
    for place in (*places.values(), f"{directory}/run/vms"):
        os.makedirs(place)
    with open(f"{directory}/exec/driver", "w") as driver:
        driver.write("#!/bin/sh\n")
    os.chmod(f"{directory}/exec/driver", 0o755)
    subprocess.run([f"{root}/usr/bin/tether", "cert", "ca", f"{directory}/etc", "--issue", "sm/smd", "--issue", "host/hyp1",
                    "--issue", "relay/rack1"],
                   check=True, stdout=subprocess.DEVNULL)
    for name, program in (("agent", "tether-agent"), ("guest", "tether-agent"), ("relay", "tether-agent"), ("smd", "tether-smd")):
        with open(f"{root}/usr/share/doc/tether/{name}.conf") as sample:
            text = sample.read()
        for there, here in places.items():
            text = text.replace(there, here)
        # Places are said in both, since those that count without a line are not this test's.
        for commented in (rf"^#(?=\w+ = (unix:)?{directory})", r"^#(?=\w+ = )"):
            version = re.sub(commented, "", text, flags=re.M)
            with open(f"{directory}/{name}.conf", "w") as config:
                config.write(version)
            said = subprocess.run([f"{root}/usr/sbin/{program}", "--check-config", "--config", f"{directory}/{name}.conf"],
                                  capture_output=True, text=True, env=environment())
            assert (said.returncode, said.stderr) == (0, ""), said.stderr


def page_renders(root, page):
    said = subprocess.run(["groff", "-mandoc", "-Tutf8", "-ww", "-P-cbu", f"{root}/usr/share/man/{page}"], capture_output=True,
                          text=True, env={**environment(), "LC_ALL": "C.UTF-8"})
    assert said.returncode == 0 and said.stderr == "", said.stderr
    assert "NAME" in said.stdout and len(said.stdout.splitlines()) > 20, said.stdout


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as directory:
        root = os.path.realpath(directory)
        install(f"{root}/one", "PREFIX=/usr")
        tap.run("all_is_there_and_nothing_else", all_is_there_and_nothing_else, f"{root}/one")
        tap.run("the_installed_library_is_preloaded", the_installed_library_is_preloaded, f"{root}/one")
        tap.run("installed_daemons_start", installed_daemons_start, f"{root}/one")
        tap.run("units_name_what_is_installed", units_name_what_is_installed, f"{root}/one", "/usr")
        tap.run("samples_are_good_settings", samples_are_good_settings, f"{root}/one", f"{root}/site")
        for page in PAGES:
            tap.run(f"page_renders: {page}", page_renders, f"{root}/one", page)
        tap.run("another_prefix_works_too", another_prefix_works_too, f"{root}/two")
        tap.run("units_of_another_prefix_name_what_is_installed", units_name_what_is_installed, f"{root}/two", "/opt/tether")
    tap.exit()


main()
