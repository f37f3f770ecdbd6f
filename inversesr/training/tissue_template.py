"""The mean brain by tissue, from aligned label maps: what `acquisition.anatomy` compares with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.atomic import check_output
from inversesr.io.nifti import read_scan
from inversesr.training.scans import LABEL_WORDS, find_scans
from inversesr.training.synthetic import FLUID_OF_BOTH_SIDES, WHITE_OF_BOTH_SIDES

# voxels of a label map to one of the template, along each axis
FACTOR = 4
# FreeSurfer's label of the fluid about the brain: some maps mark little or nothing of it
FLUID_ABOUT_BRAIN, LEAST_FLUID_SHARE = 24, 0.02


def write_template(folders: Sequence[Path], output: Path) -> int:
    """Write how often each place is fluid, white matter and brain, as bytes.

    Args:
        folders: Aligned label maps (`inversesr prior align`); other images are passed over.
        output: File to write, .npz.

    Returns:
        How many label maps there were.

    Raises:
        InputError: there are none that mark the fluid about the brain, or the file cannot be
            written.
    """
    if output.suffix != ".npz" or not output.absolute().parent.is_dir():
        message = f"{output} cannot be written; expected a name ending in .npz in a folder"
        raise InputError(message)
    check_output([output], force=True)
    total, n, affine = np.zeros(0), 0, np.eye(4)
    for path in find_scans(folders):
        if not LABEL_WORDS.intersection(path.name.split(".nii")[0].lower().split("_")):
            continue
        volume = read_scan(path).volume
        labels = np.rint(volume.data).astype(np.int64)
        if (labels == FLUID_ABOUT_BRAIN).sum() <= LEAST_FLUID_SHARE * (labels > 0).sum():
            continue
        shares = np.stack(
            [
                block_means(np.isin(labels, FLUID_OF_BOTH_SIDES)),
                block_means(np.isin(labels, WHITE_OF_BOTH_SIDES)),
                block_means(labels > 0),
            ]
        )
        total, n, affine = (total + shares if n else shares), n + 1, volume.grid.affine
    if not n:
        message = "found no aligned label map that marks the fluid about the brain (label 24)"
        raise InputError(message)
    fluid, white, brain = np.rint(255.0 * total / n).astype(np.uint8)
    coarse = np.diag([FACTOR, FACTOR, FACTOR, 1.0])
    coarse[:3, 3] = (FACTOR - 1) / 2.0
    np.savez_compressed(output, fluid=fluid, white=white, brain=brain, affine=affine @ coarse)
    return n


def block_means(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of each block that is marked."""
    x, y, z = (n // FACTOR for n in mask.shape)
    kept = mask[: x * FACTOR, : y * FACTOR, : z * FACTOR]
    return np.asarray(kept.reshape(x, FACTOR, y, FACTOR, z, FACTOR).mean(axis=(1, 3, 5)))
