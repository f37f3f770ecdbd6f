"""The report of a diffusion series: maps of thick and thin slices side by side, in HTML."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.io.json_text import json_text
from inversesr.report.figures import without_axes, write_figure
from inversesr.report.planes import PLANES, anatomical_plane, middle_voxel_mm, nearest_index
from inversesr.volume import Grid, Volume

# map -> title, largest value shown, what it is multiplied by
SHOWN = {
    "adc": ("ADC, 10\u207b\u00b3 mm\u00b2/s", 3.0, 1e3),
    "adcrobust": ("ADC, robust fit, 10\u207b\u00b3 mm\u00b2/s", 3.0, 1e3),
    "md": ("mean diffusivity, 10\u207b\u00b3 mm\u00b2/s", 3.0, 1e3),
    "fa": ("fractional anisotropy", 1.0, 1.0),
}
DOTS_PER_INCH = 80
Maps = dict[str, NDArray[np.float32]]


def write_dwi_report(
    path: Path, maps: dict[str, Maps], grids: dict[str, Grid], record: dict[str, Any]
) -> None:
    """Write the report of a diffusion series.

    Args:
        path: File to write.
        maps: "thick" and "thin" -> the maps of each.
        grids: Voxels of each.
        record: The run's provenance, as in its sidecar.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("inversesr", "report"), autoescape=True, trim_blocks=True
    )
    pictures = []
    for name in maps["thin"]:
        title, *_ = SHOWN[name]
        pictures.append({"title": title, "png": _png(side_by_side(name, maps, grids))})
    page = environment.get_template("dwi.html.jinja").render(
        record=record, pictures=pictures, whole=json_text(record, indent=2)
    )
    path.write_text(page, encoding="utf-8")


def side_by_side(name: str, maps: dict[str, Maps], grids: dict[str, Grid]) -> Any:  # noqa: ANN401
    """Draw one map of thick slices above that of thin ones, in three planes and one window."""
    from matplotlib.figure import Figure

    _, high, factor = SHOWN[name]
    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 3)
    at_mm = middle_voxel_mm(grids["thick"])
    drawn: Any = None
    for row, which in enumerate(("thick", "thin")):
        volume = Volume(factor * maps[which][name], grids[which])
        for axis in range(3):
            plane, aspect = anatomical_plane(volume, axis, nearest_index(volume.grid, axis, at_mm))
            panel = panels[row, axis]
            drawn = panel.imshow(plane, cmap="gray", vmin=0.0, vmax=high, aspect=aspect)
            panel.set_title(f"{which} slices, {PLANES[axis]}", fontsize=10)
            without_axes(panel)
    figure.colorbar(drawn, ax=panels, shrink=0.7)
    return figure


def _png(figure: Any) -> str:  # noqa: ANN401
    buffer = io.BytesIO()
    write_figure(figure, buffer, DOTS_PER_INCH)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
