"""Names of the files that a run writes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from inversesr.io.atomic import is_image_name
from inversesr.io.checks import stem
from inversesr.result import MAPS

RESTORED = "sr"


@dataclass(frozen=True)
class Outputs:
    """Names of the files that a run writes.

    Attributes:
        image: The restored image.
        sidecar: Everything needed to repeat and to judge the run.
        report: The same for people.
        maps: Images beside the restored one by their names in `result.MAPS`.
    """

    image: Path
    sidecar: Path
    report: Path
    maps: dict[str, Path] = field(default_factory=dict)

    def with_maps(self, names: Iterable[str]) -> "Outputs":
        """Return the outputs with some of their maps only."""
        return replace(self, maps={name: self.maps[name] for name in self.maps if name in names})

    @property
    def files(self) -> dict[str, Path]:
        """What there is -> its file."""
        always = {"image": self.image, "sidecar": self.sidecar, "report": self.report}
        return always | self.maps

    @property
    def names(self) -> dict[str, str]:
        """What there is -> name of its file."""
        return {role: path.name for role, path in self.files.items()}


def output_names(scan: Path, place: Path | None, description: str = RESTORED) -> Outputs:
    """Return where the results of a scan go; a BIDS name gets its entity in the right place.

    scan.nii.gz -> scan_desc-sr.nii.gz      sub-01_T1w.nii.gz -> sub-01_desc-sr_T1w.nii.gz

    BIDS has one `desc` in a name and one suffix: a label that is there already comes first, and
    the names of masks, whose suffix is another, tell the contrast in the label.

    Args:
        scan: Image file.
        place: A folder, or the name of the image to write, which names what goes beside it; None
            for beside the scan.
        description: What is written, as names tell it after `desc-`.

    Raises:
        InputError: place is the name of an image that is not written.
    """
    if place is not None and is_image_name(place):
        named = output_names(place, None, description)
        return replace(named, image=place, sidecar=place.with_name(f"{stem(place)}.json"))
    folder = scan.parent if place is None else place
    name = stem(scan)
    entities, _, suffix = name.rpartition("_")
    is_bids = name.startswith("sub-") and "-" not in suffix and bool(entities)
    start, end = (f"{entities}_", f"_{suffix}") if is_bids else (f"{name}_", "")
    start, _, former = start.partition("desc-") if is_bids else (start, "", "")
    former = former.removesuffix("_")
    contrast = suffix if is_bids else ""

    def file(description: str, ending: str = end) -> Path:
        return folder / f"{start}desc-{former}{description}{ending}.nii.gz"

    maps = {
        role: file(
            f"{description}{kind.label.removeprefix(RESTORED)}{contrast if kind.suffix else ''}",
            kind.suffix or end,
        )
        for role, kind in MAPS.items()
    }
    sidecar = folder / f"{start}desc-{former}{description}{end}.json"
    report = "report" if description == RESTORED else f"{description}_report"
    return Outputs(file(description), sidecar, folder / f"{name}_{report}.html", maps)
