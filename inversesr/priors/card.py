"""The format of `prior.json`: everything by which one prior differs from another, as data.

A prior is a folder with `prior.json` and `*.safetensors`. This module turns the JSON object into
a frozen `PriorCard` and back, and refuses what it does not understand in one sentence.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from inversesr.errors import InputError
from inversesr.priors.store import CARD_NAME, read_json
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
    """

    kind: Literal["fixed", "free"]
    spacing_mm: tuple[float, float, float]
    axcodes: str = "RAS"
    shape: tuple[int, int, int] | None = None
    origin_mm: tuple[float, float, float] | None = None
    pose: str | None = None
    multiple: int = 1


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
    """

    channels: int
    factor: int
    scale: float = 1.0
    has_encoder: bool = True
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    whitened: bool = False


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
    """

    variables: tuple[VariableCard, ...] = ()
    concatenated: bool = False
    cross_attention: bool = False
    null: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FileCard:
    """Size in bytes and SHA-256 of a file beside `prior.json`."""

    size: int
    sha256: str


@dataclass(frozen=True)
class PriorCard:
    """All of `prior.json`; docs/priors.md describes every field for users."""

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
    card = cast("PriorCard", read_value(PriorCard, data, "prior.json"))
    checks = (
        _grid_problem,
        _latent_problem,
        _denoiser_problem,
        _conditioning_problem,
        _sd_problem,
        _file_problem,
    )
    for problem in (check(card) for check in checks):
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
    affine[:3, :3] = _directions(spec.axcodes) * np.asarray(spec.spacing_mm)
    affine[:3, 3] = spec.origin_mm or (0.0, 0.0, 0.0)
    return Grid(size, affine)


def _directions(axcodes: str) -> Affine:
    """Return unit vectors of the axes, one a column."""
    world = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    columns = np.zeros((3, 3))
    for axis, letter in enumerate(axcodes):
        row, sign = world[letter]
        columns[row, axis] = sign
    return columns


def _grid_problem(card: PriorCard) -> str:
    """Return what is wrong with the grid, or an empty text."""
    spec, factor = card.grid, card.latent.factor
    letters = [
        next((i for i, pair in enumerate(("LR", "PA", "IS")) if c in pair), -1)
        for c in spec.axcodes
    ]
    if sorted(letters) != [0, 1, 2]:
        return f"grid.axcodes is {spec.axcodes!r}, not three different directions"
    if min(spec.spacing_mm) <= 0 or factor < 1 or spec.multiple < 1:
        return "grid.spacing_mm, grid.multiple and latent.factor must be above 0"
    if spec.kind == "fixed" and (spec.shape is None or spec.origin_mm is None):
        return "a fixed grid needs shape and origin_mm"
    if spec.kind == "free" and (spec.shape is not None or spec.multiple % factor):
        return "a free grid has no shape, and its multiple is a multiple of latent.factor"
    if spec.shape is not None and any(n % factor for n in spec.shape):
        return f"grid.shape {spec.shape} is no multiple of latent.factor {factor}"
    return ""


def _latent_problem(card: PriorCard) -> str:
    """Return what is wrong with the statistics of the latent, or an empty text."""
    latent = card.latent
    for name, values in (("mean", latent.mean), ("std", latent.std)):
        if values is None and latent.whitened:
            return f"whitened latents need latent.{name}"
        if values is not None and len(values) != latent.channels:
            return f"latent.{name} has {len(values)} values; expected {latent.channels}"
    if latent.std is not None and min(latent.std) <= 0:
        return "latent.std must be above 0"
    return ""


