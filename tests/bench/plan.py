# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What building a view and planning a move cost, in instructions of the compiler (plan_cost.c under callgrind) with microseconds
beside them: over the sizes of Table I of the vSwitch paper, and over numbers of LIDs at the same switches."""
import re
import subprocess

COUNTED = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured", "--callgrind-out-file=/dev/null"]
SIZES = (324, 648, 5832, 11664)
HYPERVISORS, FUNCTIONS = 648, (2, 5, 17, 65)  # PF and 1, 4, 16, 64 VFs
TIMES = 20


def names(program):
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()


def run(program, hosts, functions, name, times):
    """(switches, LIDs, LFT Sets, microseconds of the fastest)."""
    done = subprocess.run([program, str(hosts), str(functions), name, str(times)], check=True, capture_output=True, text=True)
    switches, lids, sets, fastest = done.stdout.split()
    return int(switches), int(lids), int(sets), float(fastest)


def instructions(program, hosts, functions, name):
    done = subprocess.run([*COUNTED, program, str(hosts), str(functions), name, "1"], capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"{hosts} {functions} {name}: exit status {done.returncode}\n{done.stderr}")
    return int(found[1])


def row_of(program, hosts, functions, wanted):
    row = {}
    for name in wanted:
        switches, lids, sets, fastest = run(program, hosts, functions, name, TIMES)
        count = instructions(program, hosts, functions, name)
        row.update(switches=switches, lids=lids)
        row[name] = {"sets": sets, "instructions": count, "per_switch": count // switches, "us": fastest}
        print(f"  {hosts:6d} {'x ' + str(functions) if functions else '':<5} {switches:5d} {lids:6d} {name:<15} {sets:5d} {count:10d} "
              f"{count // switches:7d} {fastest:9.1f}", flush=True)
    return row


def measure(program, sizes=SIZES, functions=FUNCTIONS, wanted=None):
    wanted = wanted or names(program)
    print("   hosts       switches   LIDs what             Sets instructions  per switch  us", flush=True)
    return {"sizes": {str(hosts): row_of(program, hosts, 0, wanted) for hosts in sizes},
            "lids": {str(row["lids"]): row for row in (row_of(program, HYPERVISORS, number, wanted) for number in functions)}}
