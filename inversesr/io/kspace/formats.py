"""Formats of k-space: one line each, and reading a file of any of them."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from inversesr.errors import InputError
from inversesr.io.faults import UNREADABLE, refuse
from inversesr.io.kspace.layout import arrange, fit_mask, order
from inversesr.io.kspace.record import KSpace, RawKSpace
from inversesr.io.paths import from_home

# endings of file names, in small letters -> the module that reads such files
READERS: dict[tuple[str, ...], str] = {
    (".npy", ".npz"): "inversesr.io.kspace.numpy_file",
    (".cfl", ".hdr"): "inversesr.io.kspace.bart",
    (".mat",): "inversesr.io.kspace.matlab",
    (".h5", ".hdf5", ".mrd"): "inversesr.io.kspace.hdf5",
}
ENDINGS = tuple(ending for endings in READERS for ending in endings)


class Reader(Protocol):
    """What a module of a format must offer."""

    def load(self, path: Path) -> RawKSpace:
        """Return what a file holds.

        Raises:
            InputError: the file is no usable k-space of this format.
        """
        ...


def read_raw(path: Path) -> RawKSpace:
    """Read a file of k-space, of a mask, or of coil maps, by its name.

    Raises:
        InputError: it is missing, damaged, or of no known format.
        MachineError: this machine could not read it.
    """
    path = from_home(path)
    for endings, module in READERS.items():
        if not path.name.lower().endswith(endings):
            continue
        if not path.is_file():
            message = f"{path} does not exist; expected a file of k-space"
            raise InputError(message)
        try:
            return cast("Reader", import_module(module)).load(path)
        except UNREADABLE as error:
            refuse(path.name, error, f"cannot be read ({error}): export it again")
    message = f"{path.name} is of no known format; expected one of {', '.join(ENDINGS)}"
    raise InputError(message)


def read_kspace(
    path: Path,
    axes: str | None = None,
    mask: Path | None = None,
    maps: Path | None = None,
    noise: Path | None = None,
) -> KSpace:
    """Read k-space.

    Args:
        path: The file.
        axes: A letter for each axis of its array, in place of what the file says; see `record`.
        mask: File with what is to count as measured.
        maps: File with coil sensitivities, axes as in the file of k-space.
        noise: File with samples without signal, coils along one axis.

    Raises:
        InputError: a file is unusable, or they do not fit together.
        MachineError: this machine could not read one.
    """
    raw = read_raw(path)
    if maps is not None:
        raw = replace(raw, maps=read_raw(maps).array)
    if noise is not None:
        raw = replace(raw, noise=read_raw(noise).array)
    given = None if mask is None else mask_in(read_raw(mask))
    return assemble(raw, path.name, axes, given)


def mask_in(raw: RawKSpace) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Return the mask of a file that holds one."""
    found = raw.mask if raw.mask is not None else raw.array
    return np.asarray(found != 0)


def assemble(
    raw: RawKSpace,
    label: str,
    axes: str | None = None,
    mask: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None" = None,
) -> KSpace:
    """Bring what a file holds into the order of axes that everything else expects.

    Args:
        raw: What the file holds.
        label: Name of the file, for messages.
        axes: A letter for each axis, in place of what the file says.
        mask: What is to count as measured, in place of what the file says.

    Raises:
        InputError: values are missing or not finite, or parts do not fit together.
    """
    letters = order(raw, axes, label)
    samples, encoded = arrange(raw.array, letters, label)
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        message = (
            f"{label} has {bad} samples that are NaN or infinite; expected finite numbers: "
            "export it again"
        )
        raise InputError(message)
    sampled = np.abs(samples).max(axis=0) > 0
    if not sampled.any():
        message = f"{label} holds nothing but zeros; expected samples of k-space"
        raise InputError(message)
    said = mask if mask is not None else raw.mask
    measured = sampled if said is None else fit_mask(np.asarray(said != 0), sampled, label)
    return KSpace(
        np.where(measured, samples, 0).astype(np.complex64),
        measured,
        encoded,
        fit_noise(raw, len(samples), label),
        fit_maps(raw, letters, samples.shape, label),
        raw.grid,
        raw.image_shape,
        raw.warnings,
    )


def fit_noise(
    raw: RawKSpace, n_coils: int, label: str
) -> "np.ndarray[tuple[int, ...], np.dtype[np.complex64]] | None":
    """Return the samples of a noise scan, coils first.

    Raises:
        InputError: it has another number of coils.
    """
    if raw.noise is None:
        return None
    noise = np.asarray(raw.noise)
    coil_axes = [axis for axis, n in enumerate(noise.shape) if n == n_coils]
    if not coil_axes or noise.size < 2 * n_coils**2:
        message = (
            f"the noise scan of {label} has shape {noise.shape}; expected {n_coils} coils, as the "
            f"data have, and at least {2 * n_coils} samples of each: give the one of this scan"
        )
        raise InputError(message)
    flat = np.moveaxis(noise, coil_axes[0], 0).reshape(n_coils, -1)
    return np.asarray(flat, dtype=np.complex64)


def fit_maps(
    raw: RawKSpace, letters: str, shape: tuple[int, ...], label: str
) -> "np.ndarray[tuple[int, ...], np.dtype[np.complex64]] | None":
    """Return coil maps in the order of the samples.

    Raises:
        InputError: they have other coils or another shape.
    """
    if raw.maps is None:
        return None
    maps = np.asarray(raw.maps)
    if maps.ndim == len(letters):
        maps = arrange(maps, letters, "the file of coil maps")[0]
    if maps.shape != shape or not np.isfinite(maps).all():
        message = (
            f"the coil maps for {label} have shape {maps.shape}; expected finite values of shape "
            f"{shape}, coils first, as the data have: give those of this scan"
        )
        raise InputError(message)
    return np.asarray(maps, dtype=np.complex64)
