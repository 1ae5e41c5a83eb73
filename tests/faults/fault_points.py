# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The places at which a program can be killed, as notifier/base/die_points.def and the tables that it names have them."""
import os
import re

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Nobody is asked in these: nothing but the record is done.
ENDED = "ENDED"


def _text(*path):
    with open(os.path.join(TOP, *path)) as source:
        return source.read()


def _rows():
    """(place, program, words)"""
    return re.findall(r'^DIE_POINT\(\w+,\s*"([\w-]+)",\s*(\w+),\s*("[\w\s-]+"|\w+),', _text("notifier", "base", "die_points.def"),
                      re.MULTILINE)


def states():
    """{name: its phase}"""
    rows = re.findall(r"^STATE\((\w+),\s*(\w+),", _text("sm-side", "migration", "migration_states.def"), re.MULTILINE)
    return {name.lower().replace("_", "-"): phase for name, phase in rows}


def actions():
    """{name of a state: its action}"""
    rows = re.findall(r"^STATE\((\w+),\s*\w+,\s*(\w+),", _text("sm-side", "migration", "migration_states.def"), re.MULTILINE)
    return {name.lower().replace("_", "-"): action for name, action in rows}


def changes():
    """{name: its phase}"""
    rows = re.findall(r"^STATE\((\w+),\s*(\w+),", _text("sm-side", "vm_change", "vm_change_states.def"), re.MULTILINE)
    return {name.lower().replace("_", "-"): phase for name, phase in rows}


def ops():
    return re.findall(r'^\s*\{"(\w+)", SM_\w+,', _text("sm-side", "plugin", "sm_request.c"), re.MULTILINE)


def _words_of(place, words):
    if words == "OP":
        return ops()
    if words == "STATE":
        asks = place in ("smd-ask", "smd-asked")
        return [state for state, phase in states().items() if not (asks and phase == ENDED)]
    if words == "CHANGE":
        asks = place in ("vm-ask", "vm-asked")
        return [state for state, phase in changes().items() if not (asks and phase == ENDED)]
    return words.strip('"').split()


def points_of(program):
    """All places of the "SMD" or of "OPENSM", each PLACE:WORD."""
    return [f"{place}:{word}" for place, owner, words in _rows() if owner == program for word in _words_of(place, words)]


def passed(path):
    """What a program has noted with TETHER_PASSED=@path: {place: how often}, in the order of the first time."""
    times = {}
    if os.path.exists(path):
        with open(path) as lines:
            for place in lines.read().split():
                times[place] = times.get(place, 0) + 1
    return times
