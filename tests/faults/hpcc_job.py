# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A job of hpcc, with a rank in each VM, that is at work."""
import os
import shutil

import hpcc
from lab.deadline import wait_until
from lab.mpi import Job
from mpi_runs import has_begun

HPCC_S = 600


class HpccJob(Job):
    def __init__(self, lab, number):
        self.directory = lab.path(f"hpcc{number}")
        self.output = os.path.join(self.directory, "hpccoutf.txt")
        os.mkdir(self.directory)
        with open(os.path.join(self.directory, "hpccinf.txt"), "w") as out:
            out.write(hpcc.input_text(len(lab.vms)))
        super().__init__(lab, "openmpi", "rc_verbs", [shutil.which("hpcc")], name=f"hpcc{number}", directory=self.directory)
        wait_until("hpcc's first section", lambda: has_begun(self.output), HPCC_S, self.logs(), [self.process])

    def end_exactly(self):
        """It ends by itself, and finds its results right."""
        assert self.process.wait(HPCC_S) == 0, self.words()
        with open(self.output, errors="replace") as text:
            found = hpcc.findings(text.read())
        assert not found, f"{found}{self.words()}"
