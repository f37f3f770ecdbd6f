"""What is to be generated in a scan: slices that are named or found, more of them, a region."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inversesr.acquisition.geometry import Acquisition, describe_acquisition
from inversesr.acquisition.missing import check_missing, named_slices, parse_slices
from inversesr.acquisition.spoilt_slices import find_spoilt
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Image, Volume
from inversesr.workflows.fill_choices import FillConfig


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be generated.

    Attributes:
        scan: The scan, longer by empty slices where its field of view is extended.
        slices: Slices of it to generate, counted from 0.
        acquisition: How it was taken.
        region: Voxels within other slices to generate.
        spoilt: Slices that were found, and how they are spoilt.
        n_added: Slices added at each end.
    """

    scan: Scan
    slices: tuple[int, ...]
    acquisition: Acquisition
    region: Image | None = None
    spoilt: dict[int, str] = field(default_factory=dict)
    n_added: int = 0

    @property
    def is_generated(self) -> Image:
        """1 where a voxel is generated, else 0."""
        marked = np.zeros(self.scan.volume.grid.shape, np.float32)
        if self.region is not None:
            marked[self.region > 0] = 1.0
        np.moveaxis(marked, self.acquisition.slice_axis, 0)[list(self.slices)] = 1.0
        return marked


def what_to_generate(scan: Scan, choices: FillConfig, mask: Image | None = None) -> Wanted:
    """Find out what is to be generated.

    Args:
        scan: The scan.
        choices: What was asked for.
        mask: Region to generate on the scan's grid, above 0 inside.

    Raises:
        InputError: that is nothing, or does not fit the scan.
    """
    named = () if choices.slices is None else parse_slices(choices.slices, "--slices")
    # an isotropic scan is filled, too: any slice that is named makes it one with holes
    config = choices.as_config(named or (0,))
    acquisition = describe_acquisition(scan, config)
    axis, grid = acquisition.slice_axis, scan.volume.grid
    stated = () if named else (0,)
    missing = set(acquisition.missing) - set(stated)
    spoilt = find_spoilt(scan.volume.data, axis, grid.spacing_mm) if choices.find else {}
    spoilt = {n: kind for n, kind in spoilt.items() if n not in missing}
    missing |= set(spoilt)
    n_added = 0
    if choices.extend_mm is not None:
        n_added = int(np.ceil(choices.extend_mm / grid.plane_distance_mm[axis] - 1e-6))
    longer = _extended(scan, axis, n_added)
    n = longer.volume.grid.shape[axis]
    ends = {*range(n_added), *range(n - n_added, n)}
    slices = tuple(sorted({k + n_added for k in missing} | ends))
    check_missing(slices, n, scan.name)
    region = None
    if mask is not None:
        region = np.pad(mask > 0, _pads(axis, n_added)).astype(np.float32)
        np.moveaxis(region, axis, 0)[list(slices)] = 0.0
        if region.all():
            message = "the mask covers the whole scan; expected a part of it"
            raise InputError(message)
    if not slices and (region is None or not region.any()):
        message = f"{scan.name} has no spoilt slice that could be found: name it with --slices"
        raise InputError(message)
    acquisition = replace(acquisition, missing=slices, warnings=(), assumptions=(
        f"slices towards {grid.axcodes[axis]} (axis {axis}, counted from 0), "
        f"{acquisition.slice_spacing_mm:.4g} mm apart, {acquisition.thickness_mm:.4g} mm thick",
    ))  # fmt: skip
    return Wanted(longer, slices, acquisition, region, spoilt, n_added)


def what_was_generated(wanted: Wanted) -> tuple[str, ...]:
    """Return what a reader must know before anything else, in sentences."""
    found = []
    n_added = wanted.n_added
    marked = f"{wanted.is_generated.mean():.2%} of the voxels were generated, not measured"
    found.append(f"{marked}: see the map; never take them for findings")
    if wanted.slices:
        found.append(f"{named_slices(wanted.slices)} of the result (counted from 0) generated")
    if n_added:
        found.append(
            f"the field of view was extended by {n_added} slices at each end, of which no slice "
            "shows anything"
        )
    for n, kind in wanted.spoilt.items():
        found.append(f"slice {n} of the scan was found to be {kind}, and was replaced")
    if wanted.region is not None:
        found.append(f"{int(wanted.region.sum())} voxels within the mask were generated")
    return tuple(found)


def _extended(scan: Scan, axis: int, n_added: int) -> Scan:
    """Return a scan with empty slices at both ends."""
    if n_added == 0:
        return scan
    data = np.pad(scan.volume.data, _pads(axis, n_added))
    affine = scan.volume.grid.affine.copy()
    affine[:3, 3] -= n_added * affine[:3, axis]
    x, y, z = data.shape
    return replace(scan, volume=Volume(data, Grid((x, y, z), affine)))


def _pads(axis: int, n: int) -> Sequence[tuple[int, int]]:
    return [(n, n) if a == axis else (0, 0) for a in range(3)]
