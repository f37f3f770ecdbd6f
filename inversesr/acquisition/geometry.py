"""From header, sidecar and options to the forward model of a scan.

Authority grows from the header (voxel size) over the BIDS sidecar (`SliceThickness`,
`SpacingBetweenSlices`) to the options. What had to be assumed is recorded in words.
"""

from dataclasses import dataclass

import numpy as np

from inversesr.config import DEFAULT_SPACING_MM, SMALLEST_SPACING_MM, Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slice_profile import Array, slice_matrix
from inversesr.resources import available_memory_bytes, gibibytes
from inversesr.volume import Grid, voxel_centres

# Spacings that differ by less than this are the same: headers are rounded.
SAME_SPACING = 0.05
# Header against sidecar, thickness + gap against spacing.
AGREEMENT_MM = 0.02
# Thinnest and thickest slices, and their distances; JSON may hold integers that no float can.
LENGTHS_MM = (SMALLEST_SPACING_MM, 50.0)
# Beyond this overlap the slices hold next to nothing of their own.
LARGEST_OVERLAP = 5.0
# Slices thinner than this share of their distance are rare; a decimal point lost is not.
LEAST_LIKELY_SHARE = 0.5
# Peak of the whole process on the fine grid, measured with `tv` (docs/explanation/benchmarks.md).
WORKING_BYTES_PER_VOXEL = 160


@dataclass(frozen=True)
class Acquisition:
    """How a scan was taken, and onto which spacing it is to be refined.

    Attributes:
        slice_axis: Axis across the slices.
        slice_spacing_mm: Distance between slice centres.
        thickness_mm: Full width at half maximum of the slice profile.
        profile: Name of the slice profile.
        fine_spacing_mm: Voxel size of the fine grid along each axis, across the slices the
            distance between planes.
        assumptions: Where each figure came from, in sentences.
        warnings: Assumptions that may well be wrong, in sentences.
    """

    slice_axis: int
    slice_spacing_mm: float
    thickness_mm: float
    profile: str
    fine_spacing_mm: tuple[float, float, float]
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def gap_mm(self) -> float:
        """Distance between neighbouring slices' edges, negative for overlap."""
        return self.slice_spacing_mm - self.thickness_mm


def describe_acquisition(scan: Scan, config: Config) -> Acquisition:
    """Find out how a scan was taken.

    Raises:
        InputError: the figures contradict each other, or there is nothing to refine.
    """
    grid = scan.volume.grid
    slice_axis = find_slice_axis(grid, scan.slice_axis)
    _refuse_unplaced(scan, config)
    fine_spacing = _fine_spacing(scan, slice_axis, config.spacing_mm)
    spacing = grid.plane_distance_mm[slice_axis]
    if fine_spacing[slice_axis] == spacing and scan.slice_axis is not None:
        slice_axis = int(np.argmax(np.array(grid.spacing_mm) / np.array(fine_spacing)))
        spacing = grid.plane_distance_mm[slice_axis]
    thickness, source = _thickness(scan, config, spacing)
    assumptions = (
        f"slices lie towards {grid.axcodes[slice_axis]} (axis {slice_axis}, counted from 0), "
        f"{spacing:.4g} mm apart",
        f"thickness {thickness:.4g} mm from {source}",
        f"slice profile {config.profile}, by --profile or its default",
    )
    warnings = []
    if source == "the voxel size":
        warnings.append(
            f"slice thickness is not stated: {thickness:.4g} mm without gap is assumed "
            "(state it with --thickness or --gap)"
        )
    if thickness < LEAST_LIKELY_SHARE * spacing:
        warnings.append(
            f"slices of {thickness:.4g} mm every {spacing:.4g} mm leave most of the head "
            "unmeasured: check the thickness"
        )
    return Acquisition(
        slice_axis, spacing, thickness, config.profile, fine_spacing, assumptions, tuple(warnings)
    )


def _refuse_unplaced(scan: Scan, config: Config) -> None:
    """Refuse a header that says nothing: voxels of 1 mm that no code vouches for."""
    header, spacing = scan.header, scan.volume.grid.spacing_mm
    is_coded = header.qform_code > 0 or header.sform_code > 0
    if is_coded or spacing != (1.0, 1.0, 1.0) or config.voxel_size is not None:
        return
    message = (
        f"{scan.name} has no valid spatial information: its qform and sform codes are 0 and its "
        "voxels 1 x 1 x 1 mm, as a header is where nothing was set: give --voxel-size X,Y,Z in "
        "mm, or convert the scan from DICOM again"
    )
    raise InputError(message)


def find_slice_axis(grid: Grid, stated: int | None) -> int:
    """Return the coarsest axis; among equally coarse ones the stated one, else the last."""
    spacing = np.array(grid.spacing_mm)
    coarse = np.flatnonzero(spacing >= spacing.max() * (1.0 - SAME_SPACING))
    return stated if stated is not None and stated in coarse else int(coarse[-1])


def fine_grid(scan_grid: Grid, acquisition: Acquisition) -> Grid:
    """Return the grid that is written: the scan's axes and centre, finer voxels.

    Raises:
        InputError: it would not fit into memory.
    """
    distances = voxel_distances(scan_grid, acquisition.slice_axis)
    extent = np.array(scan_grid.shape) * distances
    n = np.maximum(np.round(extent / np.array(acquisition.fine_spacing_mm)), 1.0)
    needed, available = float(np.prod(n)) * WORKING_BYTES_PER_VOXEL, available_memory_bytes()
    if needed > available:
        message = (
            f"a fine grid of {n[0]:.0f} x {n[1]:.0f} x {n[2]:.0f} voxels needs about "
            f"{gibibytes(needed)}, {gibibytes(available)} are free: give a coarser --spacing"
        )
        raise InputError(message)
    # along the axes, which are longer than the way across planes where they are sheared
    slant = np.array(scan_grid.spacing_mm) / distances
    spacing = tuple((slant * np.array(acquisition.fine_spacing_mm)).tolist())
    return scan_grid.respaced((int(n[0]), int(n[1]), int(n[2])), spacing)


