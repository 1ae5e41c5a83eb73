# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What looks at the programs of a lab while they run, and what it has reported: the sanitizer that they were built with
(TETHER_SANITIZE) or valgrind around the daemons (TETHER_VALGRIND)."""
import os

# Not "possible": a frame that is being handled is known by a pointer into its block alone (notifier/wire/pieces.h), and the child that
# looks after a driver ends while it is. What nobody knows is definitely lost.
LEAKS = "definite,indirect"


class Checker:
    def __init__(self, directory, build):
        """Reports go to files in @directory."""
        self.directory = directory
        self.runtimes = build.sanitizer()
        self.has_valgrind = bool(os.environ.get("TETHER_VALGRIND"))

    @property
    def is_there(self):
        return bool(self.runtimes) or self.has_valgrind

    def options(self, leaks):
        report = f"log_path={os.path.join(self.directory, 'report')}"
        return {"ASAN_OPTIONS": f"detect_leaks={int(leaks)}:{report}", "UBSAN_OPTIONS": f"print_stacktrace=1:{report}",
                "TSAN_OPTIONS": f"halt_on_error=1:{report}"} if self.runtimes else {}

    def environment(self):
        """For programs of this build."""
        return self.options(leaks=True)

    def environment_of_stock_program(self):
        """For a program that loads a library of this build: the runtime must be there first, and has nothing to say on
        the program's own leaks."""
        return {"LD_PRELOAD": " ".join(self.runtimes), **self.options(leaks=False)} if self.runtimes else {}

    def daemon(self, program):
        """How @program is started."""
        if not self.has_valgrind:
            return [program]
        return ["valgrind", "-q", "--leak-check=full", f"--show-leak-kinds={LEAKS}", f"--errors-for-leak-kinds={LEAKS}",
                "--error-exitcode=99", "--child-silent-after-fork=yes",
                f"--log-file={os.path.join(self.directory, 'report')}.%p", program]

    def reports(self):
        """All of it as one text; "" is what a test wants. What valgrind 3.19 says on itself (--PID--), such as that it knows no
        pidfd_open(2), is left out; the agent then learns of a process's end by its connection."""
        names = sorted(name for name in os.listdir(self.directory) if name.startswith("report."))
        lines = [line for name in names for line in open(os.path.join(self.directory, name), errors="replace")]
        return "".join([line for line in lines if not line.startswith("--")] + self.said_aloud())

    def said_aloud(self):
        """What UBSan says beside ASan goes to standard error, whatever log_path says."""
        if not self.runtimes:
            return []
        logs = sorted(name for name in os.listdir(self.directory) if name.endswith(".log"))
        return [f"{name}: {line}" for name in logs for line in open(os.path.join(self.directory, name), errors="replace")
                if ": runtime error: " in line]
