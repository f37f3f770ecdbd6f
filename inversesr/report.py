"""The report of a run: one HTML file with pictures and figures that opens anywhere."""

import base64
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.pipeline import Result, Source
from inversesr.volume import Volume

DISPLAY_PERCENTILES = (0.5, 99.5)
TEMPLATE = "report.html.jinja"


def has_report_packages() -> bool:
    """Whether the packages of the extra `[report]` are installed."""
    return find_spec("matplotlib") is not None and find_spec("jinja2") is not None


def write_report(path: Path, result: Result, record: dict[str, Any]) -> None:
    """Write the report of a run.

    Args:
        path: File to write.
        result: What the run gave.
        record: The run's provenance, as in its sidecar.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("inversesr", "."), autoescape=True, trim_blocks=True
    )
    page = environment.get_template(TEMPLATE).render(
        record=record,
        planes=_png(draw_planes(result)),
        by_slice=[_png(draw_agreement(source)) for source in result.sources],
    )
    path.write_text(page, encoding="utf-8")


def draw_planes(result: Result) -> Any:  # noqa: ANN401 (a matplotlib figure)
    """Draw the scan above the result, through its middle along each axis, at true proportions."""
    from matplotlib.figure import Figure

    scan, image = result.sources[0].scan.volume, result.volume
    low, high = np.percentile(scan.data, DISPLAY_PERCENTILES)
    figure = Figure(figsize=(12, 8.4), facecolor="black", layout="constrained")
    axes = figure.subplots(2, 3)
    for row, (volume, title) in enumerate(((scan, "measured"), (image, "restored"))):
        for axis in range(3):
            plane, aspect = middle_plane(volume, axis)
            panel = axes[row, axis]
            panel.imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=aspect)
            panel.set_title(title, color="white", fontsize=11)
            panel.axis("off")
    return figure


def draw_agreement(source: Source) -> Any:  # noqa: ANN401
    """Draw how far the degraded result is from each measured slice."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6), layout="constrained")
    panel = figure.subplots()
    for found, label in ((source.before_lock, "solver alone"), (source.agreement, "result")):
        floor = np.maximum(found.rms_by_slice, 1e-9)
        panel.semilogy(floor, marker=".", label=label)
    panel.axhline(max(source.noise, 1e-9), color="gray", linestyle="--", label="noise estimate")
    panel.set_xlabel("measured slice")
    panel.set_ylabel("rms difference")
    panel.legend(fontsize=8)
    return figure


def middle_plane(volume: Volume, axis: int) -> tuple[NDArray[np.float32], float]:
    """Return the plane through the middle across an axis, ready to show, and its aspect.

    The plane is turned so that superior (or anterior) is up and the patient's right is on the
    left, as radiologists read it.
    """
    order, flips = _to_ras(volume)
    data = volume.data.transpose(order)
    data = data[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
    spacing = [volume.grid.spacing_mm[a] for a in order]
    plane = np.take(data, data.shape[axis] // 2, axis=axis)
    across, up = [a for a in range(3) if a != axis]
    shown = plane.T[::-1]
    if across == 0:
        shown = shown[:, ::-1]
    return shown, spacing[up] / spacing[across]


def _to_ras(volume: Volume) -> tuple[list[int], list[bool]]:
    """Return the order of axes, and which to flip, to bring voxels near to RAS."""
    codes = volume.grid.axcodes
    order, flips = [], []
    for positive, negative in (("R", "L"), ("A", "P"), ("S", "I")):
        axis = next(a for a, code in enumerate(codes) if code in (positive, negative))
        order.append(axis)
        flips.append(codes[axis] == negative)
    return order, flips


def _png(figure: Any) -> str:  # noqa: ANN401
    """Return a figure as a data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