def _denoiser_problem(card: PriorCard) -> str:
    """Return how denoiser, latent and schedule disagree, or an empty text."""
    denoiser, n = card.networks.get("denoiser"), len(card.conditioning.variables)
    if denoiser is None:
        return ""
    if card.schedule is None:
        return "a denoiser needs a schedule"
    if (card.schedule.kind == "rectified_flow") != (card.schedule.prediction == "flow"):
        return "prediction flow belongs to the schedule rectified_flow and to no other"
    expected = card.latent.channels + (n if card.conditioning.concatenated else 0)
    found = denoiser.arguments.get("in_channels", expected)
    if found != expected:
        return f"the denoiser takes {found} channels; latent and conditioning make {expected}"
    width = denoiser.arguments.get("cross_attention_dim")
    if card.conditioning.cross_attention and width != n:
        return f"cross_attention_dim is {width} but there are {n} conditioning variables"
    return ""


def _conditioning_problem(card: PriorCard) -> str:
    """Return what is wrong with the conditioning variables, or an empty text."""
    for variable in card.conditioning.variables:
        if not variable.low <= variable.default <= variable.high or variable.low == variable.high:
            return f"the default of {variable.name!r} is not within its range"
    null = card.conditioning.null
    if null is not None and len(null) != len(card.conditioning.variables):
        return "conditioning.null needs one value a variable"
    return ""


def _sd_problem(card: PriorCard) -> str:
    """Return what is wrong with the factors of deviations, or an empty text."""
    for name in ("sd_factor", "sd_over_error", "error_factor"):
        factor = getattr(card, name)
        if factor is not None and not 0.0 < factor < np.inf:
            return f"{name} is {factor:g}; it must be finite and above 0"
    is_lost = card.sd_over_error is not None and "error" not in card.networks
    return "sd_over_error needs a network error, which measures deviations" if is_lost else ""


def _file_problem(card: PriorCard) -> str:
    """Return which file is not simply one beside `prior.json`, or an empty text."""
    for file in (*card.files, *(n.file for n in card.networks.values())):
        if not file.endswith(".safetensors") or set(file) & set("/\\:"):
            return f"the file {file!r} is not the name of a .safetensors file beside prior.json"
    return ""


def read_value(kind: object, data: object, where: str) -> object:
    """Convert a JSON value to a type, naming the place where it does not fit.

    Args:
        kind: A scalar type, a dataclass, or a tuple, dict, Literal or optional of these.
        data: The decoded JSON value.
        where: Its place, for the error message.

    Raises:
        InputError: the value is of another type.
    """
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_object(kind, data, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if data is None else read_value(inner, data, where)
    if origin is Literal and data in arguments:
        return data
    if origin is tuple and isinstance(data, list | tuple):
        many = arguments[-1] is Ellipsis
        if many or len(data) == len(arguments):
            return tuple(read_value(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(data))
    if origin is dict and isinstance(data, Mapping):
        return {str(k): read_value(arguments[1], v, f"{where}.{k}") for k, v in data.items()}
    accepts = _SCALARS.get(kind)
    if accepts is not None and accepts(data):
        return float(data) if kind is float else data  # type: ignore[arg-type]
    message = f"{where} is {data!r}; expected {_describe(kind)}"
    raise InputError(message)


_SCALARS: dict[object, Callable[[object], bool]] = {
    Any: lambda _: True,
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    int: lambda v: isinstance(v, int) and not isinstance(v, bool),
    float: lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}


def _read_object(kind: type[Any], data: object, where: str) -> object:
    """Convert a JSON object to a dataclass: no field missing, none unknown."""
    if not isinstance(data, Mapping):
        message = f"{where} is {data!r}; expected an object"
        raise InputError(message)
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        message = f"{where} has an unknown field {unknown[0]!r}; expected {', '.join(known)}"
        raise InputError(message)
    for name, f in known.items():
        required = f.default is MISSING and f.default_factory is MISSING
        if required and name not in data:
            message = f"{where} lacks the field {name!r}: add it"
            raise InputError(message)
    values = {name: read_value(hints[name], v, f"{where}.{name}") for name, v in data.items()}
    return kind(**values)


def _describe(kind: object) -> str:
    """Name a type for an error message."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"a list of {count}values"
    names: dict[object, str] = {
        str: "a text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
    }
    return names.get(kind, "an object")
