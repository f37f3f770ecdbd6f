"""`inversesr dwi radiomics`: features of one region in several maps, such as thick and thin."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from inversesr.dwi.radiomics import ADC_BIN_WIDTH, features_of
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.checks import stem
from inversesr.io.masks import read_mask
from inversesr.io.nifti import read_scan
from inversesr.io.paths import from_home
from inversesr.volume import Grid, Image, Volume


def on_grid(volume: Volume, grid: Grid) -> Image:
    """Return an image interpolated on other voxels, as the IBSI asks before texture is judged.

    Args:
        volume: The image.
        grid: The voxels.
    """
    from scipy.ndimage import affine_transform

    if volume.grid.same_as(grid):
        return volume.data
    image_from_grid = np.linalg.inv(volume.grid.affine) @ grid.affine
    found = affine_transform(
        volume.data, image_from_grid, output_shape=grid.shape, order=1, mode="nearest"
    )
    return np.asarray(found, dtype=np.float32)


def radiomics_table(
    maps: list[Path],
    mask: Path,
    output: Path,
    bin_width: float = ADC_BIN_WIDTH,
    *,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Write the features of a region in several maps, one row a map.

    Args:
        maps: Image files, such as the ADC of thick slices, of thin ones, and of truth.
        mask: Image file, above 0 inside; every map is interpolated linearly on its voxels.
        output: CSV file to write.
        bin_width: Width of a grey level, in units of the maps.
        force: Whether it may be replaced.

    Returns:
        The rows: `case`, the name of the map, and the features.

    Raises:
        InputError: a file is not usable, or the region is too small.
    """
    output, mask = from_home(output), from_home(mask)
    check_output([output], force=force)
    if bin_width <= 0.0:
        message = f"bin-width is {bin_width:g}; expected a width above 0, in units of the maps"
        raise InputError(message)
    grid = read_scan(mask, is_mask=True).volume.grid
    inside, _ = read_mask(mask, grid)
    rows: list[dict[str, Any]] = []
    for path in maps:
        volume = read_scan(from_home(path)).volume
        rows.append({"case": stem(path)} | features_of(on_grid(volume, grid), inside, bin_width))
    with (
        atomic_folder(output.parent, output.name) as partial,
        (partial / output.name).open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows
