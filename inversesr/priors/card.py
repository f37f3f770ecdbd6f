"""The format of `prior.json`: everything by which one prior differs from another, as data.

A prior is a folder with `prior.json` and `*.safetensors`. This module turns the JSON object into
a frozen `PriorCard` and back, and refuses what it does not understand in one sentence.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from inversesr.errors import InputError
from inversesr.priors.card_checks import contradiction
from inversesr.priors.old_names import with_present_names
from inversesr.priors.store import CARD_NAME, read_json
from inversesr.priors.typed_json import read_value
from inversesr.volume import Affine, Grid

FORMAT = 1


@dataclass(frozen=True)
class GridCard:
    """Where images of the prior lie.

    Attributes:
        kind: "fixed" (one lattice in one pose) or "free" (any shape that is a multiple).
        spacing_mm: Voxel size along each axis.
        axcodes: Direction in which each axis runs, such as "RAS".
        shape: Voxels along each axis; fixed grids only.
        origin_mm: World position of voxel (0, 0, 0), RAS+ mm; fixed grids only.
        pose: Name of the space in which heads are aligned, such as "MNI152"; fixed grids only.
        multiple: Every side of a free grid is a multiple of this.
        oriented: Whether a free grid takes the axes of a scan in the order and directions of
            axcodes; else in the scan's own, the slice axis last.
    """

    kind: Literal["fixed", "free"]
    spacing_mm: tuple[float, float, float]
    axcodes: str = "RAS"
    shape: tuple[int, int, int] | None = None
    origin_mm: tuple[float, float, float] | None = None
    pose: str | None = None
    multiple: int = 1
    oriented: bool = False


@dataclass(frozen=True)
class IntensityCard:
    """How a scan's intensities become [0, 1], and what the network wants instead of [0, 1].

    Attributes:
        low_percentile: Percentile of the scan that becomes 0.
        high_percentile: Percentile of the scan that becomes 1.
        network_low: What the autoencoder was trained to see for 0.
        network_high: What the autoencoder was trained to see for 1.
    """

    low_percentile: float = 0.0
    high_percentile: float = 100.0
    network_low: float = 0.0
    network_high: float = 1.0


@dataclass(frozen=True)
class LatentCard:
    """The latent space: z = scale * (mean that the encoder predicts), whitened if it says so.

    Attributes:
        channels: Number of latent channels.
        factor: Image voxels to one latent voxel along each axis.
        scale: Number by which the encoder's mean is multiplied for the denoiser.
        has_encoder: Whether the weights of the encoder are in the file.
        mean: Mean of z by channel over training scans, before whitening, when measured.
        std: Standard deviation of z by channel over training scans, likewise.
        whitened: Whether z is moreover shifted by the mean and divided by std.
        multiple: Every side of z is padded with zeros, on both sides, to a multiple of this.
    """

    channels: int
    factor: int
    scale: float = 1.0
    has_encoder: bool = True
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    whitened: bool = False
    multiple: int = 1


@dataclass(frozen=True)
class NetworkCard:
    """One network: the name of its class, its arguments and the file of its weights."""

    network: str
    arguments: dict[str, Any]
    file: str


@dataclass(frozen=True)
class ScheduleCard:
    """Noise levels and what the denoiser predicts; see `inversesr.priors.schedule`."""

    kind: Literal["scaled_linear", "linear", "cosine", "shifted_cosine", "rectified_flow"]
    n_steps: int
    prediction: Literal["epsilon", "v", "x0", "flow"]
    spacing: Literal["leading", "linspace", "trailing", "inversesr"] = "leading"
    arguments: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class VariableCard:
    """One conditioning variable in its natural unit; the network sees (v - low) / (high - low)."""

    name: str
    low: float
    high: float
    default: float
    meaning: str = ""


@dataclass(frozen=True)
class ConditioningCard:
    """What is known of the subject and how it enters the denoiser.

    Attributes:
        variables: In the order in which the network takes them.
        concatenated: Whether they are appended to the latent as constant maps.
        cross_attention: Whether they are the context of cross-attention, shape [B, 1, n].
        null: Values seen by the network when conditioning was dropped in training, if it was.
        class_label: Which of the classes that the network knows this prior makes, if it has any.
        null_class: Class seen by the network when it was dropped in training, if it was.
        spacing_factor: The network takes the voxel size in mm times this, if it takes it.
    """

    variables: tuple[VariableCard, ...] = ()
    concatenated: bool = False
    cross_attention: bool = False
    null: tuple[float, ...] | None = None
    class_label: int | None = None
    null_class: int | None = None
    spacing_factor: float | None = None


@dataclass(frozen=True)
class IntervalCard:
    """Factors of the expected error by group; see `inversesr.uncertainty.conformal`.

    Attributes:
        sd_edges: Edges between groups of the expected error, as shares of the bright end.
        detail_edges: Edges between groups of detail over expected error.
        factors: One row for each group of the expected error, one column for each of detail.
    """

    sd_edges: tuple[float, ...]
    detail_edges: tuple[float, ...]
    factors: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class FileCard:
    """Size in bytes and SHA-256 of a file beside `prior.json`."""

    size: int
    sha256: str


@dataclass(frozen=True)
class PriorCard:
    """All of `prior.json`; docs/reference/prior-card.md describes every field."""

    name: str
    version: str
    licence: str
    citation: str
    intended_use: str
    limits: str
    modality: str
    skull: Literal["present", "stripped"]
    grid: GridCard
    latent: LatentCard
    networks: dict[str, NetworkCard]
    schedule: ScheduleCard | None = None
    intensity: IntensityCard = IntensityCard()
    conditioning: ConditioningCard = ConditioningCard()
    reconstruction_rmse: float | None = None
    sd_factor: float = 1.0
    sd_over_error: float | None = None
    error_factor: float = 1.0
    intervals: IntervalCard | None = None
    files: dict[str, FileCard] = field(default_factory=dict)
    format: int = FORMAT


def parse_card(data: object) -> PriorCard:
    """Read a decoded `prior.json`.

    Args:
        data: The JSON value, normally an object.

    Returns:
        The card, its parts consistent with one another.

    Raises:
        InputError: a field is missing, unknown, of the wrong type or contradicts another.
    """
    found = data.get("format", FORMAT) if isinstance(data, Mapping) else FORMAT
    if found != FORMAT:
        message = f"prior.json has format {found!r}; expected {FORMAT}: update inversesr"
        raise InputError(message)
    card = cast("PriorCard", read_value(PriorCard, with_present_names(data), "prior.json"))
    problem = contradiction(card)
    if problem:
        message = f"prior.json of {card.name!r} contradicts itself: {problem}"
        raise InputError(message)
    return card


def read_card(folder: Path) -> PriorCard:
    """Read the card of a prior from its folder.

    Raises:
        InputError: it cannot be read, or is wrong.
    """
    return parse_card(read_json(folder / CARD_NAME))


def dump_card(card: PriorCard) -> str:
    """Write a card as the text of `prior.json`; `parse_card` reads it back unchanged."""
    return json.dumps(asdict(card), indent=2) + "\n"


def grid_of(card: PriorCard, shape: tuple[int, int, int] | None = None) -> Grid:
    """Return the grid of a fixed prior, or a free prior's grid of the given shape at the origin.

    Raises:
        InputError: the prior is free and no fitting shape was given.
    """
    spec = card.grid
    size = spec.shape or shape
    if size is None or any(n < 1 or n % spec.multiple for n in size):
        message = (
            f"prior {card.name!r} was asked for a grid of shape {size}; "
            f"expected three multiples of {spec.multiple}: pad the image"
        )
        raise InputError(message)
    affine: Affine = np.eye(4)
    affine[:3, :3] = directions(spec.axcodes) * np.asarray(spec.spacing_mm)
    affine[:3, 3] = spec.origin_mm or (0.0, 0.0, 0.0)
    return Grid(size, affine)


def directions(axcodes: str) -> Affine:
    """Return unit vectors of axes such as "RAS", one a column, shape (3, 3)."""
    world = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    columns = np.zeros((3, 3))
    for axis, letter in enumerate(axcodes):
        row, sign = world[letter]
        columns[row, axis] = sign
    return columns
