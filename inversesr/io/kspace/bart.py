"""K-space of BART: dimensions as text (.hdr), samples as complex float32 in Fortran order (.cfl).

Reference: Uecker et al., BART toolbox, https://mrirecon.github.io/bart/.
"""

from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np

from inversesr.errors import InputError
from inversesr.io.kspace.record import RawKSpace

# what BART keeps along its dimensions, as far as one image can have them
DIMENSIONS = {0: "x", 1: "y", 2: "z", 3: "c", 13: "s"}


def load(path: Path) -> RawKSpace:
    """Return what a pair of files holds; see `formats.Reader`."""
    samples = path.with_suffix(".cfl")
    shape = read_header(path.with_suffix(".hdr"))
    expected, found = 8 * prod(shape), samples.stat().st_size
    if found != expected:
        message = (
            f"{samples.name} has {found} bytes; expected {expected} for dimensions "
            f"{' '.join(str(n) for n in shape)}: copy both files again"
        )
        raise InputError(message)
    array = np.fromfile(samples, "<c8").reshape(shape, order="F")
    others = [n for n, size in enumerate(shape) if size > 1 and n not in DIMENSIONS]
    if others:
        message = (
            f"{path.name} has {shape[others[0]]} entries along BART's dimension {others[0]}; "
            "expected one image: take one of them with `bart slice`"
        )
        raise InputError(message)
    kept = [n for n, size in enumerate(shape) if size > 1 or n in (0, 1, 3)]
    letters = "".join(DIMENSIONS[n] for n in kept if n < len(shape))
    return RawKSpace(array.reshape([shape[n] for n in kept], order="F"), letters)


def read_header(path: Path) -> tuple[int, ...]:
    """Return the dimensions that a header says.

    Raises:
        InputError: it says none.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    for line, following in pairwise(lines):
        if line.strip() == "# Dimensions":
            shape = tuple(int(word) for word in following.split())
            if len(shape) >= 2 and min(shape) > 0:
                return (*shape, *(1 for _ in range(4 - len(shape))))
    message = f"{path.name} has no dimensions; expected the header that BART writes"
    raise InputError(message)
