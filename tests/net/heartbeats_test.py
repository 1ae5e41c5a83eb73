#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A new heartbeat counts at SIGHUP on each link that stands, whichever program it is of and at either end: who is silent is
noticed then, and was not before."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import PATIENCE_S, run_tests  # noqa: E402
from agent_tree import Tree  # noqa: E402

from lab.deadline import wait_until  # noqa: E402

AN_HOUR = 3600000
SHORT = 40


def said(tree, name, text):
    wait_until(f"{name} says {text!r}", lambda: text in tree.read(f"{name}.log"), PATIENCE_S)


def is_noticed(name, silent, text):
    """@silent, at the other end of a link of @name, says nothing more; @name is told that it would have to, and when all are
    told they find each other again."""
    with Tree(heartbeat_ms=AN_HOUR) as tree:
        all_are_here(tree)
        tree.running[silent].send_signal(signal.SIGSTOP)
        tree.configure_again(name, heartbeat_ms=SHORT)
        said(tree, name, text)
        for other in tree.running:
            tree.configure_again(other, heartbeat_ms=SHORT)
        tree.running[silent].send_signal(signal.SIGCONT)
        all_are_here(tree)


def all_are_here(tree):
    wait_until("all are here", lambda: len(tree.rows()) == 4 and not any(row[-1] in ("away", "silent") for row in tree.rows().values()),
               PATIENCE_S)


def tether_smd_notices_a_silent_host():
    is_noticed("smd", "hyp2", "host hyp2 is away: no heartbeat")


def tether_smd_notices_a_silent_agent_between():
    is_noticed("smd", "rack1", "agent rack1 is away: no heartbeat")


def an_agent_between_notices_a_silent_host():
    is_noticed("rack1", "hyp1", "host hyp1 is away: no heartbeat")


def an_agent_between_notices_a_silent_root():
    is_noticed("rack1", "smd", "the root is away: no heartbeat")


def a_host_notices_a_silent_parent():
    is_noticed("hyp1", "rack1", "the root is away: no heartbeat")


def a_host_and_its_guest_notice_each_other():
    """The guest has the heartbeat that its host wants, and comes anew to hear it."""
    with Tree(heartbeat_ms=AN_HOUR) as tree:
        all_are_here(tree)
        tree.configure_again("hyp1", heartbeat_ms=SHORT)
        said(tree, "hyp1", "vm1: its guest is away: its heartbeat is another now")
        wait_until("it is here again", lambda: tree.read("vm1.log").count("the root is here") == 2, PATIENCE_S)
        tree.running["vm1"].send_signal(signal.SIGSTOP)
        said(tree, "hyp1", "vm1: its guest is away: no heartbeat")
        tree.running["vm1"].send_signal(signal.SIGCONT)
        wait_until("it is here again", lambda: tree.read("vm1.log").count("the root is here") == 3, PATIENCE_S)
        tree.running["hyp1"].send_signal(signal.SIGSTOP)
        said(tree, "vm1", "the root is away: no heartbeat")
        tree.running["hyp1"].send_signal(signal.SIGCONT)


sys.exit(run_tests([
    tether_smd_notices_a_silent_host,
    tether_smd_notices_a_silent_agent_between,
    an_agent_between_notices_a_silent_host,
    an_agent_between_notices_a_silent_root,
    a_host_notices_a_silent_parent,
    a_host_and_its_guest_notice_each_other,
]))
