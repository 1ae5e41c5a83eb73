#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The software HCA, built with a sanitizer, through all that the tests of verbs beside Debian's programs do to it. The
sanitizer must have nothing to report."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.build import TOP, Build  # noqa: E402
from lab.deadline import tail  # noqa: E402
from lab.tap import Tap  # noqa: E402

TESTS = ["verbs_errors_test.py", "verbs_deaths_test.py", "verbs_objects_test.py", "verbs_events_test.py",
         "verbs_datagram_test.py", "verbs_names_test.py"]
END_S = 800


def run(tap, name, directory):
    where = f"log_path={os.path.join(directory, name)}"
    # Its runtime comes first in every program of the test; Debian's programs leak.
    env = {**os.environ, "LD_PRELOAD": " ".join(Build().sanitizer()), "ASAN_OPTIONS": f"detect_leaks=0:{where}",
           "UBSAN_OPTIONS": f"print_stacktrace=1:{where}", "TSAN_OPTIONS": where}
    done = subprocess.run([os.path.join(TOP, "tests", "simfabric", name)], env=env, capture_output=True, text=True,
                          timeout=END_S)
    tap.check(done.returncode == 0, f"{name}_passes", done.stdout + done.stderr)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as directory:
        for name in TESTS:
            run(tap, name, directory)
        reports = [os.path.join(directory, report) for report in os.listdir(directory)]
        tap.check(not reports, "the_sanitizer_has_nothing_to_report", "\n".join(map(tail, reports[:3])))
    tap.exit()


main()
