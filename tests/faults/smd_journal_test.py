#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The journal of tether-smd: nobody else's, whole or not taken, read as its man page says."""
import os
import re
import subprocess
import tempfile

from smd import BUILD, Smd, Stage, equal, run

from lab.journal import ask


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
        equal(sorted(rows), ["findings", "gids", "history", "plan_entries", "steps", "under_way"])
        equal(rows["gids"], [(0,)], "what the schema before has not")
        equal([row[2:7] for row in rows["history"]], [("vm1", "hyp1", "hyp2", "aborted", "aborted")])
        equal(rows["history"][0][-1], "swap")
        equal(rows["under_way"], [])
        equal([row[0] for row in rows["steps"]][:4], ["locating", "preparing", "stopping", "settling"])
        equal(len(rows["findings"]) > 0, True)
        # What the fake SM plans.
        entries = [row[1:] for row in rows["plan_entries"]]
        equal((len(entries), entries[0], entries[-1]),
              (320, ("0x0000000000000100", 0, 255, 1), ("0x0000000000000101", 63, 255, 1)))


run([two_daemons_do_not_share_a_journal, a_foreign_journal_is_refused, a_damaged_journal_is_refused_and_left_as_it_is,
     the_examples_of_the_man_page_say_what_they_promise])
