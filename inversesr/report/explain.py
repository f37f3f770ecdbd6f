"""The page of `inversesr explain`: what is measured, what is added, what is left open."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from inversesr.explain.numbers import UNITS
from inversesr.explain.openness import OpenDirection, Openness
from inversesr.io.json_text import json_text
from inversesr.report.figures import Panel, mosaic, write_figure
from inversesr.report.planes import PLANES, intensity_window, middle_voxel_mm
from inversesr.volume import Grid, Volume

TEMPLATE = "explain.html.jinja"
DOTS_PER_INCH = 110
# A strip shows so much to each side of where most changes.
SHOWN_MM = 22.0
MEASURED_COLOURS, CHANGE_COLOURS = "viridis", "RdBu_r"
CHANGE_PERCENTILE = 99.8
Point = tuple[float, float, float]


def write_explain_page(
    path: Path, image: Volume, share: Volume, openness: Openness | None, record: dict[str, Any]
) -> None:
    """Write the page.

    Args:
        path: File to write.
        image: The restored image.
        share: Share of its detail that the data determine.
        openness: What the scan leaves open, or None.
        record: The explanation as plain data.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("inversesr", "report"), autoescape=True, trim_blocks=True
    )
    environment.filters["percent"] = percent
    directions = [] if openness is None else list(openness.directions)
    told = [] if record["left_open"] is None else record["left_open"]["directions"]
    strips = [
        {**words, "png": _png(strip(found, image, openness, record))}
        for found, words in zip(directions, told, strict=True)
        if openness is not None
    ]
    page = environment.get_template(TEMPLATE).render(
        record=record,
        shares=_png(measured_planes(image, share)),
        strips=strips,
        likely=None if openness is None else _png(likely_images(image, openness, record)),
        units=UNITS,
        left_open=record["left_open"],
        whole=json_text(record, indent=2),
    )
    path.write_text(page, encoding="utf-8")


def percent(share: float | None) -> str:
    """Return a share in per cent, as exact as it is worth telling."""
    if share is None:
        return "-"
    value = 100.0 * share
    if 0.0 < value < 0.05:
        return "below 0.1 %"
    return f"{value:.1f} %" if value < 10.0 or value > 99.0 else f"{value:.0f} %"


def measured_planes(image: Volume, share: Volume) -> Any:  # noqa: ANN401
    """Draw the image above the share of its detail that was measured, in three planes."""
    low, high = intensity_window(image)
    rows = [
        [Panel(image, axis, f"restored, {PLANES[axis]}", low, high) for axis in range(3)],
        [
            Panel(share, axis, "measured share of the detail", 0.0, 1.0, MEASURED_COLOURS)
            for axis in range(3)
        ],
    ]
    return mosaic(rows, middle_voxel_mm(image.grid))


def strip(found: OpenDirection, image: Volume, openness: Openness, record: dict[str, Any]) -> Any:  # noqa: ANN401
    """Draw one direction: -2 deviations, the image, +2 deviations, and what changes.

    Args:
        found: The direction.
        image: The restored image.
        openness: What the direction is one of.
        record: The explanation as plain data.
    """
    middle = image.cropped(openness.view)
    low, high = intensity_window(image)
    change = middle.with_data(found.high - found.low)
    largest = float(np.percentile(np.abs(change.data), CHANGE_PERCENTILE)) or 1.0
    axis = plane_across(image.grid, record["slice_axis"])
    box = box_of_change(change)
    below, same, above, changed = (
        volume.cropped(box)
        for volume in (middle.with_data(found.low), middle, middle.with_data(found.high), change)
    )
    panels = [
        Panel(below, axis, "-2 sd", low, high),
        Panel(same, axis, "mean", low, high),
        Panel(above, axis, "+2 sd", low, high),
        Panel(changed, axis, f"change, +-{largest:.3g}", -largest, largest, CHANGE_COLOURS),
    ]
    return mosaic([panels], point_of_change(changed, axis))


def box_of_change(change: Volume) -> tuple[slice, slice, slice]:
    """Return a box about the voxel that changes most, or the part of it that there is."""
    peak = np.unravel_index(np.argmax(np.abs(change.data)), change.grid.shape)
    sides = []
    for at, n, spacing in zip(peak, change.grid.shape, change.grid.spacing_mm, strict=True):
        reach = max(1, round(SHOWN_MM / spacing))
        sides.append(slice(max(int(at) - reach, 0), min(int(at) + reach + 1, n)))
    return (sides[0], sides[1], sides[2])


def likely_images(image: Volume, openness: Openness, record: dict[str, Any]) -> Any:  # noqa: ANN401
    """Draw the image between two that are likely too, and how far such images lie apart.

    Args:
        image: The restored image.
        openness: What the scan leaves open.
        record: The explanation as plain data.
    """
    middle = image.cropped(openness.view)
    low, high = intensity_window(image)
    sd = middle.with_data(openness.sd)
    largest = float(np.percentile(sd.data, CHANGE_PERCENTILE)) or 1.0
    axis = plane_across(image.grid, record["slice_axis"])
    first, second = (middle.with_data(x) for x in openness.likely)
    panels = [
        Panel(first, axis, "likely too", low, high),
        Panel(middle, axis, "the image", low, high),
        Panel(second, axis, "likely too", low, high),
        Panel(sd, axis, f"deviation, to {largest:.3g}", 0.0, largest, "hot"),
    ]
    return mosaic([panels], point_of_change(sd, axis))


def plane_across(grid: Grid, slice_axis: int) -> int:
    """Return a plane that cuts across the slices: coronal, or axial for coronal slices."""
    return 2 if grid.ras_order.index(slice_axis) == 1 else 1


def point_of_change(change: Volume, axis: int) -> Point:
    """Return a point of the plane, perpendicular to an axis of the body, where most changes."""
    voxel_axis = change.grid.ras_order[axis]
    others = tuple(a for a in range(3) if a != voxel_axis)
    index = [(n - 1) / 2.0 for n in change.grid.shape]
    index[voxel_axis] = float(np.argmax(np.square(change.data).sum(axis=others)))
    x, y, z = (change.grid.affine @ [*index, 1.0])[:3].tolist()
    return (x, y, z)


def _png(figure: Any) -> str:  # noqa: ANN401
    buffer = io.BytesIO()
    write_figure(figure, buffer, DOTS_PER_INCH)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
