"""A restored image, the scans behind it, and how it came about."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from inversesr.acquisition.geometry import Acquisition
from inversesr.acquisition.plausibility import doubts
from inversesr.config import Config
from inversesr.errors import warn_of_old_name
from inversesr.io.nifti import Scan, to_image
from inversesr.measurements.consistency import Agreement
from inversesr.uncertainty.intervals import QUANTILES
from inversesr.volume import Volume

INTENSITY, SHARE, DEVIATIONS = "intensity of the scan", "share, 0 to 1", "standard deviations"


@dataclass(frozen=True)
class MapKind:
    """What all maps of one name have in common.

    Attributes:
        label: What the name of its file has after `desc-`.
        meaning: What a voxel tells, in a phrase; a map may tell it more exactly.
        unit: Unit of its voxels.
        suffix: Ending of the name of its file; "" for that of the scan.
        layer: Its name in the viewer of the report; "" where it is not shown.
        colours: Its NiiVue colour map there.
    """

    label: str
    meaning: str
    unit: str
    suffix: str = ""
    layer: str = ""
    colours: str = "hot"


# All maps that there may be beside an image: a new one is a line here, and where it is made.
MAPS = {
    "sd": MapKind("srsd", "expected error (standard deviation)", INTENSITY, layer="deviation"),
    "prior_mask": MapKind("srprior", "weight of the prior", SHARE, "_mask", "prior", "warm"),
    "low": MapKind("srq05", f"{QUANTILES[0]:.0%} quantile of the samples", INTENSITY),
    "high": MapKind("srq95", f"{QUANTILES[1]:.0%} quantile of the samples", INTENSITY),
    "surprise": MapKind("sr", "residual of the prior's best fit", DEVIATIONS, "_surprise"),
    "generated": MapKind(
        "srgenerated",
        "share of the voxel that was not measured but generated",
        SHARE,
        "_mask",
        "generated",
        "cool",
    ),
    "unprotected": MapKind(
        "srunprotected", "image before any region was excluded from the prior", INTENSITY
    ),
}


@dataclass(frozen=True, eq=False)
class Map:
    """An image that tells how far the restored one can be trusted, or what became of it.

    Attributes:
        volume: Its voxels, those of the restored image.
        meaning: What a voxel tells, in a phrase.
        unit: Unit of its voxels.
        source: What it was made from.
    """

    volume: Volume
    meaning: str
    unit: str
    source: str


def make_map(name: str, volume: Volume, source: str, meaning: str = "") -> Map:
    """Return a map of a name in `MAPS`.

    Args:
        name: The name.
        volume: Its voxels.
        source: What it was made from.
        meaning: What a voxel tells, where the table does not say it exactly.
    """
    kind = MAPS[name]
    return Map(volume, meaning or kind.meaning, kind.unit, source)


@dataclass(frozen=True, eq=False)
class Source:
    """One scan that went into a result.

    Attributes:
        scan: The scan as it was read.
        acquisition: How it was taken, as far as known or assumed.
        noise: Standard deviation of its noise, in its own intensities.
        before_consistency: Agreement of the solver's image with the scan.
        agreement: Agreement of the result with the scan.
        motion_mm: Largest displacement found by registration to the first scan.
    """

    scan: Scan
    acquisition: Acquisition
    noise: float
    before_consistency: Agreement
    agreement: Agreement
    motion_mm: float = 0.0

    @property
    def before_lock(self) -> Agreement:
        """The earlier name of `before_consistency`."""
        warn_of_old_name("Source.before_lock", "Source.before_consistency")
        return self.before_consistency


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A restored image and how it came about.

    Attributes:
        volume: The image on the fine grid, in the first scan's world and intensities.
        sources: The scans behind it.
        config: The choices as they were made.
        status: How the solver ended.
        history: Figures by iteration.
        solver_used: Name of the solver that made the image; `solver_asked` is that of the choices.
        consistency: "exact", "noise" or "off": what was done, not what was asked for.
        seconds: Time spent in each phase.
        notes: What should be known of the solver and its choice, in sentences.
        facts: What else the solver found.
        maps: Images beside the restored one by their names in `MAPS`, as far as there are any.
        prior_refused: Name or folder of a prior that did not fit the scan, or None.
        prior_card: Name, version and sha256 of the card of the prior that was used, or None.
    """

    volume: Volume
    sources: tuple[Source, ...]
    config: Config
    status: str
    history: dict[str, list[float]]
    solver_used: str
    consistency: str
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    maps: dict[str, Map] = field(default_factory=dict)
    prior_refused: str | None = None
    prior_card: dict[str, str | None] | None = None

    @property
    def lock(self) -> str:
        """The earlier name of `consistency`."""
        warn_of_old_name("Result.lock", "Result.consistency")
        return self.consistency

    def __repr__(self) -> str:
        """In short: what it is made of and how large it is."""
        shape = " x ".join(str(n) for n in self.volume.grid.shape)
        names = ", ".join(source.scan.name for source in self.sources)
        return f"<{names} restored by {self.solver_used}: {shape} voxels>"

    @property
    def sd(self) -> Volume | None:
        """Standard deviation of the samples, else of the error to be expected, or None."""
        return self._volume_of("sd")

    @property
    def prior_mask(self) -> Volume | None:
        """Weight of the prior, 0 to 1, or None."""
        return self._volume_of("prior_mask")

    @property
    def surprise(self) -> Volume | None:
        """How far the prior's best fit misses the scan, in standard deviations, or None."""
        return self._volume_of("surprise")

    @property
    def unprotected(self) -> Volume | None:
        """The image before any region was excluded from the prior, or None."""
        return self._volume_of("unprotected")

    @property
    def quantiles(self) -> dict[float, Volume]:
        """Quantile in (0, 1) -> image, where samples were drawn."""
        names = zip(QUANTILES, ("low", "high"), strict=True)
        return {q: self.maps[name].volume for q, name in names if name in self.maps}

    def _volume_of(self, name: str) -> Volume | None:
        return self.maps[name].volume if name in self.maps else None

    @property
    def solver_asked(self) -> str:
        """Name of the solver that was asked for, or "auto"."""
        return self.config.solver

    @property
    def prior_used(self) -> str | None:
        """Name or folder of the prior that the image rests on; None where it rests on none."""
        return self.config.prior if self.prior_card is not None else None

    @property
    def image(self) -> Any:  # noqa: ANN401 (nibabel has no types)
        """The restored image as a nibabel image in the world of the first scan."""
        return to_image(self.volume, self.sources[0].scan, self.config.output_type)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Everything a reader should know before trusting the image, in sentences."""
        found = [
            w
            for s in self.sources
            for w in (
                *s.scan.warnings,
                *s.acquisition.warnings,
                *doubts(s.scan, s.acquisition.slice_axis, s.acquisition.missing),
            )
        ]
        return tuple(dict.fromkeys([*self.notes, *found]))
