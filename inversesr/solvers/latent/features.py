"""The perceptual term: features of the simulated scan against those of the measured one.

d(A x) = mean over levels of mean |f(A x) - f(y)| / sqrt(n),        f of unit length a voxel

n is the number of voxels of a level in a slice, so that the published weight of 1e4 keeps its
meaning whichever network gives the features.

Reference: Zhang, Isola, Efros, Shechtman, Wang (2018), The unreasonable effectiveness of deep
features as a perceptual metric, arXiv:1801.03924.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.solvers.latent.feature_networks import load_features, unit_length
from inversesr.solvers.latent.needs import Features
from inversesr.solvers.latent.problem import Problem

Extractor = Callable[[Tensor], tuple[Tensor, ...]]
NO_SLICES = (
    "the perceptual loss compares slices; found another kind of measurement: set "
    "perceptual_weight to 0"
)
NO_FEATURES, OWN_FEATURES = "none", "the prior's own encoder"


@dataclass(frozen=True, eq=False)
class PerceptualTerm:
    """How far a simulated scan looks from the measured one.

    Attributes:
        name: What gives the features, for the record.
        extract: Scan, shape A.out_shape -> features of unit length.
        target: Features of the measured scan.
    """

    name: str
    extract: Extractor
    target: tuple[Tensor, ...]

    def __call__(self, y_of_x: Tensor) -> Tensor:
        """Return the distance of a simulated scan, a scalar; differentiable."""
        distance = y_of_x.new_zeros(())
        if not self.target:
            return distance
        for found, wanted in zip(self.extract(y_of_x), self.target, strict=True):
            # (C, X, Y, Z) of a volume, (N, C, H, W) of slices: both hold a slice in axes 2 and 3
            n = found.shape[2] * found.shape[3]
            distance = distance + (found - wanted).abs().mean() / n**0.5
        return distance / len(self.target)


def perceptual_term(
    problem: Problem, prior: InstrumentedPrior, options: Features
) -> PerceptualTerm:
    """Choose the features: a network that the user named, else the prior's own encoder."""
    if options.perceptual_weight == 0.0:
        return PerceptualTerm(NO_FEATURES, lambda _y: (), ())
    interpolate = problem.interpolate
    if interpolate is None:
        raise InputError(NO_SLICES)
    if options.features_file is None:
        name = OWN_FEATURES

        def extract(y: Tensor) -> tuple[Tensor, ...]:
            found = prior.features(problem.V(interpolate(y)))
            return tuple(unit_length(f, axis=0) for f in found)
    else:
        name = Path(options.features_file).name
        network = load_features(Path(options.features_file), problem.y.device)

        def extract(y: Tensor) -> tuple[Tensor, ...]:
            if network.is_planar:
                return network(y.movedim(problem.slice_axis, 0)[:, None])
            return network(interpolate(y)[None, None])

    with torch.no_grad():
        target = extract(problem.y)
    return PerceptualTerm(name if target else NO_FEATURES, extract, target)
