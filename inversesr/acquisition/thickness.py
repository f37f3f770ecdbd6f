"""How thick slices are: by the options, else by the sidecar, the content, or their distance."""

from dataclasses import dataclass

from inversesr.acquisition.interpolated import Interpolated
from inversesr.config import SMALLEST_SPACING_MM, Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan

# Header against sidecar, thickness + gap against distance; against a distance that was found by
# where the content ends, which is about right only.
AGREEMENT_MM, AGREEMENT_SHARE, ROUGH_SHARE = 0.02, 0.01, 0.25
# Thinnest and thickest slices, and their distances; JSON may hold integers that no float can.
LENGTHS_MM = (SMALLEST_SPACING_MM, 50.0)
# Slices this many times as thick as their distance were interpolated, or overlap on purpose; below
# that, the lengths in a header and in a sidecar were rounded in different ways.
LEAST_OVERLAP = 1.25
# Beyond this overlap slices as thick as that hold next to nothing of their own.
LARGEST_OVERLAP, LARGEST_OVERLAPPING_MM = 5.0, 12.5
OPTIONS, SIDECAR, CONTENT, VOXELS = "the options", "the sidecar", "the content", "the voxel size"


@dataclass(frozen=True)
class Thickness:
    """How thick slices are.

    Attributes:
        mm: Thickness.
        source: Where it comes from, in words.
        interpolated: The slices that were measured, where those that are stored were interpolated.
    """

    mm: float
    source: str
    interpolated: Interpolated | None = None


def find_thickness(
    scan: Scan, config: Config, spacing: float, interpolated: Interpolated | None
) -> Thickness:
    """Return how thick slices are, and whether those that are stored count as measured.

    Args:
        scan: The scan.
        config: Choices of the run.
        spacing: Distance between stored slices in mm.
        interpolated: What its content says of slices that were interpolated.

    Raises:
        InputError: the figures contradict each other, or are no thickness of a slice.
    """
    if config.thickness_mm is not None or config.gap_mm is not None:
        found = _by_options(config, spacing, interpolated)
    else:
        found = _by_sidecar(scan, spacing, interpolated)
    distance = spacing if found.interpolated is None else found.interpolated.slice_mm
    if found.mm > max(LARGEST_OVERLAP * distance, LARGEST_OVERLAPPING_MM):
        message = (
            f"slices of {found.mm:.4g} mm every {distance:.4g} mm overlap more than "
            f"{LARGEST_OVERLAP:g} times: check --thickness and --gap"
        )
        raise InputError(message)
    return found


def is_stated_thick(config: Config, spacing: float) -> bool:
    """Whether the options say that slices are much thicker than they are stored apart.

    Args:
        config: Choices of the run.
        spacing: Distance between stored slices in mm.
    """
    if config.thickness_mm is not None:
        return config.thickness_mm > LEAST_OVERLAP * spacing
    return config.gap_mm is not None and config.gap_mm < (1.0 - LEAST_OVERLAP) * spacing


def _by_options(config: Config, spacing: float, interpolated: Interpolated | None) -> Thickness:
    thickness, gap = config.thickness_mm, config.gap_mm
    if thickness is not None and gap is None:
        # slices that are stated to be as thick as they are stored apart were measured so
        is_thick = thickness > LEAST_OVERLAP * spacing
        return Thickness(thickness, OPTIONS, interpolated if is_thick else None)
    if thickness is not None and gap is not None:
        if _agree(thickness + gap, spacing):
            return Thickness(thickness, OPTIONS)
        if interpolated is not None and _agree_with(interpolated, thickness + gap):
            return Thickness(thickness, OPTIONS, interpolated)
        message = (
            f"thickness {thickness:.4g} mm and gap {gap:.4g} mm contradict the image, whose "
            f"slices lie {spacing:.4g} mm apart: they must add up to that, and --thickness alone "
            "is enough"
        )
        raise InputError(message)
    distance = spacing if interpolated is None else interpolated.slice_mm
    if distance - (gap or 0.0) <= AGREEMENT_MM:
        message = (
            f"a gap of {gap:.4g} mm leaves no slice: slices lie {distance:.4g} mm apart; "
            "give a gap below that"
        )
        raise InputError(message)
    return Thickness(distance - (gap or 0.0), OPTIONS, interpolated)


def _by_sidecar(scan: Scan, spacing: float, interpolated: Interpolated | None) -> Thickness:
    thickness = _sidecar_length(scan, "SliceThickness")
    between = _sidecar_length(scan, "SpacingBetweenSlices")
    is_confirmed = (
        interpolated is not None and between is not None and _agree_with(interpolated, between)
    )
    if between is not None and not _agree(between, spacing) and not is_confirmed:
        message = (
            f"{scan.name}: the sidecar says slices lie {between:.4g} mm apart, the image says "
            f"{spacing:.4g} mm: give --thickness, which goes before the sidecar (of slices that "
            "were interpolated, their own), or correct the sidecar"
        )
        raise InputError(message)
    if interpolated is None:
        return Thickness(thickness or spacing, SIDECAR if thickness else VOXELS)
    if thickness is None or thickness <= LEAST_OVERLAP * spacing:
        # the sidecar tells how the slices are stored, as many programs write it
        return Thickness(interpolated.slice_mm, CONTENT, interpolated)
    return Thickness(thickness, SIDECAR, interpolated)


def _agree(found: float, expected: float, share: float = AGREEMENT_SHARE) -> bool:
    return abs(found - expected) <= max(AGREEMENT_MM, share * expected)


def _agree_with(interpolated: Interpolated, distance: float) -> bool:
    share = AGREEMENT_SHARE if interpolated.is_exact else ROUGH_SHARE
    return _agree(interpolated.slice_mm, distance, share)


def _sidecar_length(scan: Scan, key: str) -> float | None:
    value = scan.sidecar.get(key)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    low, high = LENGTHS_MM
    if not is_number or not low <= value <= high:
        message = (
            f"{scan.name}: the sidecar's {key} is {ascii(value)[:20]}; expected a number from "
            f"{low} to {high} mm: give --thickness, which goes before the sidecar, or correct it"
        )
        raise InputError(message)
    return float(value)
