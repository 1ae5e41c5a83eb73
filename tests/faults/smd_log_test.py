#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd's log of one migration, read from top to bottom: what was asked, each state when it is entered, each reason before the
state that it led to, how it ended and what may be done next. Every line has the migration's number."""
import re

from smd import Stage, equal, run, wait_until


def lines_of(stage, number):
    """What the log has of it, without time, process and epoch."""
    return re.findall(rf"tether-smd\S+ \w+ migration: {number}/\d+ (.*)", stage.smd.log())


def states_in(lines):
    return [match[1] for match in map(re.compile(r"vm1 from hyp1 to hyp2: ([a-z-]+) \(").match, lines) if match]


def said_of(stage, number):
    """Its lines; first and last are what was asked and how it ended, and its states stand in the order of its steps."""
    migration, lines = stage.smd.get(f"/v1/migrations/{number}")[1], lines_of(stage, number)
    equal(states_in(lines), [step["state"] for step in migration["steps"]])
    equal(lines[0].startswith("vm1 is to move from hyp1 (hyp1-vf0) to hyp2 (hyp2-vf0)"), True, lines[0])
    equal(re.sub(r"after \d+\.\d ms", "after", lines[-1]).startswith(f"ended {migration['outcome']} after: "), True, lines[-1])
    return lines


def place(lines, start):
    found = [at for at, line in enumerate(lines) if line.startswith(start)]
    equal(len(found), 1, f"lines that begin with {start!r} in {lines}")
    return found[0]


def entered(lines, state):
    return place(lines, f"vm1 from hyp1 to hyp2: {state} (")


def one_that_is_done_says_what_it_took():
    with Stage() as stage:
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "done")
        lines = said_of(stage, 1)
        equal(bool(re.search(r": processes 4, queue pairs \d+, replayed \d+, made up \d+, errors 0, LFT Sets \d+$", lines[-1])), True, lines[-1])


def a_reason_stands_before_the_state_that_it_led_to():
    with Stage() as stage:
        stage.world.fault("vm2/21.147", "STEP_PREPARE", "refuse")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "refused")
        lines = said_of(stage, 1)
        reason = place(lines, "hyp3: test-refuse: as asked")
        equal(entered(lines, "preparing") < reason < entered(lines, "dropping"), True, lines)
        equal(lines[-1].endswith("; nothing was changed; remove the reasons above"), True, lines[-1])


def a_host_that_cannot_is_named_where_the_way_back_begins():
    with Stage() as stage:
        stage.world.fault("hyp1", "HOST_MOVE", "fail")
        equal(stage.smd.move("vm1", "hyp2")["outcome"], "failed-at-source")
        lines = said_of(stage, 1)
        reason = place(lines, "hyp1: ")
        equal(entered(lines, "moving") < reason < entered(lines, "looking"), True, lines)
        equal("the VM goes on at the source" in lines[-1], True, lines[-1])


def aborts_and_reports_are_in_it_taken_or_not():
    with Stage() as stage:
        number = stage.smd.migrate("vm1", "hyp2", mode="called")[1]["id"]

        def say(step):
            return stage.smd.ask("POST", f"/v1/migrations/{number}/steps", {"step": step})[0]

        for step in ("detached", "moved", "attached"):
            wait_until(step, lambda: stage.smd.get(f"/v1/migrations/{number}")[1].get("awaits") == step)
            if step == "moved":
                equal((say("attached"), stage.smd.ask("POST", f"/v1/migrations/{number}/abort")[0]), (409, 409))
            equal(say(step), 202)
        equal(stage.smd.wait_for(number)["outcome"], "done")
        lines = said_of(stage, number)
        equal(lines[0].endswith(", called: an orchestrator reports its steps"), True, lines[0])
        reports = [line for line in lines if "report" in line or "abort" in line][1:]
        equal(reports, ['waits for the report "detached"', '"detached" is reported', 'waits for the report "moved"',
                        '"attached" is reported, and not taken: not-awaited', "the operator asks for an abort", "is not aborted: too-late",
                        '"moved" is reported', 'waits for the report "attached"', '"attached" is reported'])


run([one_that_is_done_says_what_it_took, a_reason_stands_before_the_state_that_it_led_to,
     a_host_that_cannot_is_named_where_the_way_back_begins, aborts_and_reports_are_in_it_taken_or_not])