def forward_operator(scan_grid: Grid, fine: Grid, acquisition: Acquisition) -> SeparableOperator:
    """Return A: fine grid -> scan grid, for grids with the same axes and centre."""
    axes = range(3)
    matrices = [_axis_matrix(scan_grid, fine, acquisition, axis) for axis in axes]
    return SeparableOperator(fine.shape, (matrices[0], matrices[1], matrices[2]))


def _axis_matrix(scan_grid: Grid, fine: Grid, acquisition: Acquisition, axis: int) -> Array | None:
    coarse, thin = (voxel_distances(g, acquisition.slice_axis)[axis] for g in (scan_grid, fine))
    is_slice_axis = axis == acquisition.slice_axis
    if scan_grid.shape[axis] == fine.shape[axis] and not is_slice_axis:
        return None
    edges = (np.arange(fine.shape[axis] + 1, dtype=np.float64) - fine.shape[axis] / 2.0) * thin
    centres = voxel_centres(scan_grid.shape[axis], coarse)
    if is_slice_axis:
        return slice_matrix(edges, centres, acquisition.thickness_mm, acquisition.profile)
    # within the slice a voxel averages over itself
    return slice_matrix(edges, centres, coarse, "rect")


def voxel_distances(grid: Grid, slice_axis: int) -> Array:
    """Return the distance between voxels along each axis in mm, across the slices between planes.

    Within a slice voxels are as far apart as their edges are long. A sheared stack goes on along
    a slant, which is longer than the way from slice to slice.
    """
    distances = np.array(grid.spacing_mm)
    distances[slice_axis] = grid.plane_distance_mm[slice_axis]
    return distances


def _fine_spacing(scan: Scan, slice_axis: int, wanted: float | None) -> tuple[float, float, float]:
    spacing, name = voxel_distances(scan.volume.grid, slice_axis), scan.name
    found = " x ".join(f"{s:.4g}" for s in spacing)
    is_isotropic = spacing.max() <= spacing.min() * (1.0 + SAME_SPACING)
    if wanted is None and is_isotropic:
        message = (
            f"{name} is already isotropic ({found} mm): there are no thick slices to refine; "
            "give a finer --spacing to refine it all the same"
        )
        if np.array_equal(np.abs(scan.volume.grid.affine), np.eye(4)):
            # what programs write that know no place
            message += ", or --voxel-size X,Y,Z if its header, the identity, is not true"
        raise InputError(message)
    target = DEFAULT_SPACING_MM if wanted is None else wanted
    fine = np.where(spacing > target * (1.0 + SAME_SPACING), target, spacing)
    if (fine == spacing).all():
        message = (
            f"{name} has voxels of {found} mm, not coarser than the wanted {target:.4g} mm: "
            "there is nothing to refine; give a finer --spacing"
        )
        raise InputError(message)
    return (float(fine[0]), float(fine[1]), float(fine[2]))


def _thickness(scan: Scan, config: Config, spacing: float) -> tuple[float, str]:
    """Return the slice thickness and where it comes from."""
    if config.thickness_mm is not None or config.gap_mm is not None:
        return _thickness_from_options(config, spacing), "the options"
    thickness = _sidecar_length(scan, "SliceThickness")
    between = _sidecar_length(scan, "SpacingBetweenSlices")
    if between is not None and abs(between - spacing) > max(AGREEMENT_MM, 0.01 * spacing):
        message = (
            f"{scan.name}: the sidecar says slices lie {between:.4g} mm apart, the image says "
            f"{spacing:.4g} mm: state --thickness and --gap, or correct the sidecar"
        )
        raise InputError(message)
    if thickness is None:
        return spacing, "the voxel size"
    if thickness > spacing + AGREEMENT_MM and between is None:
        raise _contradiction(thickness, spacing, " of the sidecar")
    _check_overlap(thickness, spacing)
    return thickness, "the sidecar"


def _thickness_from_options(config: Config, spacing: float) -> float:
    gap = config.gap_mm
    if config.thickness_mm is None:
        thickness = spacing - (gap or 0.0)
        if thickness <= AGREEMENT_MM:
            message = (
                f"a gap of {gap:.4g} mm leaves no slice: slices lie {spacing:.4g} mm apart; "
                "give a gap below that"
            )
            raise InputError(message)
    else:
        thickness = config.thickness_mm
        if gap is None and thickness > spacing + AGREEMENT_MM:
            raise _contradiction(thickness, spacing)
        if gap is not None and abs(thickness + gap - spacing) > max(AGREEMENT_MM, 0.01 * spacing):
            message = (
                f"thickness {thickness:.4g} mm and gap {gap:.4g} mm contradict the image, whose "
                f"slices lie {spacing:.4g} mm apart: they must add up to that"
            )
            raise InputError(message)
    _check_overlap(thickness, spacing)
    return thickness


def _contradiction(thickness: float, spacing: float, source: str = "") -> InputError:
    return InputError(
        f"thickness {thickness:.4g} mm{source} contradicts slices that lie {spacing:.4g} mm "
        f"apart: if they do overlap, say so with --gap {spacing - thickness:.4g}"
    )


def _check_overlap(thickness: float, spacing: float) -> None:
    if thickness > LARGEST_OVERLAP * spacing:
        message = (
            f"slices of {thickness:.4g} mm every {spacing:.4g} mm overlap more than "
            f"{LARGEST_OVERLAP:g} times: check --thickness and --gap"
        )
        raise InputError(message)


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
