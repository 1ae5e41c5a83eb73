# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a message costs in instructions, post and poll, over a device that is a stub: path_cost.c under callgrind. The row
`stubs` is what caller and stubs cost alone, which is in all others, too."""
import os
import re
import subprocess

COUNTED = ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--collect-atstart=no", "--toggle-collect=messages"]


def path_names(program):
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()


def instructions(program, name, messages, directory):
    """For each message. What callgrind_annotate(1) reads is left in @directory."""
    out = os.path.join(directory, f"callgrind.{name}")
    done = subprocess.run([*COUNTED, f"--callgrind-out-file={out}", program, name, str(messages)], capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"{name}: exit status {done.returncode}\n{done.stderr}")
    return int(found[1]) // messages


def measure(program, messages, directory):
    result = {"messages": messages, "instructions": {}}
    for name in path_names(program):
        count = instructions(program, name, messages, directory)
        result["instructions"][name] = count
        print(f"  {name:<18} {count:4d} instructions", flush=True)
    return result
