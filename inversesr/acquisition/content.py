"""What an image must show to be restored: intensities, no labels, and magnitudes, no phase.

Restoring averages and sharpens: labels become fractions, and phase is torn where it wraps.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inversesr.errors import InputError
from inversesr.io.names import check_one_subject, is_named_labels, part_of
from inversesr.io.nifti import Scan, read_scan
from inversesr.volume import Image

# Values of the image types of DICOM that say phase (Siemens, Philips, dcm2niix), and so on.
PARTS_BY_IMAGE_TYPE = {
    "P": "phase", "PHASE": "phase", "PHASE MAP": "phase", "PHASE_MAP": "phase",
    "IMAGINARY": "imaginary part", "REAL": "real part",
}  # fmt: skip
MAGNITUDES = ("M", "MAGNITUDE")
# There are more intensities in a scan, and fewer labels in an atlas.
MOST_LABELS = 1000
# Of neighbours within what is labelled so many have the same label: 0.6 to 0.9 on label maps of
# heads, at 1 to 4 mm; of a scan's intensities at most 0.44.
LEAST_EQUAL = 0.58
# Values of masks, of every program.
MASK_VALUES = ((0.0, 1.0), (0.0, 255.0))
# Enough to see that values are no integers.
SAMPLE_STEP = 101


def read_scans(
    paths: Sequence[Path],
    volume: int | None = None,
    voxel_size_mm: tuple[float, float, float] | None = None,
) -> list[Scan]:
    """Read the scans of one run, each a scan and all of one person.

    Args:
        paths: Image files.
        volume: Which volume of 4D series; see `read_scan`.
        voxel_size_mm: Size of voxels in place of that in the headers; see `read_scan`.

    Raises:
        InputError: a file is unusable, shows something else, or belongs to another person.
    """
    check_one_subject(paths)
    scans = [read_scan(path, volume, voxel_size=voxel_size_mm) for path in paths]
    for scan in scans:
        check_content(scan)
    return scans


def check_content(scan: Scan) -> None:
    """Refuse an image that must not be restored.

    Args:
        scan: The image as it was read.

    Raises:
        InputError: it is a mask, a label map, or another part of a complex image than magnitude.
    """
    part = part_of(scan.name) or _part_by_sidecar(scan)
    if part is not None:
        message = (
            f"{scan.name} is the {part} of a complex image; expected its magnitude: give the file "
            "of the magnitude (part-mag), or make it from both parts"
        )
        raise InputError(message)
    kind = kind_of_labels(scan.volume.data, is_named=is_named_labels(scan.name))
    if kind:
        message = (
            f"{scan.name} is {kind}, no scan, and would be restored to fractions: give the scan "
            "that it belongs to, and bring labels onto its grid by nearest neighbour"
        )
        raise InputError(message)


def kind_of_labels(y: Image, *, is_named: bool = False) -> str:
    """Return "a mask" or "a label map" where an image is one, else nothing.

    Args:
        y: The image.
        is_named: Whether it is called one: then two values of any size, or values from 0 to 1
            are enough.
    """
    low, high = float(y.min()), float(y.max())
    if is_named and low >= 0.0 and high <= 1.0:
        return "a mask"
    sample = y.ravel()[::SAMPLE_STEP]
    if not is_named and not np.array_equal(sample, np.round(sample)):
        return ""
    values, counts = np.unique(y, return_counts=True)
    if len(values) <= 2:
        return "a mask" if is_named or (low, high) in MASK_VALUES else ""
    if len(values) > MOST_LABELS or not np.array_equal(values, np.round(values)):
        return ""
    return "a label map" if _equal_share(y, values[counts.argmax()]) >= LEAST_EQUAL else ""


def _equal_share(y: Image, background: np.float32) -> float:
    """Share of neighbours outside the background that are equal."""
    is_labelled = y != background
    n_equal = n_pairs = 0
    for axis in range(3):
        values, labelled = np.moveaxis(y, axis, 0), np.moveaxis(is_labelled, axis, 0)
        a, b = values[:-1], values[1:]
        is_pair = labelled[:-1] & labelled[1:]
        n_equal += int(np.count_nonzero(is_pair & (a == b)))
        n_pairs += int(np.count_nonzero(is_pair))
    return n_equal / max(n_pairs, 1)


def _part_by_sidecar(scan: Scan) -> str | None:
    """Return which part of a complex image the sidecar's ImageType states, if it does."""
    stated = scan.sidecar.get("ImageType")
    if not isinstance(stated, list):
        return None
    words = [word.upper() for word in stated if isinstance(word, str)]
    if any(word in MAGNITUDES for word in words):
        return None
    return next((PARTS_BY_IMAGE_TYPE[w] for w in words if w in PARTS_BY_IMAGE_TYPE), None)
