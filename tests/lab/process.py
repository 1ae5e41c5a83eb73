# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""One child process with its log, and the set of them that is taken down together."""
import ctypes
import os
import signal
import subprocess

from lab.deadline import Late, tail

PR_SET_PDEATHSIG = 1
# A program behind it has a PID namespace and a /proc of its own, as in a container. The root of a chroot is no mount, of which
# the propagation could be changed.
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--propagation", "unchanged", "--mount-proc"]
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _die_with_parent():
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """Runs in a session of its own; output and errors go to one log file, output alone to stdout_path where given."""

    def __init__(self, name, argv, log, env=None, stdout_path=None):
        self.name = name
        self.argv = argv
        self.log = log
        self.stdout_path = stdout_path or log
        with open(log, "ab") as errors, open(self.stdout_path, "ab") as output:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=env,
                                          start_new_session=True, preexec_fn=_die_with_parent)
        self.pid = self.child.pid

    def poll(self):
        return self.child.poll()

    def wait(self, seconds):
        """The exit status; Late with the log's end after @seconds."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"{self.name} ({' '.join(self.argv)}) has not ended within {seconds} s\n{tail(self.log)}") from None

    def signal(self, number):
        """Somebody else may be waiting for its end at the same time."""
        self.child.send_signal(number)

    def kill(self):
        """Also whatever it has started."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def output(self):
        with open(self.stdout_path, errors="replace") as output:
            return output.read()


class Children:
    """All processes of a lab, in the order of their start."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []

    def start(self, name, argv, env=None, separate_output=False):
        """@name names the log; a name used before gets a number."""
        used = sum(p.name.split("#")[0] == name for p in self.processes)
        name = f"{name}#{used + 1}" if used else name
        log = os.path.join(self.directory, f"{name}.log")
        stdout_path = os.path.join(self.directory, f"{name}.out") if separate_output else None
        process = Process(name, argv, log, env, stdout_path)
        self.processes.append(process)
        return process

    def logs(self):
        return list(dict.fromkeys(path for p in self.processes for path in (p.log, p.stdout_path)))

    def take_down(self, grace_s=3):
        """Politely and in reverse, then not."""
        for process in reversed(self.processes):
            process.signal(signal.SIGTERM)
            try:
                process.child.wait(grace_s)
            except subprocess.TimeoutExpired:
                grace_s = 0.1
        for process in self.processes:
            process.kill()
