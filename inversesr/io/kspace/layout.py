"""Which axis of an array is which, and bringing masks to its shape."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.kspace.record import Mask, RawKSpace, Samples

LETTERS = {"c": "coils", "x": "readout", "y": "phase encoding", "z": "second phase encoding",
           "s": "slices"}  # fmt: skip
# Marked samples that are zero in every coil, as a share: beyond that the mask is another's.
MOST_ZEROS = 0.05


def order(raw: RawKSpace, axes: str | None, label: str) -> str:
    """Return a letter for each axis of an array.

    Raises:
        InputError: nothing says which axis is which, or the letters do not fit.
    """
    letters = axes or raw.axes
    shape = raw.array.shape
    if letters is None:
        message = (
            f"{label} has shape {shape} and does not say which axis is which; expected --axes "
            "with a letter each: c coils, x readout, y and z phase encoding, s slices"
        )
        raise InputError(message)
    is_known = set(letters) <= set(LETTERS) and len(set(letters)) == len(letters)
    if not is_known or not {"x", "y"} <= set(letters) or {"z", "s"} <= set(letters):
        message = (
            f"axes are {letters!r}; expected different letters of c, x, y, z, s, with x and y "
            "and not both z and s: reconstruct one volume at a time"
        )
        raise InputError(message)
    if len(letters) != len(shape):
        message = (
            f"{label} has {len(shape)} axes {shape}; expected {len(letters)}, as --axes "
            f"{letters} says: correct --axes"
        )
        raise InputError(message)
    return letters


def arrange(array: NDArray[Any], letters: str, label: str) -> tuple[Samples, tuple[int, ...]]:
    """Bring an array into the order coils, x, y, and z or slices.

    Args:
        array: Samples.
        letters: A letter for each axis.
        label: Name of the file, for messages.

    Returns:
        Samples, shape (n_coils, X, Y, Z), and which of the last three axes are encoded.

    Raises:
        InputError: it holds no numbers, or an axis has a single sample.
    """
    if array.dtype.kind not in "fciu":
        message = f"{label} holds {array.dtype}; expected complex numbers"
        raise InputError(message)
    third = "z" if "z" in letters else "s"
    wanted = "".join(c for c in "cxy" + third if c in letters)
    found = array.transpose([letters.index(c) for c in wanted])
    if "c" not in letters:
        found = found[None]
    if third not in letters:
        found = found[..., None]
    if min(found.shape[1:3]) < 2 or found.size == 0:
        message = f"{label} has {found.shape[1:3]} samples in x and y; expected at least 2 of each"
        raise InputError(message)
    is_3d = third == "z" and found.shape[3] > 1
    return np.asarray(found, dtype=np.complex64), (0, 1, 2) if is_3d else (0, 1)


def fit_mask(mask: Mask, sampled: Mask, label: str) -> Mask:
    """Bring a mask to the shape of k-space.

    A mask along one axis is along y, else along x; one over two axes is over x and y, else y and
    z, else x and z.

    Args:
        mask: Marks of what was measured.
        sampled: Where the data are not zero, shape (X, Y, Z).
        label: Name of the file, for messages.

    Raises:
        InputError: it does not fit the shape, or marks what is zero in the data.
    """
    bare = mask.squeeze()
    shape = sampled.shape
    places = {1: ((1,), (0,), (2,)), 2: ((0, 1), (1, 2), (0, 2)), 3: ((0, 1, 2),)}
    if mask.shape == shape:
        return refuse_foreign(mask, sampled, label)
    for axes in places.get(bare.ndim, ()):
        if bare.shape == tuple(shape[axis] for axis in axes):
            missing = tuple(axis for axis in range(3) if axis not in axes)
            full = np.broadcast_to(np.expand_dims(bare, missing), shape)
            return refuse_foreign(full, sampled, label)
    message = (
        f"the mask has shape {mask.shape}, which does not fit k-space of shape {shape}; expected "
        "one along y, over x and y, over y and z, or over all"
    )
    raise InputError(message)


def refuse_foreign(mask: Mask, sampled: Mask, label: str) -> Mask:
    """Return a mask without what is zero in the data; refuse one that marks much of that.

    Raises:
        InputError: it marks nothing, or much of what is zero.
    """
    n_marked, n_zero = int(mask.sum()), int((mask & ~sampled).sum())
    if n_marked == 0:
        message = f"the mask of {label} marks nothing as measured; expected some samples"
        raise InputError(message)
    if n_zero > MOST_ZEROS * n_marked:
        message = (
            f"the mask of {label} marks {n_marked} samples as measured, of which {n_zero} are "
            "zero in every coil; expected the mask of these data: is it turned or shifted?"
        )
        raise InputError(message)
    return np.asarray(mask & sampled)
