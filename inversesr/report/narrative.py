"""Which prior spoke where in a result, in sentences for its reader."""

from pathlib import Path

import numpy as np

from inversesr.acquisition.foreground import foreground
from inversesr.result import Result

# Rounding in the weights of interpolation is no opinion.
EVERYWHERE = 0.995


def prior_sentences(result: Result) -> tuple[str, ...]:
    """Return what model spoke where, how much of the head that is, and what kept it silent."""
    name = Path(result.config.prior).name
    solver = result.solver_used
    if result.prior_refused is not None:
        return (
            f"The prior {name!r} was refused: {solver} was used instead.",
            *(f"The reason: {note}." for note in result.notes),
        )
    if solver == "spline":
        return ("No prior spoke: spline interpolates between the slices and knows no brains.",)
    if solver == "tv":
        return (
            "No prior spoke: tv knows no brains, it prefers images with few and simple edges.",
        )
    speaker = f"the prior {name!r}"
    if solver == "warmstart":
        speaker = f"a network, the warm start of {speaker},"
    return (
        *_reach(speaker, result),
        *_silenced(result),
        "What it drew between the slices is a guess from other brains, "
        "however well it agrees with the scan.",
    )


def _reach(speaker: str, result: Result) -> tuple[str, ...]:
    """Say how much of the head the prior spoke in, and what fills the rest."""
    speaker = speaker[0].upper() + speaker[1:]
    share = 1.0 if result.prior_mask is None else _share_of_head(result)
    if share >= EVERYWHERE:
        return (f"{speaker} spoke everywhere in the head.",)
    return (
        f"{speaker} had {_percent(share)} of the say in the head; the rest is "
        f"{_fallback(result)}.",
    )


def _fallback(result: Result) -> str:
    """Name what an image falls back to where the prior is silent."""
    if result.solver_used == "warmstart":
        return "spline interpolation of the scan"
    return "the first guess or spline interpolation of the scan"


def _silenced(result: Result) -> tuple[str, ...]:
    """Say what part of the image a mask or surprising tissue took from the prior."""
    found = []
    protected = result.facts.get("protected_share")
    if protected is not None:
        found.append(
            f"It was kept out of {_percent(protected)} of the image by your mask (--protect)."
        )
    surprising = result.facts.get("surprising_share")
    if surprising is not None:
        found.append(
            f"{_percent(surprising)} of the image held tissue that it could not explain, "
            "such as a lesion would be: there it was silenced."
            if surprising > 0.0
            else "Nowhere did the scan hold tissue that it could not explain."
        )
    return tuple(found)


def _share_of_head(result: Result) -> float:
    """Return the mean weight of the prior within the foreground of the result."""
    if result.prior_mask is None:
        return 1.0
    head = foreground(result.volume.data)
    weight = result.prior_mask.data[head] if head.any() else result.prior_mask.data
    return float(np.mean(weight, dtype=np.float64))


def _percent(share: float) -> str:
    """Return a share as a reader would say it."""
    if 0.0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100.0 * share:.1f} %"
