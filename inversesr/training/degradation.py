"""Draws thick slices for training: geometry, profile and noise."""

from dataclasses import dataclass

import torch

from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.slice_examples import SliceExamples, make_example
from inversesr.training.random import happens, uniform

# Profiles and how often each is drawn: most vendors' models of a slice are a box.
PROFILE_SHARES = (("rect", 0.6), ("gaussian", 0.2), ("slr", 0.2))


@dataclass(frozen=True)
class DegradationConfig:
    """Which thick slices are drawn.

    Attributes:
        min_thickness: Thinnest slice in voxels.
        max_thickness: Thickest slice in voxels.
        whole: Share of slices whose thickness is a whole number of voxels.
        aligned: Share of slice stacks that begin at a voxel's edge.
        touching: Share of slice stacks without a gap.
        max_gap: Largest gap, as a share of the distance between slices.
        noisy: Share of patches with noise.
        max_noise: Largest noise standard deviation.
    """

    min_thickness: float = 2.0
    max_thickness: float = 9.0
    whole: float = 0.4
    aligned: float = 0.4
    touching: float = 0.5
    max_gap: float = 0.3
    noisy: float = 0.5
    max_noise: float = 0.03


def degrade(
    truth: torch.Tensor, config: DegradationConfig, generator: torch.Generator
) -> SliceExamples:
    """Make a batch of one patch: draw slices, measure them, interpolate them.

    Args:
        truth: Sharp patch, shape (X, Y, Z), about [0, 1].
        config: Which slices are drawn.
        generator: Source of randomness.
    """
    geometry = draw_geometry(config, generator)
    profile = draw_profile(generator)
    is_noisy = happens(config.noisy, generator)
    sigma = uniform(0.0, config.max_noise, generator) if is_noisy else 0.0
    return make_example(truth, geometry, profile, sigma, generator)


def draw_geometry(config: DegradationConfig, generator: torch.Generator) -> SliceGeometry:
    """Draw thickness, gap and phase; whole voxels and touching slices are common in practice."""
    thickness = uniform(config.min_thickness, config.max_thickness, generator)
    if happens(config.whole, generator):
        thickness = float(round(thickness))
    gap = 0.0 if happens(config.touching, generator) else uniform(0.0, config.max_gap, generator)
    spacing = thickness / (1.0 - gap)
    is_aligned = happens(config.aligned, generator)
    first = (spacing - 1.0) / 2.0 if is_aligned else uniform(-0.5, spacing - 0.5, generator)
    return SliceGeometry(thickness, spacing, first)


def draw_profile(generator: torch.Generator) -> str:
    """Draw the name of a slice profile."""
    mark = uniform(0.0, 1.0, generator)
    for name, share in PROFILE_SHARES:
        mark -= share
        if mark < 0:
            return name
    return PROFILE_SHARES[0][0]
