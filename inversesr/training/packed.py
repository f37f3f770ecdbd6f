"""A training set in one small file, for machines that have nothing else.

A pack is a ZIP archive with `contents.json` and one array a scan: intensities of a few bits,
cropped to what is not background, or labels. `--data train.pack` takes it like a folder.
"""

import io
import json
import lzma
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inversesr.errors import InputError
from inversesr.io.json_text import json_text
from inversesr.training.training_scan import TrainingScan

SUFFIX, CONTENTS_NAME = ".pack", "contents.json"
LEAST_BITS = 4
# rms error of 0.0045 of the range
DEFAULT_BITS = 6


def is_pack(path: Path) -> bool:
    """Whether a path is that of a pack."""
    return path.suffix == SUFFIX and path.is_file()


def check_pack(output: Path, bits: int) -> None:
    """Refuse what no pack can be written as.

    Raises:
        InputError: bits is outside its range, or the name ends otherwise.
    """
    if not LEAST_BITS <= bits <= 8:
        message = f"--bits is {bits}; expected {LEAST_BITS} to 8"
        raise InputError(message)
    if output.suffix != SUFFIX:
        message = f"{output} is to be a pack; expected a name that ends in {SUFFIX}"
        raise InputError(message)


def write_pack(scans: Iterable[TrainingScan], output: Path, bits: int = DEFAULT_BITS) -> int:
    """Write scans into one file.

    Args:
        scans: Scans and label maps, taken one by one.
        output: The file to write, its name ending in `.pack`.
        bits: Bits of an intensity, 4 to 8.

    Returns:
        Bytes of the file.

    Raises:
        InputError: see `check_pack`.
    """
    check_pack(output, bits)
    contents = []
    partial = output.with_name(f".{output.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_LZMA) as archive:
            for n, scan in enumerate(scans):
                kept = 8 if scan.is_labels else bits
                file = f"{n:05d}.npy"
                archive.writestr(file, _array_bytes(scan, kept))
                contents.append(_describe(scan, file, kept))
            archive.writestr(CONTENTS_NAME, json_text(contents, indent=1))
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return output.stat().st_size


def names_in(pack: Path) -> list[str]:
    """Return the names of the scans of a pack.

    Raises:
        InputError: it is no pack.
    """
    return [entry["name"] for entry in _contents(pack)]


def read_packed(pack: Path, name: str) -> TrainingScan:
    """Read one scan of a pack.

    Args:
        pack: The file.
        name: Name of the scan in it.

    Raises:
        InputError: it is no pack, or damaged.
    """
    (entry,) = (entry for entry in _contents(pack) if entry["name"] == name)
    try:
        with zipfile.ZipFile(pack) as archive:
            array = np.load(io.BytesIO(archive.read(entry["file"])), allow_pickle=False)
    except (zipfile.BadZipFile, lzma.LZMAError, ValueError, KeyError, EOFError) as error:
        raise _damaged(pack, error) from error
    if not entry["is_labels"]:
        array = array << (8 - entry["bits"])
    voxels = torch.from_numpy(array)
    sharp = tuple(entry["sharp_axes"])
    return TrainingScan(entry["name"], voxels, entry["white"], sharp, entry["spacing_mm"])


def _array_bytes(scan: TrainingScan, bits: int) -> bytes:
    array = scan.voxels.numpy()
    if not scan.is_labels:
        array = array >> (8 - bits)
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _describe(scan: TrainingScan, file: str, bits: int) -> dict[str, Any]:
    # what lies between two levels counts as the lower one, so the highest is a little darker
    white = scan.white if scan.is_labels else float(255 >> (8 - bits) << (8 - bits))
    return {
        "name": scan.name,
        "file": file,
        "is_labels": scan.is_labels,
        "bits": bits,
        "white": white,
        "sharp_axes": list(scan.sharp_axes),
        "spacing_mm": scan.spacing_mm,
    }


def _contents(pack: Path) -> list[dict[str, Any]]:
    try:
        with zipfile.ZipFile(pack) as archive:
            found: list[dict[str, Any]] = json.loads(archive.read(CONTENTS_NAME))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise _damaged(pack, error) from error
    return found


def _damaged(pack: Path, error: Exception) -> InputError:
    return InputError(
        f"{pack} is no readable pack ({error}); expected what `inversesr prior pack` writes: "
        "make it again"
    )
