#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""make install: what lies where; the installed command finds the installed library; every page renders without a
warning."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.tap import Tap  # noqa: E402

LIBDIR = "usr/lib/x86_64-linux-gnu"
PAGES = ["man1/tether.1", "man5/tether.conf.5", "man7/libtether.7", "man8/tether-agent.8", "man8/tether-fabric.8",
         "man8/tether-smd.8"]
INSTALLED = {
    "usr/bin/tether": 0o755,
    "usr/sbin/tether-agent": 0o755,
    "usr/sbin/tether-fabric": 0o755,
    "usr/sbin/tether-smd": 0o755,
    f"{LIBDIR}/tether/libtether.so": 0o644,
    f"{LIBDIR}/libosmtether.so": 0o644,
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
        for page in PAGES:
            tap.run(f"page_renders: {page}", page_renders, f"{root}/one", page)
        tap.run("another_prefix_works_too", another_prefix_works_too, f"{root}/two")
    tap.exit()


main()
