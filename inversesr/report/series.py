"""The report of a series: a cine, the signal over its fluctuation, the motion, and figures."""

import base64
import io
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.measurements.series import SeriesModel
from inversesr.report.figures import Figure, light_figure, without_axes, write_figure
from inversesr.volume import Grid, Image

# A cine of more frames only makes the page heavy.
MOST_FRAMES, FRAMES_PER_SECOND = 24, 6
DOTS_PER_INCH = 80
WINDOW_PERCENTILE, TSNR_PERCENTILE = 99.8, 99.0
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'">
<title>{name}: inversesr</title>
<style>body {{ font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1000px;
padding: 1em; color: #222; }} img {{ max-width: 100%; }} td, th {{ text-align: left;
padding: .15em .8em .15em 0; }} .use {{ background: #f8d7da; padding: .5em .8em; }}
.warning {{ background: #fff3cd; padding: .5em .8em; margin: .4em 0; }}</style></head><body>
<p class="use">{use}</p><h1>{name}</h1>{warnings}
<h2>Cine</h2><img alt="Measured and restored series in time" src="{cine}">
<p>Left: measured. Right: restored. A plane along the slices through the middle of the head.</p>
<h2>Signal over fluctuation in time (tSNR)</h2><img alt="Maps of tSNR" src="{tsnr}">
<p>Mean divided by the standard deviation in time, about a straight line. Median in the head:
{measured:.1f} measured, {restored:.1f} restored. A restored series is smoother in time, as noise
was taken from it: its tSNR tells of noise, not of truth.</p>
<h2>Motion</h2><img alt="Motion from volume to volume" src="{motion}">
<h2>Figures</h2><table>{rows}</table></body></html>
"""


@dataclass(frozen=True, eq=False)
class Pictured:
    """What the report shows.

    Attributes:
        measured: The series, shape (n_volumes, *model.scan_grid.shape).
        restored: The frames, shape (*model.fine.shape, n_frames).
        measured_tsnr: tSNR of the series.
        restored_tsnr: tSNR of the frames.
        model: Model of the series with the poses that were used.
    """

    measured: Image
    restored: NDArray[np.float32]
    measured_tsnr: Image
    restored_tsnr: Image
    model: SeriesModel


def write_series_report(path: Path, pictured: Pictured, record: dict[str, Any]) -> None:
    """Write the report of a series as one HTML file that loads nothing.

    Args:
        path: File to write.
        pictured: What it shows.
        record: The record of the run.
    """
    facts = {
        "measured": _words(record["measured"]["shape"], record["measured"]["spacing_mm"])
        + f", {record['measured']['RepetitionTime']:g} s a volume",
        "restored": _words(record["output"]["shape"], record["output"]["spacing_mm"])
        + f", {record['RepetitionTime']:g} s a frame",
        "times of slices": record["measured"]["SliceTiming_from"] or "not stated",
        "mean thinned by": record["solver"]["used"],
        "course in time": record["solver"]["temporal"],
        "noise of a slice": f"{record['noise']:.4g}",
        "largest motion": f"{record['motion']['largest_mm']:.2f} mm",
    }
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts.items())
    page = PAGE.format(
        name=escape(record["inputs"][0]["name"]),
        use=escape(record["IntendedUse"]),
        warnings="".join(f'<p class="warning">{escape(w)}</p>' for w in record["warnings"]),
        cine=_uri("gif", cine(pictured)),
        tsnr=_uri("png", _png(_tsnr_figure(pictured))),
        motion=_uri("png", _png(_motion_figure(pictured.model))),
        rows=rows,
        **record["tsnr"],
    )
    path.write_text(page, encoding="utf-8")


def _words(shape: list[int], spacing_mm: list[float]) -> str:
    size = " x ".join(str(n) for n in shape)
    return f"{size}, voxels of {' x '.join(f'{s:.3g}' for s in spacing_mm)} mm"


def cine(pictured: Pictured) -> bytes:
    """Return an animated GIF: a plane along the slices, measured and restored."""
    from matplotlib.animation import PillowWriter

    model, n = pictured.model, pictured.restored.shape[3]
    plane = _plane(model.slice_axis)
    shown = np.linspace(0, n - 1, min(n, MOST_FRAMES)).round().astype(int)
    high = float(np.percentile(pictured.measured[0], WINDOW_PERCENTILE))
    figure = light_figure(9.0, 4.5)
    axes = figure.subplots(1, 2)
    first = (pictured.measured[0], pictured.restored[..., 0])
    images = [
        _draw(ax, _cut(volume, plane), grid, plane, high)
        for ax, volume, grid in zip(axes, first, (model.scan_grid, model.fine), strict=True)
    ]
    for ax, title in zip(axes, ("measured", "restored"), strict=True):
        ax.set_title(title)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not for every frame
    writer = PillowWriter(fps=FRAMES_PER_SECOND)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "cine.gif"
        with writer.saving(figure, str(file), DOTS_PER_INCH):
            for j in shown:
                t = model.volume_at(int(j))
                pair = (pictured.measured[t], pictured.restored[..., j])
                for image, volume in zip(images, pair, strict=True):
                    image.set_data(_cut(volume, plane).T)
                axes[0].set_title(f"measured, volume {t}")
                axes[1].set_title(f"restored, {j * model.frame_s:.2f} s")
                writer.grab_frame()
        return file.read_bytes()


def _tsnr_figure(pictured: Pictured) -> Figure:
    model = pictured.model
    plane = _plane(model.slice_axis)
    high = float(np.percentile(pictured.restored_tsnr, TSNR_PERCENTILE)) or 1.0
    figure = light_figure(9.0, 4.5)
    pairs = (
        ("measured", pictured.measured_tsnr, model.scan_grid),
        ("restored", pictured.restored_tsnr, model.fine),
    )
    axes = figure.subplots(1, 2)
    for ax, (title, volume, grid) in zip(axes, pairs, strict=True):
        image = _draw(ax, _cut(volume, plane), grid, plane, high)
        image.set_cmap("viridis")
        ax.set_title(f"tSNR, {title}")
    figure.colorbar(image, ax=list(axes), shrink=0.8)
    return figure


def _motion_figure(model: SeriesModel) -> Figure:
    middle = np.append((np.array(model.fine.shape) - 1) / 2.0, 1.0)
    centre = model.fine.affine @ middle
    shift = np.array([(pose @ centre - centre)[:3] for pose in model.poses])
    turn = np.array([_degrees(pose[:3, :3]) for pose in model.poses])
    figure = light_figure(9.0, 3.0)
    axes = figure.subplots(1, 2)
    for ax, values, unit in zip(
        axes, (shift, turn), ("shift in mm", "turn in degrees"), strict=True
    ):
        for column, name in zip(values.T, "xyz", strict=True):
            ax.plot(column, label=name)
        ax.set_xlabel("volume")
        ax.set_ylabel(unit)
    axes[0].legend()
    return figure


def _degrees(R: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation vector of a small rotation, in degrees."""
    return np.degrees(np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2.0)


def _plane(slice_axis: int) -> int:
    """Return the axis across the plane that is shown: slices are seen from the side."""
    return 0 if slice_axis != 0 else 1


def _cut(volume: Image, plane: int) -> Image:
    return np.asarray(np.take(volume, volume.shape[plane] // 2, axis=plane))


def _draw(ax: Any, image: Image, grid: Grid, plane: int, high: float) -> Any:  # noqa: ANN401
    spacing = [s for axis, s in enumerate(grid.spacing_mm) if axis != plane]
    without_axes(ax)
    return ax.imshow(
        image.T, origin="lower", cmap="gray", vmin=0.0, vmax=high, aspect=spacing[1] / spacing[0]
    )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    write_figure(figure, buffer, DOTS_PER_INCH)
    return buffer.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")
