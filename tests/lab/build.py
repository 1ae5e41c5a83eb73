# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Where the products of the build are, and what a process must preload."""
import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Build:
    def __init__(self, directory=None):
        self.directory = os.path.abspath(directory or os.environ.get("TETHER_BUILD") or os.path.join(TOP, "build"))

    def program(self, name):
        return os.path.join(self.directory, "bin", name)

    def library(self, name):
        return os.path.join(self.directory, "lib", name)

    def sanitizer(self):
        """The runtime that must come first in LD_PRELOAD when everything was built with SANITIZE=."""
        asked = os.environ.get("TETHER_SANITIZE", "")
        for name, library in (("address", "libasan.so.8"), ("thread", "libtsan.so.2")):
            if name in asked:
                return [f"/usr/lib/x86_64-linux-gnu/{library}"]
        return []

    def strangers(self):
        """Environment of a program of others that loads a library of this build: the runtime comes first, and has nothing to
        say on their leaks."""
        runtime = self.sanitizer()
        return {"LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0"} if runtime else {}

    def preload(self, tether):
        """libtether above libsimfabric: the shim must find the simulated verbs where it looks for real ones."""
        libraries = self.sanitizer()
        if tether:
            libraries.append(self.library("libtether.so"))
        return " ".join(libraries + [self.library("libsimfabric.so")])
