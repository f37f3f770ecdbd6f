"""Whether a direction may bear a name: its number moves with it, and no other number does.

    e_n = (n(+2 sd) - n(-2 sd)) / (4 sd of n over the samples)      effect of a direction on n
    r_n = correlation over the samples of n and the coefficient along the direction

A direction is called after the one number with |e_n| and r_n large, if all others are small. With
a label map the name must hold there too: most of the change must lie at that structure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inversesr.explain.numbers import CONTRAST, FLUID, THICKNESS, VENTRICLES

# A number that moves so much of its own deviation is moved; one that moves less than that is not.
LEAST_EFFECT, MOST_OTHER_EFFECT = 0.7, 0.35
LEAST_CORRELATION, MOST_OTHER_CORRELATION = 0.8, 0.5
NAMES = {
    VENTRICLES: "ventricle size", FLUID: "amount of fluid", THICKNESS: "cortical thickness",
    CONTRAST: "contrast of grey and white",
}  # fmt: skip
# Labels of FreeSurfer at whose boundary a named change must lie; the others are checked by no map.
LABELS = {
    VENTRICLES: (4, 5, 14, 15, 43, 44, 72),
    FLUID: (4, 5, 14, 15, 24, 43, 44, 72),
    THICKNESS: (3, 42),
}
# Energy of the change at its structure, over what an even spread would put there.
LEAST_ENRICHMENT = 2.0


@dataclass(frozen=True)
class Effect:
    """What a direction does to one number.

    Attributes:
        low: The number at -2 standard deviations.
        mean: The number of the image itself.
        high: The number at +2 standard deviations.
        sd: Standard deviation of the number over the samples.
        correlation: Of the number and the coefficient along the direction, over the samples.
    """

    low: float
    mean: float
    high: float
    sd: float
    correlation: float

    @property
    def size(self) -> float:
        """Change by one standard deviation of the direction, over that of the number."""
        return (self.high - self.low) / (4.0 * self.sd) if self.sd > 0.0 else 0.0


def effects(
    strip: Sequence[Mapping[str, float]],
    samples: Sequence[Mapping[str, float]],
    along: Sequence[float],
) -> dict[str, Effect]:
    """Return what a direction does to each number.

    Args:
        strip: Numbers at -2 standard deviations, of the image itself, and at +2.
        samples: Numbers of each posterior sample.
        along: How far each sample lies along the direction.
    """
    low, mean, high = strip
    found = {}
    for name in mean:
        values = np.array([numbers[name] for numbers in samples])
        correlation = _correlation(values, np.asarray(along, dtype=np.float64))
        found[name] = Effect(
            low[name], mean[name], high[name], float(values.std(ddof=1)), correlation
        )
    return found


def name_of(found: Mapping[str, Effect], enrichment: Mapping[str, float]) -> tuple[str, str]:
    """Return the name that a direction may bear, or "", and why, in a sentence.

    Args:
        found: What it does to each number.
        enrichment: Number -> energy of the change at its structure in a label map, over what an
            even spread would put there; empty without a label map.
    """
    moved = [name for name in NAMES if _is_moved(found[name])]
    if len(moved) != 1:
        which = ", ".join(moved) or "none"
        return "", f"numbers that follow it: {which}; a name takes exactly one"
    (own,) = moved
    others = [n for n in found if n != own and n not in _parts_of(own) and _stirs(found[n])]
    if others:
        return "", f"{own} follows it, and so do {', '.join(others)}"
    if own in enrichment and enrichment[own] < LEAST_ENRICHMENT:
        return "", (
            f"{own} follows it alone, but in the label map only {enrichment[own]:.1f} times as "
            "much of the change lies at that structure as an even spread would put there"
        )
    checked = "checked on the label map" if own in enrichment else "not checked on a label map"
    return NAMES[own], f"{own} follows it and no other number does; {checked}"


def _parts_of(name: str) -> tuple[str, ...]:
    """Numbers that contain a number, and cannot but move with it."""
    return (FLUID,) if name == VENTRICLES else ()


def _is_moved(effect: Effect) -> bool:
    return abs(effect.size) >= LEAST_EFFECT and (
        effect.correlation * np.sign(effect.size) >= LEAST_CORRELATION
    )


def _stirs(effect: Effect) -> bool:
    return abs(effect.size) > MOST_OTHER_EFFECT or abs(effect.correlation) > MOST_OTHER_CORRELATION


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 0.0 else 0.0
