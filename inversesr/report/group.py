"""The page of a study: a picture and a row for each scan, the worst first.

One HTML file that loads nothing and has no script.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inversesr.report.planes import anatomical_plane, intensity_window
from inversesr.volume import Image, Volume

TEMPLATE = "group.html.jinja"
PICTURE_PIXELS = 120
JPEG_QUALITY = 80


@dataclass(frozen=True)
class Row:
    """What the page says of one scan.

    Attributes:
        scan: Its name.
        status: What became of it.
        told: Why there is no image, or what is odd about it.
        solver: Solver that was used.
        n_warnings: How many warnings there are.
        difference: Largest difference from the measured slices, in words; empty for none.
        picture: Planes of the image as a data URI; empty where there is none.
        report: Link to its report; empty where there is none.
    """

    scan: str
    status: str
    told: str
    solver: str
    n_warnings: int
    difference: str
    picture: str
    report: str


def thumbnail(volume: Volume) -> str:
    """Return the middle planes of an image beside one another, as the data URI of a JPEG."""
    from PIL import Image as Pictures

    low, high = intensity_window(volume)
    planes = [_square(*anatomical_plane(volume, axis)) for axis in range(3)]
    shown = np.clip((np.concatenate(planes, axis=1) - low) / max(high - low, 1e-30), 0.0, 1.0)
    buffer = io.BytesIO()
    Pictures.fromarray((255.0 * shown).astype(np.uint8)).save(
        buffer, format="JPEG", quality=JPEG_QUALITY
    )
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _square(plane: Image, aspect: float) -> Image:
    """Return a plane at true proportions in a dark square."""
    from skimage.transform import resize

    up, across = plane.shape[0] * aspect, float(plane.shape[1])
    scale = PICTURE_PIXELS / max(up, across)
    size = max(1, round(up * scale)), max(1, round(across * scale))
    square = np.full((PICTURE_PIXELS, PICTURE_PIXELS), plane.min(), dtype=np.float32)
    start = [(PICTURE_PIXELS - n) // 2 for n in size]
    square[start[0] : start[0] + size[0], start[1] : start[1] + size[1]] = resize(
        plane, size, order=1, anti_aliasing=True, preserve_range=True
    )
    return square


def write_group_page(path: Path, title: str, counts: dict[str, int], rows: Sequence[Row]) -> None:
    """Write the page.

    Args:
        path: File to write.
        title: Name of the study.
        counts: Status -> how many scans have it.
        rows: What is shown, in this order.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("inversesr", "report"), autoescape=True, trim_blocks=True
    )
    page = environment.get_template(TEMPLATE).render(title=title, counts=counts, rows=rows)
    path.write_text(page, encoding="utf-8")
