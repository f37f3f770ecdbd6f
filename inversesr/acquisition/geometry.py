"""From header, sidecar and options to the forward model of a scan.

Authority grows from the header (voxel size) over the BIDS sidecar (`SliceThickness`,
`SpacingBetweenSlices`) to the options. What had to be assumed is recorded in words.
"""

from dataclasses import dataclass

import numpy as np

from inversesr.acquisition.interpolated import Interpolated, find_interpolated
from inversesr.acquisition.missing import check_missing, missing_slices, named_slices, warning_of
from inversesr.acquisition.thickness import (
    CONTENT,
    LEAST_OVERLAP,
    VOXELS,
    Thickness,
    find_thickness,
    is_stated_thick,
)
from inversesr.config import DEFAULT_SPACING_MM, Config, Lengths
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slice_profile import Array, slice_matrix
from inversesr.resources import available_memory_bytes, gibibytes
from inversesr.volume import Grid, voxel_centres

# Spacings that differ by less than this are the same: headers are rounded.
SAME_SPACING = 0.05
# Slices thinner than this share of their distance are rare; a decimal point lost is not.
LEAST_LIKELY_SHARE = 0.5
# Peak of the whole process on the fine grid, measured with `tv` (docs/explanation/benchmarks.md).
WORKING_BYTES_PER_VOXEL = 160


@dataclass(frozen=True)
class Acquisition:
    """How a scan was taken, and onto which spacing it is to be refined.

    Attributes:
        slice_axis: Axis across the slices.
        slice_spacing_mm: Distance between the centres of slices that were measured.
        thickness_mm: Full width at half maximum of the slice profile.
        profile: Name of the slice profile.
        fine_spacing_mm: Voxel size of the fine grid along each axis, across the slices the
            distance between planes.
        assumptions: Where each figure came from, in sentences.
        warnings: Assumptions that may well be wrong, in sentences.
        interpolated: How stored slices follow from those that were measured; None where they are
            the same.
        missing: Slices of the scan's grid that were not measured, counted from 0.
    """

    slice_axis: int
    slice_spacing_mm: float
    thickness_mm: float
    profile: str
    fine_spacing_mm: tuple[float, float, float]
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    interpolated: Interpolated | None = None
    missing: tuple[int, ...] = ()

    @property
    def is_overlapping(self) -> bool:
        """Whether slices are so much thicker than they lie apart that they overlap on purpose."""
        return self.thickness_mm > LEAST_OVERLAP * self.slice_spacing_mm

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
    _refuse_unplaced(scan, config)
    missing = missing_slices(scan, config)
    # how slices were interpolated is read from whole lines through them
    found = None if missing else find_interpolated(scan.volume)
    slice_axis = find_slice_axis(grid, scan.slice_axis) if found is None else found.axis
    spacing = grid.plane_distance_mm[slice_axis]
    is_thick = is_stated_thick(config, spacing)
    if found is not None and config.thickness_mm is not None and not is_thick:
        # slices that are stated to be as thick as they are stored apart were measured so
        found, slice_axis = None, find_slice_axis(grid, scan.slice_axis)
    is_thick = is_thick or found is not None or bool(missing)
    fine_spacing = _fine_spacing(scan, slice_axis, config.target_mm, is_thick=is_thick)
    if fine_spacing[slice_axis] == spacing and scan.slice_axis is not None and not is_thick:
        slice_axis = int(np.argmax(np.array(grid.spacing_mm) / np.array(fine_spacing)))
    spacing = grid.plane_distance_mm[slice_axis]
    check_missing(missing, grid.shape[slice_axis], scan.name)
    thickness = find_thickness(scan, config, spacing, found)
    measured = thickness.interpolated
    distance = spacing if measured is None else measured.slice_mm
    lie = f"slices lie towards {grid.axcodes[slice_axis]} (axis {slice_axis}, counted from 0), "
    assumptions = [
        f"{lie}{spacing:.4g} mm apart",
        f"thickness {thickness.mm:.4g} mm from {thickness.source}",
        f"slice profile {config.profile}, by --profile or its default",
    ]
    if measured is not None:
        assumptions.insert(1, measured.words(grid.axcodes, spacing))
    warnings = _doubts_of_thickness(thickness, distance, spacing, grid.axcodes)
    if missing:
        warnings.insert(0, warning_of(missing))
        assumptions.append(f"{named_slices(missing)} (counted from 0) not measured")
    is_guessed = found is None and scan.slice_axis is None and is_thick
    if is_guessed and max(grid.spacing_mm) <= min(grid.spacing_mm) * (1.0 + SAME_SPACING):
        warnings.append(f"{lie}is assumed: no axis of the voxels is longer than another")
    return Acquisition(
        slice_axis, distance, thickness.mm, config.profile, fine_spacing, tuple(assumptions),
        tuple(warnings), measured, missing,
    )  # fmt: skip


