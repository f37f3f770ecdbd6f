"""Every choice a user can make: its name, default and help text. Imports no torch."""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field, fields
from math import isfinite
from numbers import Integral, Real
from types import NoneType
from typing import Any, get_args

from inversesr.errors import InputError, warn_of_old_name

PROFILE_NAMES = ("rect", "gaussian", "slr")
AUTOMATIC = "auto"
BUILTIN_PRIOR, WHOLE_BRAIN_PRIOR = "builtin", "builtin-global"
# how the names of the published methods begin, which search priors of whole brains
PUBLISHED = "inversesr-"
CONSISTENCY_NAMES = ("auto", "exact", "noise", "off")
# Names of earlier versions, known for one more.
OLD_SOLVERS = {"warmstart": "unet"}
OLD_CHOICES = {"lock": "consistency"}
MOTION_NAMES = ("off", "auto", "interleaves", "slices")
DEVICE_NAMES = ("auto", "cpu", "cuda")
OUTPUT_TYPES = ("float32", "input")

Lengths = tuple[float, float, float]  # along three axes, in mm
DEFAULT_SPACING_MM = 1.0
SMALLEST_SPACING_MM = 0.05


def option(default: Any, text: str, **facts: Any) -> Any:  # noqa: ANN401 (a dataclass field)
    """Declare a field with its help text and what it takes.

    Args:
        default: Its default.
        text: Its help text.
        **facts: `choices`, and of a number `least`, `most`, `above` or `below`, which
            `check_fields` reads; `flag`, `unit` and `kind`, which the command line reads.
    """
    return field(default=default, metadata={"help": text, **facts})


def present_solver(name: str) -> str:
    """Return the present name of a solver; an earlier one works, with a warning."""
    now = OLD_SOLVERS.get(name, name)
    if now != name:
        warn_of_old_name(f"the solver {name}", now)
    return now


@dataclass(frozen=True)
class Config:
    """How a scan is restored.

    Raises:
        InputError: a value is outside its range.
    """

    solver: str = option(
        AUTOMATIC,
        "Method that fills in the thin slices; auto takes unet for one scan whose slices "
        "are 1.5 to 12 times as thick as the thin ones or 3 to 12 of them apart (thin ones far "
        "below 1 mm count in groups of about 1 mm), tv for all others.",
    )
    prior: str = option(
        AUTOMATIC,
        "Prior of the solvers that need one: a name or a folder; auto takes builtin-global for "
        "inversesr-dec and inversesr-ldm, builtin for all others.",
        unit="NAME|DIR",
    )
    condition: tuple[str, ...] = option(
        (), "Known of the subject, as age=63; may be repeated.", unit="NAME=VALUE", kind=list[str]
    )
    settings: tuple[str, ...] = option(
        (),
        "Option of the solver, such as solver.n_steps=20; may be repeated.",
        flag="--set",
        unit="solver.NAME=VALUE",
        kind=list[str],
    )
    protect: str | None = option(
        None, "Mask on the scan's voxels of what no prior may change.", unit="FILE"
    )
    samples: int | None = option(
        None,
        "Posterior samples drawn by diffusion; deviation and quantiles are written [default: 8].",
        least=1,
    )
    keep_unprotected: bool = option(
        False,  # noqa: FBT003
        "Also write the image as it was before surprising tissue, and that of --protect, was "
        "kept from the prior.",
    )
    spacing_mm: str | float | tuple[float, ...] | None = option(
        None,
        "Distance between thin slices, or three voxel sizes, along the axes of the file; axes "
        "that are finer stay as they are [default: 1 mm].",
        flag="--spacing",
        unit="MM|X,Y,Z",
        kind=str | None,
    )
    thickness_mm: float | None = option(
        None,
        "Slice thickness [default: sidecar JSON, else the distance between slices].",
        flag="--thickness",
        unit="MM",
        least=SMALLEST_SPACING_MM,
    )
    gap_mm: float | None = option(
        None,
        "Gap between slices; negative where slices overlap [default: distance - thickness].",
        flag="--gap",
        unit="MM",
    )
    profile: str = option("rect", "Slice profile.", choices=PROFILE_NAMES)
    consistency: str = option(
        AUTOMATIC,
        "Agreement with the measured slices: exact, to within the noise, or off; auto takes exact "
        "unless the scan is so noisy that agreeing with it exactly would spoil the image.",
        choices=CONSISTENCY_NAMES,
    )
    missing: str | None = option(
        None,
        "Slices that were not measured, counted from 0, such as 4,7-9: they are generated and "
        "marked [default: those of the sidecar, or none].",
        unit="N,N-N",
    )
    motion: str = option(
        "off",
        "Motion between slices that is found and put right: of interleaves, of every slice, or, "
        "by auto, of interleaves where they lie apart.",
        choices=MOTION_NAMES,
    )
    noise: float | None = option(
        None,
        "Noise standard deviation in the scan's own intensities [default: estimated].",
        least=0,
    )
    voxel_size: str | None = option(
        None,
        "Voxel sizes in mm along the three axes of the file, in place of the header's.",
        unit="X,Y,Z",
    )
    series: str | None = option(
        None,
        "Which series of DICOM input: its number, UID, or a part of its description [default: the "
        "only one that can be restored].",
        unit="NUMBER|UID|TEXT",
    )
    dicom: bool = option(
        False,  # noqa: FBT003
        "Also write the image, and its deviation map, as DICOM series in the study of the scan.",
    )
    volume: int | None = option(
        None, "Which volume of a 4D series to use, counted from 0.", least=0
    )
    output_type: str = option(
        "float32",
        "Data type written: float32, or that of an input of integers.",
        choices=OUTPUT_TYPES,
    )
    device: str = option("auto", "Where to compute.", choices=DEVICE_NAMES)
    threads: int | None = option(None, "Processor threads [default: all].", least=1)
    seed: int = option(0, "Seed of everything random.", least=0)
    # the earlier name of `consistency`
    lock: InitVar[str | None] = None

    def __post_init__(self, lock: str | None) -> None:
        if lock is not None:
            warn_of_old_name("the choice lock", "consistency")
            object.__setattr__(self, "consistency", lock)
        object.__setattr__(self, "solver", present_solver(self.solver))
        for name in ("settings", "condition"):
            # the command line and JSON give lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.prior == AUTOMATIC:
            is_published = self.solver.startswith(PUBLISHED)
            object.__setattr__(self, "prior", WHOLE_BRAIN_PRIOR if is_published else BUILTIN_PRIOR)
        check_fields(self)
        if self.voxel_size is not None:
            sizes = _lengths("voxel_size", self.voxel_size, 3)
            object.__setattr__(self, "voxel_size", ",".join(f"{size:g}" for size in sizes))
        if self.spacing_mm is not None:
            found = _lengths("spacing", self.spacing_mm, 1, 3)
            # one number stays a number, in the record too
            object.__setattr__(self, "spacing_mm", found if len(found) == 3 else found[0])

    @property
    def voxel_size_mm(self) -> Lengths | None:
        """Voxel sizes that were given, in mm."""
        return None if self.voxel_size is None else _lengths("voxel_size", self.voxel_size, 3)

    @property
    def target_mm(self) -> Lengths | None:
        """Voxel sizes that were asked for along the axes of the scan, in mm."""
        found: Any = self.spacing_mm
        return (found,) * 3 if isinstance(found, float) else found


