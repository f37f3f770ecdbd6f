"""Aligned brains as a whole-brain prior is trained on them: moved a little, with what is known.

Reference for the variables: Pinaya, Tudosiu, Dafflon, et al. (2022), Brain imaging generation with
latent diffusion models, doi:10.1007/978-3-031-18576-2_12.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.io.source import opened
from inversesr.io.voxels import read_array
from inversesr.priors.card import VariableCard
from inversesr.training.random import happens, normal, uniform
from inversesr.training.scans import LABEL_WORDS
from inversesr.training.synthetic import SyntheticConfig, draw_bias, paint

VARIABLES = (
    VariableCard("sex", 0.0, 1.0, 0.5, "0 female, 1 male"),
    VariableCard("age", 15.0, 90.0, 35.0, "years"),
    VariableCard("ventricles", 0.0, 120.0, 25.0, "volume of the ventricles, ml"),
    VariableCard("brain", 800.0, 2200.0, 1450.0, "volume of the brain with its fluid, ml"),
)
# seen by the network where a variable is not known
UNKNOWN = -1.0
TABLE_NAME = "participants.tsv"
# FreeSurfer numbers of the ventricles
VENTRICLES = (4, 5, 14, 15, 43, 44)
# how label maps are painted: as T1-weighted images of brains without lesions
LIKE_T1 = SyntheticConfig(1.0, ("T1w",), 1.0, 0.0, texture=0.05, bias=0.1, gamma=0.1)
# voxels between the knots of elastic changes
KNOT_VOXELS = 32


@dataclass(frozen=True, eq=False)
class Brain:
    """An aligned brain.

    Attributes:
        name: File name without its suffix.
        voxels: Intensities, uint8, 255 is white, or FreeSurfer labels, int16, shape (X, Y, Z).
        known: Age and sex, where they are known.
    """

    name: str
    voxels: torch.Tensor
    known: Mapping[str, float]

    @property
    def is_labels(self) -> bool:
        """Whether this is a label map."""
        return self.voxels.dtype == torch.int16


def read_brains(paths: Iterable[Path]) -> list[Brain]:
    """Read aligned brains, and of the tables beside them who they are.

    Raises:
        InputError: they do not lie on one grid, or a file is damaged.
    """
    brains: list[Brain] = []
    for path in paths:
        with opened(path) as source:
            array, _ = read_array(source.image, path.name)
        name = path.name.split(".nii")[0]
        is_labels = bool(LABEL_WORDS.intersection(name.lower().split("_")))
        voxels = torch.from_numpy(array.astype(np.int16 if is_labels else np.uint8))
        if brains and voxels.shape != brains[0].voxels.shape:
            message = (
                f"{path.name} has {tuple(voxels.shape)} voxels, {brains[0].name} "
                f"{tuple(brains[0].voxels.shape)}; expected one grid: run `inversesr prior align`"
            )
            raise InputError(message)
        brains.append(Brain(name, voxels, known_of(path)))
    return brains


def known_of(path: Path) -> dict[str, float]:
    """Return age in years and sex (0 female, 1 male) from participants.tsv beside a brain."""
    table = path.parent / TABLE_NAME
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["participant_id"]: row for row in csv.DictReader(file, delimiter="\t")}
    row = next((row for name, row in rows.items() if name in path.name.split("_")), {})
    known = {}
    with suppress(ValueError):
        known["age"] = float(row.get("age", ""))
    sex = row.get("sex", "").lower()[:1]
    if sex in ("f", "m"):
        known["sex"] = float(sex == "m")
    return known


def draw_brain(
    brain: Brain, generator: torch.Generator, *, as_it_is: bool = False
) -> tuple[torch.Tensor, dict[str, float]]:
    """Move a brain a little, mirror it, and paint it if it is a label map.

    Args:
        brain: The brain.
        generator: Source of randomness.
        as_it_is: Neither move nor mirror it, and leave intensities alone.

    Returns:
        Image about [0, 1], shape (X, Y, Z), and what is known of it.
    """
    voxels = brain.voxels if as_it_is else moved(brain, generator)
    known = {**brain.known, "brain": float((voxels > 0).sum()) / 1000.0}
    if brain.is_labels:
        inside = torch.isin(voxels, torch.tensor(VENTRICLES))
        known["ventricles"] = float(inside.sum()) / 1000.0
        return paint(voxels, LIKE_T1, generator), known
    image = voxels.float() / 255.0
    if not as_it_is:
        image = image ** math.exp(0.1 * normal(generator)) * uniform(0.9, 1.1, generator)
        image = image * draw_bias(image.shape, 0.07, generator)
    return image, known


def moved(brain: Brain, generator: torch.Generator) -> torch.Tensor:
    """Mirror a brain at random, turn, shift and stretch it a little, and bend it smoothly."""
    voxels = brain.voxels.flip(0) if happens(0.5, generator) else brain.voxels
    shape = torch.tensor(voxels.shape, dtype=torch.float32)
    angles = [0.05 * normal(generator) for _ in range(3)]
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [a for a in range(3) if a != axis]
        turn = torch.eye(3)
        turn[i, i] = turn[j, j] = math.cos(angle)
        turn[i, j], turn[j, i] = math.sin(angle), -math.sin(angle)
        matrix = matrix @ turn
    matrix = matrix * (1.0 + 0.04 * torch.randn(3, generator=generator))
    shift = 2.0 * torch.randn(3, generator=generator)
    # (1, 3, X, Y, Z): where each voxel is read, in voxels from the middle
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2.0 for n in voxels.shape]
    here = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    there = torch.einsum("ij,jxyz->ixyz", matrix, here) + shift[:, None, None, None]
    knots = [max(3, n // KNOT_VOXELS) for n in voxels.shape]
    bend = 2.5 * torch.randn((1, 3, *knots), generator=generator)
    there = (
        there
        + functional.interpolate(
            bend, size=list(voxels.shape), mode="trilinear", align_corners=True
        )[0]
    )
    grid = (2.0 * there / (shape - 1.0)[:, None, None, None]).flip(0).movedim(0, -1)[None]
    mode = "nearest" if brain.is_labels else "bilinear"
    found = functional.grid_sample(
        voxels.float()[None, None], grid, mode=mode, align_corners=True
    )[0, 0]
    return found.round().to(voxels.dtype)


def scaled(known: Mapping[str, float]) -> torch.Tensor:
    """Return variables as the network sees them, shape (4,)."""
    values = [
        (min(max(known[v.name], v.low), v.high) - v.low) / (v.high - v.low)
        if v.name in known
        else UNKNOWN
        for v in VARIABLES
    ]
    return torch.tensor(values)
