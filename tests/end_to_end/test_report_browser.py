"""The report as a reader sees it, in a real browser."""

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.report.html import write_report
from inversesr.volume import Grid, Volume
from inversesr.workflows.record import provenance
from inversesr.workflows.restore import restore
from tests.support.chromium import find_chromium, opened

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: apt-get install chromium"),
]
STARTED = "['ready', 'failed'].includes(document.getElementById('viewer')?.dataset.state)"
SHAPE, SPACING_MM = (48, 40, 12), (1.0, 1.0, 4.0)
# A bright block reaches from just beyond the middle to the patient's right, front and top.
BLOCK_CENTRE_MM, BLOCK_HALF_MM = np.array([7.0, 6.0, 7.0]), np.array([10.0, 9.0, 10.0])


def phantom():
    """A ball with a bright block towards its right, front and top, stored as LPS."""
    affine = np.diag([-1.0, -1.0, 4.0, 1.0])
    affine[:3, 3] = [(48 - 1) / 2, (40 - 1) / 2, -(12 - 1) * 2.0]
    index = np.indices(SHAPE).reshape(3, -1)
    world = (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *SHAPE)
    data = 60.0 * (np.square(world).sum(axis=0) < 17.0**2)
    world = np.moveaxis(world, 0, -1)
    block = (np.abs(world - BLOCK_CENTRE_MM) < BLOCK_HALF_MM).all(axis=-1)
    data = np.where(block, 200.0, data) + np.random.default_rng(0).normal(5, 1, SHAPE)
    return Volume(data.astype(np.float32), Grid(SHAPE, affine))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    result = restore([Scan.made_here(phantom())], Config(solver="spline"))
    record = provenance(result, [{"name": "scan.nii.gz", "bytes": 1, "sha256": "0" * 64}])
    path = tmp_path_factory.mktemp("report") / "scan_report.html"
    write_report(path, result, record)
    return path


@pytest.fixture(scope="module")
def page(report):
    with opened(report) as page:
        page.wait_for(STARTED)
        page.settle()
        yield page


def slide(page, name, value):
    page.evaluate(
        f"(() => {{ const s = document.getElementById('{name}'); s.value = {value};"
        "s.dispatchEvent(new Event('input')); })()"
    )
    page.settle()


def distance(a, b):
    return float(np.abs(a - b).mean())


def test_the_viewer_starts(page):
    assert page.evaluate("document.getElementById('viewer').dataset.state") == "ready"
    assert page.evaluate("document.getElementById('viewer-state').hidden")
    assert page.picture("#left").max() > 200


def test_the_slider_fades_the_right_side_from_restored_to_measured_and_back(page):
    left, restored = page.picture("#left"), page.picture("#right")
    slide(page, "fade", 50)
    between = page.picture("#right")
    slide(page, "fade", 100)
    measured = page.picture("#right")
    assert page.evaluate("document.getElementById('right-name').textContent") == "measured"
    # the tolerance is that of a redraw: one grey level in a hundred pixels
    assert distance(measured, left) < 0.2 < 2.0 < distance(restored, left)
    assert 0.2 < distance(between, restored) < distance(measured, restored)
    slide(page, "fade", 0)
    assert distance(page.picture("#right"), restored) < 0.01
    assert distance(page.picture("#left"), left) < 0.01


def test_the_map_slider_lays_colour_over_the_right_side(page):
    plain = page.picture("#right")
    slide(page, "fade-difference", 100)
    coloured = page.picture("#right")
    slide(page, "fade-difference", 0)

    def colour(picture):  # cross-hairs are coloured too, and stay where they are
        return float((picture.max(axis=2) - picture.min(axis=2)).mean())

    assert colour(coloured) > colour(plain) + 1.0


def block_from_cross_hairs(tile):
    """Rows and columns from the cross-hairs to the middle of the bright block."""
    yellow = (tile[..., 0] > 100) & (tile[..., 2] < 60)
    cross_hairs = [np.argmax(yellow.sum(axis=1)), np.argmax(yellow.sum(axis=0))]
    return np.argwhere(tile.min(axis=2) > 230).mean(axis=0) - cross_hairs


def test_superior_and_anterior_are_up_and_the_patient_s_right_is_on_the_left(page):
    shown = page.picture("#left")
    height, width = shown.shape[0] // 2, shown.shape[1] // 2
    coronal, axial = shown[:height, :width], shown[height:, :width]
    for tile in (coronal, axial):
        rows, columns = block_from_cross_hairs(tile)
        assert rows < -5
        assert columns < -5


def test_a_click_on_one_side_moves_the_cross_hairs_of_both(page):
    before = page.picture("#left"), page.picture("#right")
    x, y = page.evaluate(
        "(() => { document.getElementById('left').scrollIntoView();"
        "const b = document.getElementById('left').getBoundingClientRect();"
        "return [b.x + b.width * 0.15, b.y + b.height * 0.15]; })()"
    )
    page.click(x, y)
    page.settle()
    assert distance(page.picture("#left"), before[0]) > 0.2
    assert distance(page.picture("#right"), before[1]) > 0.2


def test_nothing_complains_and_no_request_leaves_the_page(page, report):
    assert page.console == []
    assert page.requests[0] == report.resolve().as_uri()
    assert all(address.startswith("data:") for address in page.requests[1:])


def test_without_webgl_the_page_says_what_to_do(report):
    with opened(report, flags=["--disable-gpu", "--disable-3d-apis"]) as page:
        page.wait_for(STARTED)
        assert page.evaluate("document.getElementById('viewer').dataset.state") == "failed"
        said = page.evaluate("document.getElementById('viewer-state').textContent")
    assert "pictures above" in said