LIMITS = {
    "least": ("of at least", operator.ge),
    "above": ("above", operator.gt),
    "most": ("of at most", operator.le),
    "below": ("below", operator.lt),
}


def check_fields(choices: Any, prefix: str = "") -> None:  # noqa: ANN401 (any dataclass of `option`)
    """Refuse values that are not what their fields declare; numbers of numpy become plain.

    Args:
        choices: An object of a frozen dataclass whose fields are made by `option`.
        prefix: What stands before the names of its fields, for the error message.

    Raises:
        InputError: a value is none of the choices, of another type, or outside its range.
    """
    _make_plain(choices)
    for f in fields(choices):
        value, facts = getattr(choices, f.name), f.metadata
        kinds = get_args(f.type) or (f.type,)
        if value is None and NoneType in kinds:
            continue
        unit = " mm" if f.name.endswith("_mm") else ""
        expected = _expected(value, kinds[0], facts, unit)
        name = prefix + facts.get("flag", f.name).removeprefix("--")
        require(not expected, name, _shown(value, facts, unit), expected)


def _expected(value: Any, kind: Any, facts: Mapping[str, Any], unit: str) -> str:  # noqa: ANN401
    """Return what a field expects; nothing where its value is that."""
    if "choices" in facts:
        return "" if value in facts["choices"] else " or ".join(facts["choices"])
    if kind is bool:
        return "" if isinstance(value, bool) else "true or false"
    if kind not in (int, float):
        return ""
    wanted = int if kind is int else int | float
    is_number = isinstance(value, wanted) and not isinstance(value, bool) and isfinite(value)
    limits = [(*LIMITS[name], facts[name]) for name in LIMITS if name in facts]
    if is_number and all(holds(value, limit) for _, holds, limit in limits):
        return ""
    ranges = " and ".join(f"{words} {limit}{unit}" for words, _, limit in limits)
    return f"a {'whole' if kind is int else 'finite'} number {ranges}".strip()


def _shown(value: Any, facts: Mapping[str, Any], unit: str) -> str:  # noqa: ANN401
    """Return a value as an error message tells it: numbers with their unit."""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return f"{value}{unit}"
    return str(value) if "choices" in facts else repr(value)


def _make_plain(config: object) -> None:
    """Turn numbers of numpy, which JSON does not know, into those of Python."""
    for name, value in vars(config).items():
        if isinstance(value, Real) and type(value).__module__ == "numpy":
            plain = int(value) if isinstance(value, Integral) else float(value)
            object.__setattr__(config, name, plain)


def _lengths(name: str, given: Any, *counts: int) -> Any:  # noqa: ANN401 (numbers or text)
    """Return a tuple of lengths in mm, whether they came as text or as numbers."""
    parts = given.split(",") if isinstance(given, str) else given
    try:
        found = tuple(float(part) for part in (parts if isinstance(parts, Iterable) else [parts]))
    except (TypeError, ValueError):
        found = ()
    is_fine = all(isfinite(mm) and mm >= SMALLEST_SPACING_MM for mm in found)
    is_fine = is_fine and len(found) in counts and not isinstance(given, bool)
    wanted = "a length, or three," if 1 in counts else "three lengths"
    expected = f"{wanted} of at least {SMALLEST_SPACING_MM} mm, such as 0.9,0.9,5"
    require(is_fine, name, given if isinstance(given, str) else repr(given), expected)
    return found


def require(fulfilled: bool, name: str, found: object, expected: str) -> None:  # noqa: FBT001 (a predicate)
    """Refuse a choice that does not fulfil what is expected of it.

    Raises:
        InputError: it does not.
    """
    if not fulfilled:
        message = f"{name} is {found}; expected {expected}"
        raise InputError(message)