def _doubts_of_thickness(
    thickness: Thickness, distance: float, spacing: float, axcodes: str
) -> list[str]:
    """Return what may well be wrong with a thickness, in sentences."""
    found, measured = [], thickness.interpolated
    if thickness.source == VOXELS:
        found.append(
            f"slice thickness is not stated: {thickness.mm:.4g} mm without gap is assumed "
            "(state it with --thickness or --gap)"
        )
    if thickness.source == CONTENT and measured is not None:
        found.append(
            f"{measured.words(axcodes, spacing)}; a thickness of {thickness.mm:.3g} mm without "
            f"gap is assumed (state it with --thickness; --thickness {spacing:.3g} takes all "
            "slices as measured)"
        )
    if thickness.mm < LEAST_LIKELY_SHARE * distance:
        found.append(
            f"slices of {thickness.mm:.4g} mm every {distance:.4g} mm leave most of the head "
            "unmeasured: check the thickness"
        )
    if measured is None and thickness.mm > LEAST_OVERLAP * spacing:
        found.append(
            f"slices of {thickness.mm:.4g} mm are stored every {spacing:.4g} mm: they are taken "
            "as measured so, overlapping, for nothing in them shows an interpolation"
        )
    return found


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
    """Return A: fine grid -> measured slices, for grids with the same axes and centre."""
    axes = range(3)
    matrices = [_axis_matrix(scan_grid, fine, acquisition, axis) for axis in axes]
    return SeparableOperator(fine.shape, (matrices[0], matrices[1], matrices[2]))


def first_slice_mm(scan_grid: Grid, acquisition: Acquisition) -> float:
    """Return where the first measured slice lies, from the centre of the scan."""
    axis, measured = acquisition.slice_axis, acquisition.interpolated
    stored = voxel_distances(scan_grid, axis)[axis]
    first = float(voxel_centres(scan_grid.shape[axis], stored)[0])
    return first if measured is None else first + measured.first_mm


def _axis_matrix(scan_grid: Grid, fine: Grid, acquisition: Acquisition, axis: int) -> Array | None:
    coarse, thin = (voxel_distances(g, acquisition.slice_axis)[axis] for g in (scan_grid, fine))
    is_slice_axis = axis == acquisition.slice_axis
    if scan_grid.shape[axis] == fine.shape[axis] and not is_slice_axis:
        return None
    edges = (np.arange(fine.shape[axis] + 1, dtype=np.float64) - fine.shape[axis] / 2.0) * thin
    centres = voxel_centres(scan_grid.shape[axis], coarse)
    if is_slice_axis:
        thickness, profile = acquisition.thickness_mm, acquisition.profile
        measured = acquisition.interpolated
        if measured is None:
            there = np.delete(centres, list(acquisition.missing))
            return slice_matrix(edges, there, thickness, profile)
        stored = measured.matrix(scan_grid.shape[axis], coarse)
        first = first_slice_mm(scan_grid, acquisition)
        slices = first + np.arange(measured.n_slices) * measured.slice_mm
        # the outermost ones may lie beyond what was stored
        inside = np.clip(slices, edges[0], edges[-1])
        return stored @ slice_matrix(edges, inside, thickness, profile)
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


def _fine_spacing(
    scan: Scan, slice_axis: int, wanted: Lengths | None, *, is_thick: bool
) -> tuple[float, float, float]:
    spacing, name = voxel_distances(scan.volume.grid, slice_axis), scan.name
    found = " x ".join(f"{s:.4g}" for s in spacing)
    is_isotropic = spacing.max() <= spacing.min() * (1.0 + SAME_SPACING)
    if wanted is None and is_isotropic and not is_thick:
        message = (
            f"{name} is already isotropic ({found} mm): there are no thick slices to refine; "
            "give a finer --spacing to refine it all the same, or the true --thickness of slices "
            "that were stored closer together"
        )
        if np.array_equal(np.abs(scan.volume.grid.affine), np.eye(4)):
            # what programs write that know no place
            message += ", or --voxel-size X,Y,Z if its header, the identity, is not true"
        raise InputError(message)
    target = np.array((DEFAULT_SPACING_MM,) * 3 if wanted is None else wanted)
    fine = np.where(spacing > target * (1.0 + SAME_SPACING), target, spacing)
    if (fine == spacing).all() and not is_thick:
        words = " x ".join(f"{s:.4g}" for s in (target if np.ptp(target) else target[:1]))
        message = (
            f"{name} has voxels of {found} mm, not coarser than the wanted {words} mm: "
            "there is nothing to refine; give a finer --spacing"
        )
        raise InputError(message)
    return (float(fine[0]), float(fine[1]), float(fine[2]))
