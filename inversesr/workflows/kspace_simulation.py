"""From an image to a file of simulated k-space."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.kspace_simulation import simulate_kspace
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.kspace.write import write_image, write_kspace
from inversesr.io.nifti import read_scan
from inversesr.io.paths import from_home
from inversesr.volume import Grid, Volume


def simulate_kspace_file(
    truth: Path, output: Path, config: KSpaceSimulation, *, force: bool = False
) -> tuple[str, ...]:
    """Make k-space of an image, and write beside it the image that a full scan would give.

    Args:
        truth: A thin-slice image.
        output: File to write, .npz.
        config: What the scanner does.
        force: Whether existing files may be replaced.

    Returns:
        What is odd about the image's file, in sentences.

    Raises:
        InputError: truth is unusable, or output cannot be written.
    """
    output = from_home(output)
    if output.suffix != ".npz":
        message = f"{output.name} is not a name of k-space that is written: end it in .npz"
        raise InputError(message)
    image = output.with_name(f"{output.stem}_truth.nii.gz")
    check_output([output, image], force=force)
    scan = read_scan(from_home(truth))
    volume = slices_of(scan.volume, config)
    made = simulate_kspace(volume, config)
    with atomic_folder(output.parent, output.name) as partial:
        write_kspace(partial / output.name, made.kspace)
        write_image(partial / image.name, made.truth.abs().numpy(), volume.grid)
    return scan.warnings


def slices_of(volume: Volume, config: KSpaceSimulation) -> Volume:
    """Return slices about the middle of an image, their axis moved last; all of them in 3D."""
    letters = {"R": "LR", "A": "PA", "S": "IS"}[config.axis]
    axis = next(a for a, code in enumerate(volume.grid.axcodes) if code in letters)
    order = [*(a for a in range(3) if a != axis), axis]
    data = volume.data.transpose(order)
    affine = volume.grid.affine[:, [*order, 3]].copy()
    n = data.shape[2]
    wanted = n if config.is_3d or config.n_slices == 0 else min(config.n_slices, n)
    first = math.floor((n - wanted) / 2)
    data = np.ascontiguousarray(data[:, :, first : first + wanted])
    affine[:3, 3] += first * affine[:3, 2]
    x, y, z = data.shape
    return replace(volume, data=data, grid=Grid((x, y, z), affine))
