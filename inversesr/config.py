"""Every choice a user can make: its name, default and help text. Imports no torch."""

from dataclasses import InitVar, dataclass, field
from math import isfinite
from numbers import Integral, Real
from typing import Any

from inversesr.errors import InputError, warn_of_old_name

PROFILE_NAMES = ("rect", "gaussian", "slr")
AUTOMATIC = "auto"
BUILTIN_PRIOR = "builtin"
CONSISTENCY_NAMES = ("auto", "exact", "noise", "off")
# Names of earlier versions, which are known for one version more.
OLD_SOLVERS = {"warmstart": "unet"}
OLD_CHOICES = {"lock": "consistency"}
DEVICE_NAMES = ("auto", "cpu", "cuda")
OUTPUT_TYPES = ("float32", "input")

DEFAULT_SPACING_MM = 1.0
SMALLEST_SPACING_MM = 0.05


def option(default: Any, text: str, **facts: Any) -> Any:  # noqa: ANN401 (a dataclass field)
    """Declare a field with its help text; facts are read by the command line."""
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
        "are 1.5 to 12 times as thick as the thin ones or 3 to 12 of them apart, tv for all "
        "others.",
    )
    prior: str = option(
        BUILTIN_PRIOR, "Prior of the solvers that need one: a name or a folder.", unit="NAME|DIR"
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
        "Samples drawn by split-gibbs, which auto then takes; their deviation and quantiles are "
        "written [default: 8].",
    )
    keep_unprotected: bool = option(
        False,  # noqa: FBT003
        "Also write the image as it was before surprising tissue, and that of --protect, was "
        "kept from the prior.",
    )
    spacing_mm: float | None = option(
        None, "Distance between thin slices [default: 1 mm].", flag="--spacing", unit="MM"
    )
    thickness_mm: float | None = option(
        None,
        "Slice thickness [default: sidecar JSON, else the distance between slices].",
        flag="--thickness",
        unit="MM",
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
    noise: float | None = option(
        None, "Noise standard deviation in the scan's own intensities [default: estimated]."
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
    volume: int | None = option(None, "Which volume of a 4D series to use, counted from 0.")
    output_type: str = option(
        "float32",
        "Data type written: float32, or that of an input of integers.",
        choices=OUTPUT_TYPES,
    )
    device: str = option("auto", "Where to compute.", choices=DEVICE_NAMES)
    threads: int | None = option(None, "Processor threads [default: all].")
    seed: int = option(0, "Seed of everything random.")
    # the earlier name of `consistency`
    lock: InitVar[str | None] = None

    def __post_init__(self, lock: str | None) -> None:
        if lock is not None:
            warn_of_old_name("the choice lock", "consistency")
            object.__setattr__(self, "consistency", lock)
        object.__setattr__(self, "solver", present_solver(self.solver))
        # the command line and JSON give lists
        object.__setattr__(self, "settings", tuple(self.settings))
        _make_plain(self)
        for name, choices in _CHOICES.items():
            _require(
                getattr(self, name) in choices, name, getattr(self, name), " or ".join(choices)
            )
        _require_number("spacing", self.spacing_mm, SMALLEST_SPACING_MM, " mm")
        _require_number("thickness", self.thickness_mm, SMALLEST_SPACING_MM, " mm")
        _require_number("gap", self.gap_mm, None, " mm")
        _require_number("noise", self.noise, 0.0)
        _require_number("volume", self.volume, 0)
        object.__setattr__(self, "voxel_size", _plain_sizes(self.voxel_size))
        _require_number("threads", self.threads, 1)
        _require_number("seed", self.seed, 0)
        _require_number("samples", self.samples, 1)

    @property
    def voxel_size_mm(self) -> tuple[float, float, float] | None:
        """Voxel sizes that were given, in mm."""
        if self.voxel_size is None:
            return None
        x, y, z = (float(size) for size in self.voxel_size.split(","))
        return (x, y, z)


_CHOICES = {
    "profile": PROFILE_NAMES,
    "consistency": CONSISTENCY_NAMES,
    "output_type": OUTPUT_TYPES,
    "device": DEVICE_NAMES,
}


@dataclass(frozen=True)
class SimulateConfig:
    """How a thick-slice scan is made from a thin-slice one.

    Raises:
        InputError: a value is outside its range.
    """

    thickness_mm: float = option(4.0, "Slice thickness.", flag="--thickness", unit="MM")
    gap_mm: float = option(
        0.0, "Gap between slices; negative for overlap.", flag="--gap", unit="MM"
    )
    profile: str = option("rect", "Slice profile.", choices=PROFILE_NAMES)
    axis: str = option("S", "Anatomical direction across the slices.", choices=("R", "A", "S"))
    noise: float = option(0.0, "Rician noise as a share of the brightest intensity (0.02 is 2 %).")
    rotate: float = option(0.0, "Tilt of the slices in degrees.", unit="DEG")
    seed: int = option(0, "Seed of the noise.")

    def __post_init__(self) -> None:
        _make_plain(self)
        _require(
            self.profile in PROFILE_NAMES, "profile", self.profile, " or ".join(PROFILE_NAMES)
        )
        _require(self.axis in ("R", "A", "S"), "axis", self.axis, "R, A or S")
        _require_number("thickness", self.thickness_mm, SMALLEST_SPACING_MM, " mm")
        _require_number("gap", self.gap_mm, None, " mm")
        _require_number("rotate", self.rotate, None)
        _require_number("seed", self.seed, 0)
        spacing = self.thickness_mm + self.gap_mm
        _require(spacing > 0.0, "thickness + gap", spacing, "a distance above 0 mm")
        inside = isfinite(self.noise) and 0.0 <= self.noise < 1.0
        _require(inside, "noise", self.noise, "a share from 0 to 1, such as 0.02 for 2 %")


def _make_plain(config: object) -> None:
    """Turn numbers of numpy, which JSON does not know, into those of Python."""
    for name, value in vars(config).items():
        if isinstance(value, Real) and type(value).__module__ == "numpy":
            plain = int(value) if isinstance(value, Integral) else float(value)
            object.__setattr__(config, name, plain)


def _plain_sizes(given: object) -> str | None:
    """Return three voxel sizes as "X,Y,Z", whether they came as text or as numbers."""
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else given
    expected = "three lengths above 0 mm, such as 0.9,0.9,5"
    try:
        sizes = [float(part) for part in parts]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        sizes = []
    is_fine = len(sizes) == 3 and all(isfinite(s) and s >= SMALLEST_SPACING_MM for s in sizes)
    _require(is_fine, "voxel_size", repr(given), expected)
    return ",".join(f"{size:g}" for size in sizes)


def _require_number(name: str, value: object, least: float | None, unit: str = "") -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    expected = "a finite number" if least is None else f"a finite number of at least {least}{unit}"
    shown = f"{value}{unit}" if is_number else repr(value)
    is_fine = is_number and (least is None or float(str(value)) >= least)
    _require(is_fine, name, shown, expected)


def _require(fulfilled: bool, name: str, found: object, expected: str) -> None:  # noqa: FBT001 (a predicate)
    if not fulfilled:
        message = f"{name} is {found}; expected {expected}"
        raise InputError(message)
