"""Truth, interpolation, image, samples and their deviation side by side, as one picture."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inversesr.acquisition.foreground import foreground
from inversesr.benchmarks.realism_case import Case, Restored
from inversesr.io.atomic import check_picture
from inversesr.report.figures import Panel, mosaic, write_figure
from inversesr.report.planes import intensity_window
from inversesr.report.prior_pictures import beside_midline_mm
from inversesr.solvers.registry import BASELINE_NAME
from inversesr.volume import Volume

# What is shown about the middle of the brain, along each axis: small enough to see single voxels.
SHOWN_MM = 64.0
N_SHOWN = 2
SAGITTAL, CORONAL = 0, 1
# The brightest of the deviation is this share of the window.
DEVIATION_SHARE = 0.2
DOTS_PER_INCH = 110


@dataclass(eq=False)
class RealismPicture:
    """Collects the images of the first case.

    Attributes:
        file: PNG to write.
        images: Title -> image on the voxels of the truth, in the order of columns.
        deviation: Deviation of the samples, or None.

    Raises:
        InputError: the file cannot be written.
    """

    file: Path
    images: dict[str, Volume] = field(default_factory=dict)
    deviation: Volume | None = None
    _case: Case | None = None

    def __post_init__(self) -> None:
        check_picture(self.file)

    def look(self, restored: Restored) -> None:
        """Keep what is drawn: interpolation, and image and samples of what draws samples."""
        self._case = self._case or restored.case
        if restored.case is not self._case:
            return
        truth = restored.case.truth
        self.images.setdefault("truth", truth)
        if restored.samples is None and restored.solver != BASELINE_NAME:
            return
        self.images[restored.solver] = truth.with_data(restored.x)
        if restored.samples is None:
            return
        for number, sample in enumerate(restored.samples[:N_SHOWN], 1):
            self.images[f"sample {number}"] = truth.with_data(sample)
        if restored.sd is not None:
            self.deviation = truth.with_data(restored.sd)

    def draw(self) -> object:
        """Return the figure: a coronal and a sagittal row."""
        truth = self.images["truth"]
        low, high = intensity_window(truth)
        box = about_the_middle(truth)
        rows = []
        for axis in (CORONAL, SAGITTAL):
            row = [
                Panel(image.cropped(box), axis, title, low, high)
                for title, image in self.images.items()
            ]
            if self.deviation is not None:
                worst = DEVIATION_SHARE * (high - low)
                title = f"deviation, white: {DEVIATION_SHARE:.0%}"
                shown = self.deviation.cropped(box)
                row.append(Panel(shown, axis, title, 0.0, worst, "inferno"))
            rows.append(row)
        return mosaic(rows, beside_midline_mm(truth.cropped(box).grid))

    def write(self) -> None:
        """Write the picture, if there is anything to show."""
        if self.images:
            write_figure(self.draw(), self.file, DOTS_PER_INCH)


def about_the_middle(truth: Volume) -> tuple[slice, slice, slice]:
    """Return the voxels about the middle of what an image shows."""
    shape = np.array(truth.grid.shape)
    lengths = np.minimum(np.ceil(SHOWN_MM / np.array(truth.grid.spacing_mm)).astype(int), shape)
    centre = np.argwhere(foreground(truth.data)).mean(axis=0)
    starts = np.clip(centre - lengths / 2.0, 0, shape - lengths).astype(int)
    x, y, z = (slice(int(s), int(s + n)) for s, n in zip(starts, lengths, strict=True))
    return x, y, z
