"""The report of a run: one HTML file with pictures, a viewer and figures that opens anywhere.

The page loads nothing: pictures, volumes and scripts lie inside it, and its content security
policy admits its own two scripts by their hash and forbids everything else.
"""

import base64
import hashlib
import io
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inversesr.acquisition.geometry import forward_operator
from inversesr.acquisition.missing import measured, put_back
from inversesr.report.display import WHITE, Layer, pack_layers
from inversesr.report.figures import agreement, compare, poses, trace, write_figure
from inversesr.report.narrative import EVERYWHERE
from inversesr.report.planes import intensity_range, intensity_window
from inversesr.result import MAPS, SHARE, Result
from inversesr.volume import Volume

TEMPLATE = "report.html.jinja"
# A page above 12 MB is refused by many mail servers; viewer and pictures take about 3 MB.
MOST_VOLUME_LETTERS = 8_500_000
# Below this share of the intensity range a difference map would show rounding.
LEAST_DIFFERENCE_SHARE = 1e-3
MAP_PERCENTILE = 99.5
# A map is transparent below this share of what is white-hot: colour is for what stands out.
LEAST_SHOWN_SHARE = 0.15
DIFFERENCE, DIFFERENCE_TITLE = "difference", "difference from the measured slices"
DOTS_PER_INCH = 90


def write_report(path: Path, result: Result, record: dict[str, Any]) -> None:
    """Write the report of a run.

    Args:
        path: File to write.
        result: What the run gave.
        record: The run's provenance, as in its sidecar.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("inversesr", "report"), autoescape=True, trim_blocks=True
    )
    scripts = [_viewer_file("niivue.umd.js"), _viewer_file("viewer.js")]
    packed, titles = pack_layers(layers_of(result), MOST_VOLUME_LETTERS), map_titles(result)
    page = environment.get_template(TEMPLATE).render(
        record=record,
        planes=_png(compare(result)),
        by_slice=[_png(agreement(source)) for source in result.sources],
        trace=_png(trace(result)) if result.history else None,
        poses=_png(poses(result)) if "poses" in result.facts else None,
        volumes=[asdict(p) for p in packed],
        maps=[p for p in packed if p.name in titles],
        map_titles=titles,
        coarser=[p for p in packed if p.is_coarser],
        window=intensity_window(result.sources[0].scan.volume),
        brightest=packed[0].high,
        # no text of the user's gets here: both files come with the package
        scripts=[Markup(script) for script in scripts],
        script_hashes=[_content_hash(script) for script in scripts],
    )
    path.write_text(page, encoding="utf-8")


def map_titles(result: Result) -> dict[str, str]:
    """Return the titles of the maps by their layers in the viewer."""
    own = {MAPS[name].layer: found.meaning for name, found in result.maps.items()}
    return {layer: title for layer, title in own.items() if layer} | {DIFFERENCE: DIFFERENCE_TITLE}


def layers_of(result: Result) -> list[Layer]:
    """Return what the viewer shows: scan and result in one window, and the maps there are."""
    scan = result.sources[0].scan.volume
    low, high = intensity_range(scan)
    share = (intensity_window(scan)[1] - low) / max(high - low, 1e-30)
    layers = [
        Layer(name, volume, low, high, white=round(WHITE * min(share, 1.0)))
        for name, volume in (("measured", scan), ("restored", result.volume))
    ]
    for name, found in result.maps.items():
        kind, volume = MAPS[name], found.volume
        is_share = kind.unit == SHARE
        # a prior that was used everywhere makes no map
        is_everywhere = is_share and volume.data.min() >= EVERYWHERE
        if kind.layer and not is_everywhere:
            layers.append(_map_layer(kind.layer, volume, kind.colours, is_share=is_share))
    difference = difference_map(result)
    if difference is not None:
        layers.append(_map_layer(DIFFERENCE, difference))
    return layers


def difference_map(result: Result) -> Volume | None:
    """Return |A x - y| in the scan's voxels; None where it is rounding or several scans differ."""
    source = result.sources[0]
    if len(result.sources) > 1 or source.agreement.largest_share < LEAST_DIFFERENCE_SHARE:
        return None
    scan = source.scan.volume
    A = forward_operator(scan.grid, result.volume.grid, source.acquisition)
    y_of_x = A(torch.from_numpy(result.volume.data)).numpy()
    axis, missing = source.acquisition.slice_axis, source.acquisition.missing
    difference = np.abs(y_of_x - measured(scan.data, axis, missing))
    return scan.with_data(put_back(difference, axis, missing))


def _map_layer(
    name: str, volume: Volume, colours: str = "hot", *, is_share: bool = False
) -> Layer:
    if is_share:
        return Layer(name, volume, 0.0, 1.0, colours)
    high = float(np.percentile(volume.data, MAP_PERCENTILE))
    high = high or float(volume.data.max())
    return Layer(name, volume, LEAST_SHOWN_SHARE * high, high, colours)


def _viewer_file(name: str) -> str:
    return (files("inversesr") / "report" / "viewer" / name).read_text(encoding="utf-8")


def _content_hash(script: str) -> str:
    """Return the source expression by which a content security policy admits a script."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _png(figure: Any) -> str:  # noqa: ANN401
    """Return a figure as a data URI."""
    buffer = io.BytesIO()
    write_figure(figure, buffer, DOTS_PER_INCH)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
