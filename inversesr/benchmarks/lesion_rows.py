"""Rows of the lesion study, and what they come to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import inf

# What an image was made with, beside the solver.
PLAIN, MASKED, WEIGHED = "", "mask", "residual map"
KEPT, MISSED, NOT_MEASURED = "kept", "missed", "not measured"
# Of a head without lesions; of a head with lesions, away from them.
INVENTED, GHOST = "invented", "ghost"


@dataclass(frozen=True)
class LesionRow:
    """A lesion that was put in and sought, or one that was found and is none.

    Attributes:
        image: Name of the image.
        task: Slices and noise in words.
        solver: Name of the solver.
        with_: "mask" where the prior was excluded from the lesions, "residual map" where the
            solver weighed its prior by how far it misses the scan, else "".
        outcome: "kept", "missed" or "not measured" of a lesion that was put in; "invented" or
            "ghost" of one that was not.
        kind: "bright", "dark" or "rim".
        diameter_mm: Its diameter.
        contrast: Its contrast, as a share of the median intensity of the brain.
        placement: "in slice" or "between"; "" where none was put in.
        n_together: Lesions that were put into the head at once.
        measured: Its contrast in what the slices show, 1 for all of it.
        found: Its contrast in the restored image, likewise.
        by_spline: Its contrast in the spline interpolation, likewise.
        contrast_to_noise: Its contrast over the spread of such contrasts elsewhere.
        surprise: Largest value of the residual map within it, where there is one.
        is_in_spline: Whether interpolation has the invented one too.
    """

    image: str
    task: str
    solver: str
    with_: str
    outcome: str
    kind: str
    diameter_mm: float
    contrast: float
    placement: str = ""
    n_together: int = 0
    measured: float | None = None
    found: float | None = None
    by_spline: float | None = None
    contrast_to_noise: float | None = None
    surprise: float | None = None
    is_in_spline: bool | None = None

    @property
    def name(self) -> str:
        """Name of the solver, with what was used beside it."""
        return f"{self.solver} + {self.with_}" if self.with_ else self.solver


@dataclass(frozen=True)
class LesionCell:
    """Lesions of one group, for one solver.

    Attributes:
        name: Name of the solver, with what was used beside it.
        group: Which lesions.
        n_measured: How many of them the slices show.
        n_not_measured: How many they do not.
        kept_percent: Share of the former that is kept; None where there are none.
        measured: Mean contrast in what the slices show, 1 for all of it.
        found: Mean contrast in the restored image.
        by_spline: Mean contrast in the spline interpolation.
        n_invented: Spots in heads without lesions, of the group's size and contrast.
        n_invented_alone: Those of them that interpolation has not.
        n_ghosts: Spots away from the lesions of a head that are not there without lesions.
    """

    name: str
    group: str
    n_measured: int
    n_not_measured: int
    kept_percent: float | None
    measured: float | None
    found: float | None
    by_spline: float | None
    n_invented: int
    n_invented_alone: int
    n_ghosts: int


def summarise_lesions(rows: Sequence[LesionRow]) -> list[LesionCell]:
    """Return what became of the lesions: of all, by size, contrast, kind and placement."""
    groups: dict[str, Callable[[LesionRow], bool]] = {"all": lambda _row: True}
    lesions = [row for row in rows if row.placement]
    sizes = sorted({row.diameter_mm for row in lesions})
    # what is invented has any size and contrast: it counts in the class that ends above it
    for low, high in pairwise([*sizes, inf]):
        least = 0.0 if low == sizes[0] else low
        groups[f"{low:g} mm"] = partial(_is_within, "diameter_mm", (least, high))
    for low, high in pairwise([*sorted({row.contrast for row in lesions}), inf]):
        groups[f"contrast {low:g}"] = partial(_is_within, "contrast", (low, high))
    for name in ("kind", "placement"):
        for value in dict.fromkeys(getattr(row, name) for row in lesions):
            groups[value] = partial(_is, name, value)
    names = dict.fromkeys(row.name for row in rows)
    return [
        _cell(name, group, [row for row in rows if row.name == name and belongs(row)])
        for group, belongs in groups.items()
        for name in names
    ]


def _is_within(name: str, limits: tuple[float, float], row: LesionRow) -> bool:
    return bool(limits[0] <= getattr(row, name) < limits[1])


def _is(name: str, value: str, row: LesionRow) -> bool:
    return bool(getattr(row, name) == value)


def _cell(name: str, group: str, rows: Sequence[LesionRow]) -> LesionCell:
    shown = [row for row in rows if row.outcome in (KEPT, MISSED)]
    kept = [row for row in shown if row.outcome == KEPT]
    invented = [row for row in rows if row.outcome == INVENTED]
    return LesionCell(
        name,
        group,
        len(shown),
        sum(row.outcome == NOT_MEASURED for row in rows),
        100.0 * len(kept) / len(shown) if shown else None,
        _mean([row.measured for row in shown]),
        _mean([row.found for row in shown]),
        _mean([row.by_spline for row in shown]),
        len(invented),
        sum(not row.is_in_spline for row in invented),
        sum(row.outcome == GHOST for row in rows),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
