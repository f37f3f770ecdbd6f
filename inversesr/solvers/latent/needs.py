"""What functions that several solvers share need of their options."""

from typing import Protocol


class NoiseLevels(Protocol):
    """Options of a ladder of noise levels."""

    @property
    def n_levels(self) -> int | None:
        """Noise levels."""

    @property
    def sigma_high(self) -> float | None:
        """Largest noise-to-signal ratio."""

    @property
    def sigma_low(self) -> float:
        """Smallest noise-to-signal ratio."""


class Spread(Protocol):
    """Options of how far an image may move from the prior's."""

    @property
    def kappa(self) -> float:
        """How far, by noise."""

    @property
    def image_sd(self) -> float:
        """Standard deviation of a brain's intensities."""


class Features(Protocol):
    """Options of the perceptual term."""

    @property
    def perceptual_weight(self) -> float:
        """Its weight."""

    @property
    def features_file(self) -> str | None:
        """Weights of its network."""


class Published(Features, Protocol):
    """Options of the published loss."""

    @property
    def data_term(self) -> str:
        """Penalty of the misfit."""
