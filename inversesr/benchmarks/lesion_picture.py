"""Lesions beside the truth as one picture: a row a lesion, a column an image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inversesr.acquisition.simulation import slice_axis_towards
from inversesr.benchmarks.lesion_painting import Painted, with_lesions
from inversesr.benchmarks.lesion_rows import PLAIN
from inversesr.benchmarks.lesion_runs import SURPRISE, Seen, Subject
from inversesr.io.atomic import check_picture
from inversesr.report.figures import Panel, mosaic, write_figure
from inversesr.report.planes import intensity_window
from inversesr.volume import Grid, Image, Volume

# What is shown around a lesion, and how many lesions.
SHOWN_MM, MOST_ROWS = 44.0, 10
DOTS_PER_INCH = 80
MIDDLE = (0.0, 0.0, 0.0)
SAGITTAL, CORONAL = 0, 1


@dataclass(eq=False)
class Strip:
    """Collects pictures of the lesions of the first head under its first task.

    Attributes:
        file: PNG to write.
        rows_by_lesion: Scene and lesion -> its panels.
    """

    file: Path
    rows_by_lesion: dict[tuple[int, int], list[Panel]] = field(default_factory=dict)
    _subject: Subject | None = None

    def __post_init__(self) -> None:
        check_picture(self.file)

    def look(self, seen: Seen) -> None:
        """Add one column, that of a solver, to the rows of a scene."""
        self._subject = self._subject or seen.subject
        if seen.subject is not self._subject:
            return
        scene = next(n for n, s in enumerate(self._subject.scenes) if s is seen.scene)
        low, high = intensity_window(seen.subject.truth)
        for n in chosen_of(self._subject)[scene]:
            painted = seen.scene[n]
            row = self.rows_by_lesion.setdefault(
                (scene, n), _first_columns(seen.subject, seen.scene, n)
            )
            for name in (name for name in seen.images if name != SURPRISE):
                title = f"{seen.solver}{' + ' if name != PLAIN else ''}{name}"
                row.append(_panel(seen.subject, painted, seen.images[name], title, (low, high)))
                row.append(_change_panel(seen, painted, name))

    @property
    def rows(self) -> list[list[Panel]]:
        """The rows, one a lesion."""
        return list(self.rows_by_lesion.values())

    def write(self) -> None:
        """Write the picture."""
        if self.rows:
            write_figure(mosaic(self.rows, MIDDLE), self.file, DOTS_PER_INCH)


def chosen_of(subject: Subject) -> list[list[int]]:
    """Return which lesions of each scene are shown: a size and kind each, of the best contrast."""
    every = [
        (painted.lesion, scene, n)
        for scene, lesions in enumerate(subject.scenes)
        for n, painted in enumerate(lesions)
    ]
    every.sort(key=lambda one: (-one[0].contrast, one[0].diameter_mm, one[0].placement))
    first: dict[tuple[float, str], tuple[int, int]] = {}
    for lesion, scene, n in every:
        first.setdefault((lesion.diameter_mm, lesion.kind), (scene, n))
    shown = list(first.values())[:MOST_ROWS]
    return [[n for at, n in shown if at == scene] for scene in range(len(subject.scenes))]


def _first_columns(subject: Subject, scene: Sequence[Painted], n: int) -> list[Panel]:
    lesion = scene[n].lesion
    title = f"{lesion.kind}, {lesion.diameter_mm:g} mm, {lesion.placement}"
    window = intensity_window(subject.truth)
    images = {"without": subject.truth.data, title: with_lesions(subject.truth, scene).data}
    return [_panel(subject, scene[n], image, name, window) for name, image in images.items()]


def _panel(
    subject: Subject, painted: Painted, image: Image, title: str, window: tuple[float, float]
) -> Panel:
    volume = around_lesion(subject.truth.with_data(image), painted)
    axis = slice_axis_towards(subject.truth.grid, subject.task.axis)
    order = subject.truth.grid.ras_order
    plane = SAGITTAL if axis != order[SAGITTAL] else CORONAL
    return Panel(volume, plane if axis == order[1] else CORONAL, title, *window)


def _change_panel(seen: Seen, painted: Painted, name: str) -> Panel:
    level = painted.lesion.contrast * seen.subject.level
    change = seen.images[name] - seen.plain[name]
    return _panel(seen.subject, painted, change, "with - without", (-level, level))


def around_lesion(volume: Volume, painted: Painted) -> Volume:
    """Return the part of an image about a lesion, whose centre becomes that of the world."""
    spacing = np.array(volume.grid.spacing_mm)
    half = np.ceil(SHOWN_MM / 2.0 / spacing).astype(int)
    centre = np.round(painted.centre).astype(int)
    padded = np.pad(volume.data, [(int(h), int(h)) for h in half])
    x, y, z = (slice(int(c), int(c + 2 * h + 1)) for c, h in zip(centre, half, strict=True))
    data = np.ascontiguousarray(padded[x, y, z])
    affine = volume.grid.affine.copy()
    affine[:3, 3] = -affine[:3, :3] @ half
    a, b, c = data.shape
    return Volume(data, Grid((a, b, c), affine))
