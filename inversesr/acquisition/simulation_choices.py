"""How a thick-slice scan is made from a thin-slice one: the choices. Imports no torch."""

from dataclasses import dataclass

from inversesr.config import (
    PROFILE_NAMES,
    SMALLEST_SPACING_MM,
    check_fields,
    option,
    require,
)


@dataclass(frozen=True)
class SimulateConfig:
    """How a thick-slice scan is made from a thin-slice one.

    Raises:
        InputError: a value is outside its range.
    """

    thickness_mm: float = option(
        4.0, "Slice thickness.", flag="--thickness", unit="MM", least=SMALLEST_SPACING_MM
    )
    gap_mm: float = option(
        0.0, "Gap between slices; negative for overlap.", flag="--gap", unit="MM"
    )
    profile: str = option("rect", "Slice profile.", choices=PROFILE_NAMES)
    axis: str = option("S", "Anatomical direction across the slices.", choices=("R", "A", "S"))
    noise: float = option(
        0.0,
        "Rician noise as a share of the brightest intensity (0.02 is 2 %).",
        least=0,
        below=1,
    )
    rotate: float = option(0.0, "Tilt of the slices in degrees.", unit="DEG")
    seed: int = option(0, "Seed of the noise.", least=0)

    def __post_init__(self) -> None:
        check_fields(self)
        spacing = self.thickness_mm + self.gap_mm
        require(spacing > 0.0, "thickness + gap", spacing, "a distance above 0 mm")
