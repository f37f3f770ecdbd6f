"""Doubts about whether an image is the MRI of a head at all, in sentences.

Nothing is refused here: who works with an unusual scan reads the warning and goes on.
"""

import re
from collections.abc import Sequence

import numpy as np

from inversesr.acquisition.lost_slices import doubts_of_slices
from inversesr.acquisition.missing import measured
from inversesr.io.nifti import Scan
from inversesr.volume import Image, Volume

# Air has -1000 Hounsfield units and bone more than 500; what lies outside the round field of view
# is written as low as -4096, metal as high as 16 bits hold.
CT_LOW, CT_HIGH, CT_RANGE = -500.0, 500.0, (-4100.0, 66000.0)
CT_AIR, LEAST_CT_AIR_SHARE = (-1100.0, -900.0), 0.03
# magnitudes of MRI are not negative
NEGATIVE_SHARE = 0.1
# The brain of an adult is about 130 x 170 x 120 mm, of a newborn 90 x 110 x 80 mm; the field of
# view of a head scan is below 300 mm.
LEAST_EXTENT_MM, LEAST_SLAB_MM, LARGEST_EXTENT_MM = 80.0, 40.0, 450.0
# In scans of heads neighbours within a slice correlate above 0.9, in pure noise not at all.
LEAST_LIKENESS = 0.3
# Modality of images that are no MRI, by DICOM (PS3.3 C.7.3.1.1.1) and as others call them.
OTHER_MODALITIES = (
    "CR", "CT", "DX", "ES", "IO", "IVUS", "MG", "NM", "OCT", "OP", "OPT", "PET", "PT", "PX", "RF",
    "RTDOSE", "RTIMAGE", "SEG", "SM", "SPECT", "TOMOGRAPHY", "ULTRASOUND", "US", "XA", "XRAY",
)  # fmt: skip
OTHER_BODY_PARTS = (
    "ABDOMEN", "ANKLE", "BREAST", "CHEST", "ELBOW", "FOOT", "HAND", "HEART", "HIP", "KNEE", "LEG",
    "LIVER", "PELVIS", "PROSTATE", "SHOULDER", "SPINE", "THORAX", "WRIST",
)  # fmt: skip
ADVICE = "check that it is the right file"


def doubts(scan: Scan, slice_axis: int, missing: Sequence[int] = ()) -> tuple[str, ...]:
    """Return what speaks against a scan being thick slices of a head, in sentences.

    Args:
        scan: The scan as it was read.
        slice_axis: Axis across the slices.
        missing: Slices that are known to be missing.
    """
    y = measured(scan.volume.data, slice_axis, missing)
    found = (
        *_doubts_of_sidecar(scan),
        *_doubts_of_extent(scan.volume, slice_axis),
        *_doubts_of_intensities(y, slice_axis),
        *doubts_of_slices(y, slice_axis, missing),
    )
    return tuple(f"{scan.name} {doubt}" for doubt in found)


def _doubts_of_sidecar(scan: Scan) -> list[str]:
    found = []
    words = _words(scan, "Modality")
    other = [name for name in OTHER_MODALITIES if name in words.split()]
    if other and "MR" not in words.split():
        found.append(f"is not MRI by its sidecar (Modality {other[0]}): {ADVICE}")
    part = _words(scan, "BodyPartExamined")
    other = [name for name in OTHER_BODY_PARTS if name in part]
    if other:
        found.append(f"shows no head by its sidecar (BodyPartExamined {other[0]}): {ADVICE}")
    if scan.sidecar.get("GeneratedVoxels") is True:
        found.append(
            "has voxels that were generated, not measured, by its sidecar (GeneratedVoxels): use "
            "the scan as it was before"
        )
    return found


def _words(scan: Scan, key: str) -> str:
    """Return what the sidecar states in words, in capitals; empty where it states nothing."""
    stated = scan.sidecar.get(key)
    several = stated if isinstance(stated, list) else [stated]
    text = " ".join(entry for entry in several if isinstance(entry, str))
    return re.sub("[^A-Z]+", " ", text.upper()).strip()


def _doubts_of_extent(volume: Volume, slice_axis: int) -> list[str]:
    extent = [n * s for n, s in zip(volume.grid.shape, volume.grid.spacing_mm, strict=True)]
    words = " x ".join(f"{side:.0f}" for side in extent) + " mm"
    within = [side for axis, side in enumerate(extent) if axis != slice_axis]
    if min(within) < LEAST_EXTENT_MM or extent[slice_axis] < LEAST_SLAB_MM:
        return [
            f"covers only {words}, less than a brain: {ADVICE}, "
            "and that its voxel sizes are in millimetres"
        ]
    if max(extent) > LARGEST_EXTENT_MM:
        return [f"covers {words}, far more than a head: {ADVICE}"]
    return []


def _doubts_of_intensities(y: Image, slice_axis: int) -> list[str]:
    low, high = float(y.min()), float(y.max())
    if _is_like_ct(y, low, high):
        return [
            f"has intensities from {low:.0f} to {high:.0f}, like the Hounsfield units of CT: "
            "this program is made for MRI"
        ]
    found = []
    darkest, brightest = np.percentile(y, (1.0, 99.0))
    if darkest < -NEGATIVE_SHARE * abs(brightest):
        found.append(
            "has many negative intensities, which no scanner writes for MRI magnitudes: "
            "use the scan as it came from the scanner, before any normalisation or filter"
        )
    if _likeness(y, slice_axis) < LEAST_LIKENESS:
        found.append(f"looks like noise, neighbouring voxels are hardly alike: {ADVICE}")
    return found


def _is_like_ct(y: Image, low: float, high: float) -> bool:
    """Whether intensities are those of CT: in their range, and a part of them air."""
    is_in_range = CT_RANGE[0] <= low < CT_LOW and CT_HIGH < high <= CT_RANGE[1]
    if not is_in_range:
        return False
    return float(((y > CT_AIR[0]) & (y < CT_AIR[1])).mean()) >= LEAST_CT_AIR_SHARE


def _likeness(y: Image, slice_axis: int) -> float:
    """Mean correlation between neighbours along both axes within the slices."""
    centred = y - y.mean(dtype=np.float64)
    power = float(np.mean(np.square(centred)))
    products = [
        float(np.mean(np.take(centred, range(1, y.shape[axis]), axis) * centred.take(
            range(y.shape[axis] - 1), axis)))
        for axis in range(3)
        if axis != slice_axis
    ]  # fmt: skip
    return sum(products) / (len(products) * power)
