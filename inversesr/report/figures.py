"""Pictures of scans and results, as matplotlib figures.

    inversesr.plot.compare(result)      # measured above restored
    inversesr.plot.slices(image)        # many slices of one image
    inversesr.plot.trace(result)        # how the solver went

A notebook shows them after `%matplotlib inline`. Superior (or anterior) is up and the patient's
right is on the left, as radiologists read it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan, scan_from_image
from inversesr.report.planes import (
    PLANES,
    anatomical_plane,
    intensity_window,
    middle_voxel_mm,
    nearest_index,
)
from inversesr.result import Result, Source
from inversesr.volume import Grid, Volume

Figure = Any  # a matplotlib figure; matplotlib is imported only where something is drawn
Drawable = Any  # a path, a nibabel image or a Volume

# Figures whose largest is this many times the smallest are drawn on a logarithmic scale.
WIDE = 10.0
PANEL_INCHES, TITLE_INCHES = 2.2, 0.3
# Agreement can be exact: a logarithmic axis has to end somewhere.
LEAST_SHOWN = 1e-9
LEAST_SECONDS_SHOWN = 1e-3
MARKERS = "os^vD<>Pp*X"


def compare(result: Result, at_mm: tuple[float, float, float] | None = None) -> Figure:
    """Draw the scan above the result, in three planes at true proportions and in one window.

    Args:
        result: What `inversesr.restore` returned.
        at_mm: Point through which the planes run, RAS+ millimetres; None for the middle of a
            measured slice, so that both rows show the same anatomy.
    """
    scan, image = result.sources[0].scan.volume, result.volume
    at_mm = at_mm or middle_voxel_mm(scan.grid)
    low, high = intensity_window(scan)
    figure = _dark_figure(12.0, 7.6)
    panels = figure.subplots(2, 3)
    for row, (volume, title) in enumerate(((scan, "measured"), (image, "restored"))):
        for axis in range(3):
            index = nearest_index(volume.grid, axis, at_mm)
            plane, aspect = anatomical_plane(volume, axis, index)
            panel = panels[row, axis]
            panel.imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=aspect)
            panel.set_title(f"{title}, {PLANES[axis]}", color="white", fontsize=11)
            without_axes(panel)
    return figure


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a mosaic.

    Attributes:
        volume: What is cut.
        axis: 0, 1, 2 for the sagittal, coronal, axial plane.
        title: What stands above it.
        low: Intensity at the dark end of the colours.
        high: Intensity at their bright end.
        colours: Name of a matplotlib colour map.
    """

    volume: Volume
    axis: int
    title: str
    low: float
    high: float
    colours: str = "gray"


def mosaic(rows: Sequence[Sequence[Panel]], at_mm: tuple[float, float, float]) -> Figure:
    """Draw planes through one point, row by row.

    Args:
        rows: Pictures, as many in each row.
        at_mm: Point through which all planes run, RAS+ millimetres.
    """
    heights = [max(_proportion(p.volume.grid, p.axis) for p in row) for row in rows]
    width = PANEL_INCHES * len(rows[0])
    figure = _dark_figure(width, PANEL_INCHES * sum(heights) + TITLE_INCHES * len(rows))
    grid = figure.subplots(len(rows), len(rows[0]), squeeze=False, height_ratios=heights)
    for shown, row in zip(grid, rows, strict=True):
        for axes, panel in zip(shown, row, strict=True):
            index = nearest_index(panel.volume.grid, panel.axis, at_mm)
            plane, aspect = anatomical_plane(panel.volume, panel.axis, index)
            window = {"vmin": panel.low, "vmax": panel.high}
            axes.imshow(plane, cmap=panel.colours, aspect=aspect, **window)
            axes.set_title(panel.title, color="white", fontsize=9)
            without_axes(axes)
    return figure


