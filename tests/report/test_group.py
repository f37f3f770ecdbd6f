import base64
import io

import numpy as np
from PIL import Image

from inversesr.report.group import PICTURE_PIXELS, Row, thumbnail, write_group_page
from inversesr.volume import Grid, Volume

AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])


def picture(volume):
    data = base64.b64decode(thumbnail(volume).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


def test_three_planes_stand_beside_one_another_at_true_proportions():
    data = np.ones((20, 20, 5), dtype=np.float32)
    data[:2] = 0.0
    shown = picture(Volume(data, Grid(data.shape, AFFINE)))
    assert shown.shape == (PICTURE_PIXELS, 3 * PICTURE_PIXELS)
    # 20 mm along every axis: each plane fills its square, and the sagittal one is white
    assert shown[5:-5, 5 : PICTURE_PIXELS - 5].min() > 200


def test_a_flat_image_has_a_picture_too():
    data = np.full((6, 6, 6), 3.0, dtype=np.float32)
    assert picture(Volume(data, Grid(data.shape, np.eye(4)))).shape[0] == PICTURE_PIXELS


def test_a_page_has_a_row_for_each_scan_and_loads_nothing(tmp_path):
    rows = [Row(f"scan {n}", "done", "", "tv", 0, "", "", "") for n in range(3)]
    write_group_page(tmp_path / "group.html", "A <study>", {"done": 3}, rows)
    page = (tmp_path / "group.html").read_text()
    assert page.count("<tr>") == 1 + len(rows) or page.count("<tr") == 1 + len(rows)
    assert "A &lt;study&gt;" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
