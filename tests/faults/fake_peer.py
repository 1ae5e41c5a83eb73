# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The other end of a link, beside the test."""
import threading


class Peer(threading.Thread):
    def __init__(self, target, *args):
        super().__init__(target=target, args=args, daemon=True)
        self.start()
