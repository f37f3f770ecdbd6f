"""What a prior contributed to a result, in sentences for its reader."""

from pathlib import Path

import numpy as np

from inversesr.acquisition.foreground import foreground
from inversesr.result import Result
from inversesr.solvers.registry import find

# Weights that interpolation has rounded count as 1.
EVERYWHERE = 0.995


def prior_sentences(result: Result) -> tuple[str, ...]:
    """Return which prior was used, how much of the head it made, and where it was not used."""
    name = Path(result.config.prior).name
    solver = result.solver_used
    if result.prior_refused is not None:
        return (
            f"The prior {name!r} was refused; {solver} was used instead.",
            *(f"Reason: {note}." for note in result.notes),
        )
    entry = find(solver)
    if not entry.has_prior:
        return (f"No prior was used: {entry.without_prior}.",)
    model = f"The prior {name!r}"
    if not entry.is_latent:
        model = f"The super-resolution network of the prior {name!r}"
    return (
        _contribution(model, result),
        *_exclusions(result),
        "Detail between the slices is an estimate learned from other brains, however well it "
        "agrees with the scan. It cannot reflect pathology absent from the training data.",
    )


def _contribution(model: str, result: Result) -> str:
    """Say how much of the head the prior made, and what the rest is."""
    share = 1.0 if result.prior_mask is None else _share_of_head(result)
    if share >= EVERYWHERE:
        return f"{model} contributed to the whole head."
    return (
        f"{model} contributed {_percent(share)} of the image inside the head; the rest is "
        f"{_fallback(result)}."
    )


def _fallback(result: Result) -> str:
    """Name what an image falls back to where the prior is not used."""
    if not find(result.solver_used).is_latent:
        return "spline interpolation of the scan"
    return "the first guess or spline interpolation of the scan"


def _exclusions(result: Result) -> tuple[str, ...]:
    """Say in what part of the image a mask or a large residual excluded the prior."""
    found = []
    protected = result.facts.get("protected_share")
    if protected is not None:
        found.append(f"Your mask (--protect) excluded it from {_percent(protected)} of the image.")
    surprising = result.facts.get("surprising_share")
    if surprising is not None:
        found.append(
            f"In {_percent(surprising)} of the image the scan differs strongly from what it can "
            "explain, as at a lesion: there it was not used."
            if surprising > 0.0
            else "Nowhere does the scan differ strongly from what it can explain."
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
