# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd's journal, read as an administrator would: whoever runs or has died meanwhile."""
import sqlite3


def ask(path, sql, *values):
    """All rows. None while there is no journal."""
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return None
    try:
        return database.execute(sql, values).fetchall()
    finally:
        database.close()


def states_after(path, migration):
    """The states of migrations with a higher number than @migration, in the order in which they were entered."""
    return [state for (state,) in ask(path, "SELECT state FROM states WHERE migration > ? ORDER BY rowid", migration) or []]
