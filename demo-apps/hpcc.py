# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""HPC Challenge, small: its input, and whether its own checks say that what it computed is right."""
import re

ORDER = 480  # of the matrix; everything else follows from it
BLOCK = 32

INPUT = """HPLinpack benchmark input file
Innovative Computing Laboratory, University of Tennessee
HPL.out      output file name (if any)
8            device out (6=stdout,7=stderr,file)
1            # of problems sizes (N)
{order}      Ns
1            # of NBs
{block}      NBs
0            PMAP process mapping (0=Row-,1=Column-major)
1            # of process grids (P x Q)
{rows}       Ps
{columns}    Qs
16.0         threshold
1            # of panel fact
2            PFACTs (0=left, 1=Crout, 2=Right)
1            # of recursive stopping criterium
4            NBMINs (>= 1)
1            # of panels in recursion
2            NDIVs
1            # of recursive panel fact.
1            RFACTs (0=left, 1=Crout, 2=Right)
1            # of broadcast
1            BCASTs (0=1rg,1=1rM,2=2rg,3=2rM,4=Lng,5=LnM)
1            # of lookahead depth
1            DEPTHs (>=0)
2            SWAP (0=bin-exch,1=long,2=mix)
64           swapping threshold
0            L1 in (0=transposed,1=no-transposed) form
0            U  in (0=transposed,1=no-transposed) form
1            Equilibration (0=no,1=yes)
8            memory alignment in double (> 0)
##### This line (no. 32) is ignored (it serves as a separator). ######
0            Number of additional problem sizes for PTRANS
{order}      values of N
0            number of additional blocking sizes for PTRANS
{block}      values of NB
"""

SECTIONS = ("MPIRandomAccess", "MPIRandomAccess_LCG", "PTRANS", "MPIFFT", "LatencyBandwidth", "HPL", "Summary")
END = "End of HPC Challenge tests."
# PTRANS and HPL: so many tests have passed, and have failed.
RESIDUALS = re.compile(r"^\s*(\d+) tests? completed and (passed|failed) residual checks", re.M)
TABLE_ERRORS = re.compile(r"^Found (\d+) errors in \d+ locations \((\w+)\)", re.M)
NODE_ERRORS = re.compile(r"^Node\(s\) with error (\d+)", re.M)
FFT_ERROR = re.compile(r"^max\(\|x-x0\|\): (\S+)", re.M)
FFT_MOST = 1e-12


def input_text(ranks):
    """A grid of @ranks processes, as square as can be."""
    rows = max(n for n in range(1, ranks + 1) if ranks % n == 0 and n * n <= ranks)
    return INPUT.format(order=ORDER, block=BLOCK, rows=rows, columns=ranks // rows)


def findings(output):
    """What in hpccoutf.txt does not say that all is right; [] if all of it does."""
    found = [f"no end of {name}" for name in SECTIONS if f"End of {name} section." not in output]
    if END not in output:
        found.append("no end")
    if not re.search(r"^Success=1$", output, re.M):
        found.append("no success")
    residuals = RESIDUALS.findall(output)
    if sorted(how for _, how in residuals) != ["failed"] * 2 + ["passed"] * 2:
        found.append("residual checks of PTRANS and HPL are not both there")
    found += [f"{count} {how} residual checks" for count, how in residuals if (count == "0") != (how == "failed")]
    tables = TABLE_ERRORS.findall(output)
    if len(tables) < 2:
        found.append("no check of RandomAccess")
    found += [f"{count} errors in a table ({word})" for count, word in tables if (count, word) != ("0", "passed")]
    found += [f"{count} nodes with an error" for count in NODE_ERRORS.findall(output) if count != "0"]
    errors = [float(text) for text in FFT_ERROR.findall(output)]
    if not errors:
        found.append("no check of FFT")
    found += [f"FFT is off by {error}" for error in errors if not error < FFT_MOST]
    if "FAILED" in output:
        found.append("FAILED")
    return found
