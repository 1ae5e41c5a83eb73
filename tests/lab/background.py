# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What goes on beside a test, on a thread of its own."""
import threading


class Background(threading.Thread):
    """From `with` to its end, which tells it: then `is_over()`. What its work() raises is `failure`, and raised there, too."""

    def __init__(self):
        super().__init__(daemon=True)
        self.failure, self._over = None, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        self._over.set()
        self.join()
        if not kind and self.failure:
            raise self.failure

    def is_over(self):
        return self._over.is_set()

    def run(self):
        try:
            self.work()
        except Exception as failure:  # told by whoever waits for us
            self.failure = failure
