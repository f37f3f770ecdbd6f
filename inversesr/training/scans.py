"""Reads folders and packs of scans for training."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import zoom

from inversesr.errors import InputError
from inversesr.io.source import opened
from inversesr.io.voxels import read_array
from inversesr.training.packed import is_pack, names_in, read_packed
from inversesr.training.training_scan import TrainingScan

LABEL_WORDS = frozenset({"seg", "dseg", "aseg", "label", "labels"})
# A header that says 1.0 mm beside 0.87 mm hides an acquisition that is coarser still.
SHARP_TOLERANCE = 1.05
COMMON_SPACING_MM = 1.0


def find_scans(data_dirs: Iterable[Path]) -> list[Path]:
    """List the NIfTI files below some folders, sorted by name, and what is in packs.

    Args:
        data_dirs: Folders, and packs (`training.packed`); a scan of a pack is listed as if the
            pack were its folder.

    Raises:
        InputError: there are none.
    """
    folders = list(data_dirs)
    paths = sorted(path for folder in folders for path in _scans_of(folder))
    if not paths:
        where = ", ".join(str(folder) for folder in folders) or "no folder"
        message = f"found no NIfTI file in {where}; expected *.nii or *.nii.gz: give --data DIR"
        raise InputError(message)
    return paths


def _scans_of(place: Path) -> list[Path]:
    if is_pack(place):
        return [place / name for name in names_in(place)]
    return list(place.rglob("*.nii*"))


def split_held_out(
    data_dirs: Iterable[Path], words: Iterable[str]
) -> tuple[list[Path], list[Path]]:
    """List the files to train on, and those kept for validation: a word is in their name.

    Raises:
        InputError: there are none.
    """
    words, paths = tuple(words), find_scans(data_dirs)
    kept = [path for path in paths if any(word in path.name for word in words)]
    return [path for path in paths if path not in kept], kept


def read_scan(path: Path) -> TrainingScan:
    """Read an image or, if its name has a word such as "seg" in it, a label map.

    Raises:
        InputError: the file is no image, or damaged.
        MachineError: this machine could not read it.
    """
    if is_pack(path.parent):
        return read_packed(path.parent, path.name)
    with opened(path) as source:
        array, _ = read_array(source.image, path.name)
        spacing = [float(s) for s in source.image.header.get_zooms()[:3]]
    name = path.name.split(".nii")[0]
    sharp = tuple(a for a in range(3) if spacing[a] <= SHARP_TOLERANCE * min(spacing))
    if LABEL_WORDS.intersection(name.lower().split("_")):
        voxels, white = crop_to_content(array).astype(np.int16), 1.0
    else:
        voxels, white = to_bytes(crop_to_content(array)), 255.0
    return TrainingScan(name, torch.from_numpy(voxels), white, sharp, min(spacing))


def to_bytes(array: np.ndarray) -> np.ndarray:
    """Scale intensities so that the 99.9th percentile becomes 255."""
    white = max(float(np.percentile(array, 99.9)), 1e-6)
    return np.asarray(np.clip(array * (255.0 / white), 0, 255).round(), dtype=np.uint8)


def crop_to_content(array: np.ndarray) -> np.ndarray:
    """Cut away planes at the faces that hold nothing but background."""
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero((array > 0).any(axis=others))
        if len(filled):
            array = np.take(array, np.arange(filled[0], filled[-1] + 1), axis=axis)
    return np.ascontiguousarray(array)


def at_common_spacing(scan: TrainingScan) -> TrainingScan:
    """Resample the sharp axes of an image to 1 mm, so that a network sees more than one scale."""
    factor = scan.spacing_mm / COMMON_SPACING_MM
    factors = [factor if axis in scan.sharp_axes else 1.0 for axis in range(3)]
    array = zoom(scan.voxels.numpy().astype(np.float32), factors, order=3)
    voxels = torch.from_numpy(array.clip(0, 255).round().astype(np.uint8))
    return TrainingScan(scan.name, voxels, scan.white, scan.sharp_axes, COMMON_SPACING_MM)


def read_scans(paths: Iterable[Path]) -> list[TrainingScan]:
    """Read scans; an image finer than 1 mm is kept at its own spacing and again at 1 mm."""
    scans: list[TrainingScan] = []
    for path in paths:
        scan = read_scan(path)
        scans.append(scan)
        if not scan.is_labels and scan.spacing_mm * SHARP_TOLERANCE < COMMON_SPACING_MM:
            scans.append(at_common_spacing(scan))
    return scans
