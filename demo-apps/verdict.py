# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What the demo says at its end, and whether that is good."""
import statistics


def app_exit(statuses):
    """0, or the first other."""
    return next((status for status in statuses if status), 0)


def summary(blackouts, counted, verdicts, statuses, copy_ms):
    """@blackouts: in ms, one of each migration. @counted: LFT Sets. @verdicts: rc-verify's, of client and server."""
    client = verdicts[0]
    lengths = blackouts or [0]
    return {
        "migrations": len(blackouts),
        "lost": sum(verdict.get("lost", 1) for verdict in verdicts),
        "duplicated": sum(verdict.get("duplicated", 1) for verdict in verdicts),
        "corrupted": sum(verdict.get("corrupted", 1) for verdict in verdicts),
        "blackout_ms": {"min": round(min(lengths), 1), "median": round(statistics.median(lengths), 1),
                        "max": round(max(lengths), 1)},
        "copy_ms": copy_ms,
        "lft_smps": counted.physical + counted.vswitch,
        "lft_smps_physical": counted.physical,
        "lft_smps_vswitch": counted.vswitch,
        "lft_smps_expected": counted.expected,
        "app_exit": app_exit(statuses),
        "lid_before": client.get("lid_before"),
        "lid_after": client.get("lid_after"),
    }


def is_good(result, verdicts, migrations):
    """A move that sent nothing, or stopped nobody for as long as its memory took, was none."""
    return bool(
        result["migrations"] == migrations and result["app_exit"] == 0
        and not (result["lost"] or result["duplicated"] or result["corrupted"])
        and all(verdict.get("ok") for verdict in verdicts)
        and result["lft_smps"] == result["lft_smps_physical"] + result["lft_smps_vswitch"] > 0
        and result["lft_smps"] == result["lft_smps_expected"]
        and result["blackout_ms"]["max"] >= result["blackout_ms"]["median"] >= result["blackout_ms"]["min"]
        and result["blackout_ms"]["min"] >= result["copy_ms"] > 0
        and result["lid_before"] == result["lid_after"] is not None)


def exit_status(result, verdicts, migrations, findings=()):
    """@findings: in which ways SA and fabric disagree."""
    return 0 if is_good(result, verdicts, migrations) and not findings else 1