def _proportion(grid: Grid, axis: int) -> float:
    """Return height over width of a plane."""
    order = grid.ras_order
    across, up = (order[a] for a in range(3) if a != axis)
    extent = [n * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    return extent[up] / extent[across]


def write_figure(figure: Figure, file: Path | BinaryIO, dots_per_inch: int) -> None:
    """Write a figure as PNG, without a date or a program's name inside."""
    figure.savefig(file, format="png", dpi=dots_per_inch, metadata={"Software": None})


def without_axes(panel: Any) -> None:  # noqa: ANN401  (matplotlib axes)
    """Draw a panel without its axes."""
    panel.set(xticks=[], yticks=[])  # hidden ticks are laid out too: half the time of a picture
    panel.axis("off")


def slices(image: Drawable, n_slices: int = 12, plane: str = "axial") -> Figure:
    """Draw slices of one image, evenly spaced.

    Args:
        image: A path, a nibabel image, or a Volume such as `result.volume`.
        n_slices: How many slices, at most as many as there are.
        plane: "axial", "coronal" or "sagittal".

    Raises:
        InputError: there is no such plane, or nothing to draw.
    """
    if plane not in PLANES or n_slices < 1:
        message = f"plane is {plane}, n_slices is {n_slices}; expected {', '.join(PLANES)}; 1 up"
        raise InputError(message)
    volume = _as_volume(image)
    axis = PLANES.index(plane)
    n_all = volume.data.shape[volume.grid.ras_order[axis]]
    shown = np.unique(np.linspace(0, n_all - 1, min(n_slices, n_all) + 2).round()[1:-1])
    low, high = intensity_window(volume)
    n_columns = min(6, len(shown))
    n_rows = -(-len(shown) // n_columns)
    figure = _dark_figure(2.1 * n_columns, 2.3 * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for panel in panels:
        without_axes(panel)
    for panel, index in zip(panels, shown, strict=False):
        picture, aspect = anatomical_plane(volume, axis, int(index))
        panel.imshow(picture, cmap="gray", vmin=low, vmax=high, aspect=aspect)
    return figure


def trace(result: Result) -> Figure:
    """Draw the figures that the solver kept for each iteration.

    Args:
        result: What `inversesr.restore` returned.
    """
    figure = light_figure(8.0, 2.8)
    panel = figure.subplots()
    for name, values in result.history.items():
        panel.plot(np.arange(1, len(values) + 1), values, label=name.replace("_", " "))
    solver = result.solver_used
    panel.set_title(f"{solver}: {result.status}", fontsize=10)
    panel.set_xlabel("iteration")
    if result.history:
        panel.set_yscale("log" if _is_wide(result.history) else "linear")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend(fontsize=8)
    return figure


def agreement(source: Source) -> Figure:
    """Draw how far the result, seen through the scanner's slices, is from each measured slice.

    Args:
        source: One of `result.sources`.
    """
    figure = light_figure(8.0, 2.6)
    panel = figure.subplots()
    missing = source.acquisition.missing
    n_slices = len(source.agreement.rms_by_slice) + len(missing)
    places = np.delete(np.arange(n_slices), list(missing))
    is_changed = source.before_consistency.rms_by_slice != source.agreement.rms_by_slice
    curves = [(source.before_consistency, "solver alone")] if is_changed else []
    for found, label in (*curves, (source.agreement, "result")):
        rms = np.asarray(found.rms_by_slice, dtype=np.float64)
        # nothing was compared in slices that the other scans do not cover
        shown = np.where(rms > 0.0, rms, np.nan) if source.motion_mm > 0.0 else rms
        panel.semilogy(places, np.maximum(shown, LEAST_SHOWN), marker=".", label=label)
    for k in missing:
        panel.axvspan(k - 0.5, k + 0.5, color="orange", alpha=0.3, lw=0)
    panel.set_xlim(-0.5, n_slices - 0.5)
    panel.xaxis.get_major_locator().set_params(integer=True)
    noise = max(source.noise, LEAST_SHOWN)
    panel.axhline(noise, color="gray", linestyle="--", label="noise estimate")
    panel.set_xlabel("slice (orange: missing)" if missing else "measured slice")
    panel.set_ylabel("rms difference")
    panel.legend(fontsize=8)
    return figure


def poses(result: Result) -> Figure:
    """Draw rotation and shift of each slice of a scan whose head moved.

    Args:
        result: What `inversesr.restore` returned with `motion`.
    """
    found = [(k, p["degrees"], p["mm"]) for p in result.facts["poses"] for k in p["slices"]]
    numbers, degrees, mm = zip(*sorted(found), strict=True)
    figure = light_figure(8.0, 2.8)
    panels = figure.subplots(1, 2)
    for panel, values, label in zip(
        panels, (degrees, mm), ("rotation, degrees", "shift, mm"), strict=True
    ):
        for axis, name in enumerate("RAS"):
            panel.plot(numbers, [v[axis] for v in values], marker=".", lw=0.7, label=name)
        panel.set_xlabel("slice")
        panel.set_ylabel(label)
        panel.legend(fontsize=8)
    return figure


def quality_against_time(
    points: Sequence[tuple[str, float, float]], quality: str = "PSNR, dB"
) -> Figure:
    """Draw what each solver reached in what time, one marker a solver, time on a log axis.

    Args:
        points: (solver, seconds, quality) of each run.
        quality: What the quality is, and its unit.
    """
    figure = light_figure(8.0, 5.0)
    panel = figure.subplots()
    for index, solver in enumerate(dict.fromkeys(name for name, _, _ in points)):
        seconds = [max(s, LEAST_SECONDS_SHOWN) for name, s, _ in points if name == solver]
        found = [q for name, _, q in points if name == solver]
        marker = MARKERS[index % len(MARKERS)]
        panel.plot(seconds, found, marker, color=f"C{index % 10}", markersize=9, label=solver)
    panel.set_xscale("log")
    panel.set_xlabel("seconds of the solver")
    panel.set_ylabel(quality)
    panel.grid(visible=True, which="both", alpha=0.25)
    if points:
        figure.legend(loc="outside right upper", fontsize=9)
    return figure


def _as_volume(image: Drawable) -> Volume:
    if isinstance(image, Volume):
        return image
    if isinstance(image, str | Path):
        return read_scan(Path(image)).volume
    if hasattr(image, "dataobj") and hasattr(image, "affine"):
        return scan_from_image(image).volume
    message = f"found a {type(image).__name__}; expected a path, a nibabel image or a Volume"
    raise InputError(message)


def _is_wide(history: dict[str, list[float]]) -> bool:
    """Return whether figures are positive and differ so much that only a log scale shows them."""
    figures = [value for values in history.values() for value in values]
    return min(figures, default=0.0) > 0.0 and max(figures) > WIDE * min(figures)


def _dark_figure(width: float, height: float) -> Figure:
    return _figure(width, height, facecolor="black")


def light_figure(width: float, height: float) -> Figure:
    """Return an empty figure on white, sizes in inches."""
    return _figure(width, height, facecolor="white")


def _figure(width: float, height: float, facecolor: str) -> Figure:
    """Make a figure that no window and no global state knows of."""
    # where its cache cannot be written matplotlib says so at every start; nothing is lost by that
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure as MatplotlibFigure

    return MatplotlibFigure(figsize=(width, height), facecolor=facecolor, layout="constrained")
