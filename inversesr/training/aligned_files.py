"""Aligned brains as files: a NIfTI file a brain, all on one grid, with who is who."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan, write_template_space
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import GridCard, directions
from inversesr.priors.typed_json import read_value
from inversesr.training.alignment import AlignedBrain, align_brains
from inversesr.training.brains import TABLE_NAME
from inversesr.training.scans import LABEL_WORDS, find_scans
from inversesr.volume import Grid, Volume


def align_files(
    data_dirs: Sequence[Path], template: Path, output: Path
) -> Iterator[tuple[AlignedBrain | None, Path]]:
    """Bring the brains of some folders onto the grid of whole-brain priors, file by file.

    A file that is there already is left as it is, so that an interrupted call goes on.

    Args:
        data_dirs: Folders of images without skull, and of label maps; participants.tsv in one of
            them is copied.
        template: Image of a brain in the pose that is wanted; or a folder of aligned brains, whose
            mean is taken.
        output: Folder to write.

    Yields:
        Each brain with its file; None for one that was there.

    Raises:
        InputError: there are no brains, or one cannot be read or brought onto the template.
    """
    grid = whole_brain_grid()
    paths = find_scans(data_dirs)
    wanted = mean_of(template) if template.is_dir() else read_scan(template).volume
    output.mkdir(parents=True, exist_ok=True)
    for folder in data_dirs:
        table = folder / TABLE_NAME
        if table.is_file() and not (output / TABLE_NAME).exists():
            shutil.copyfile(table, output / TABLE_NAME)
    for path in paths:
        file = output / f"{path.name.split('.nii')[0]}.nii.gz"
        if file.exists():
            yield None, file
            continue
        brain = next(align_brains([path], wanted, grid))
        write_template_space(file, brain.voxels, grid)
        yield brain, file


def whole_brain_grid() -> Grid:
    """Return the grid of whole-brain priors: that of the Brain LDM, 160 x 224 x 160 at 1 mm."""
    card = BRAIN_LDM["grid"]
    affine = np.eye(4)
    affine[:3, :3] = directions(card["axcodes"]) * np.asarray(card["spacing_mm"])
    affine[:3, 3] = card["origin_mm"]
    x, y, z = card["shape"]
    return Grid((x, y, z), affine)


def grid_card() -> GridCard:
    """Return what a prior's card says of that grid."""
    card: Any = read_value(GridCard, BRAIN_LDM["grid"], "grid")
    return cast(GridCard, card)


def mean_of(folder: Path) -> Volume:
    """Return the mean of the aligned images in a folder; label maps are left out.

    Raises:
        InputError: there are none.
    """
    paths = [p for p in find_scans([folder]) if not LABEL_WORDS.intersection(words_of(p))]
    if not paths:
        message = f"{folder} holds label maps only; expected aligned images: give a template file"
        raise InputError(message)
    first = read_scan(paths[0]).volume
    total = first.data.astype(np.float64)
    for path in paths[1:]:
        total += read_scan(path).volume.data
    return first.with_data((total / len(paths)).astype(np.float32))


def words_of(path: Path) -> list[str]:
    """Return the words in the name of a file."""
    return path.name.split(".nii")[0].lower().split("_")
