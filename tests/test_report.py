import itertools
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.job import provenance
from inversesr.nifti import Scan
from inversesr.pipeline import restore
from inversesr.report import has_report_packages, middle_plane, write_report
from inversesr.volume import Grid, Volume

pytestmark = pytest.mark.skipif(
    not has_report_packages(), reason="the extra [report] is not installed"
)
HOSTILE = "<script>alert('a')</script>&\"x\""
VOID = {"meta", "img", "br"}
# Every order and handedness of the three axes.
ORIENTATIONS = [
    "".join(letters[sign] for letters, sign in zip(order, signs, strict=True))
    for order in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product((0, 1), repeat=3)
]


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and whether each one is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.elements = [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def result():
    data = np.random.default_rng(0).uniform(50, 100, (9, 8, 5)).astype(np.float32)
    volume = Volume(data, Grid((9, 8, 5), np.diag([1.0, 1.0, 4.0, 1.0])))
    return restore([Scan.made_here(volume)], Config(solver="spline"))


@pytest.fixture(scope="module")
def text(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    facts = {"name": f"{HOSTILE}.nii.gz", "bytes": 1, "sha256": "0" * 64}
    record = provenance(result, [facts])
    record["warnings"] = [f"warned of {HOSTILE}"]
    record["scans"][0]["name"] = HOSTILE
    write_report(path, result, record)
    return path.read_text(encoding="utf-8")


def test_the_report_is_well_formed_and_shows_planes_and_agreement(text):
    pictures = [found for tag, found in read(text).elements if tag == "img"]
    assert len(pictures) == 2
    assert all(found["src"].startswith("data:image/png;base64,") for found in pictures)
    assert all(found["alt"] for found in pictures)


def test_the_report_needs_nothing_from_elsewhere(text):
    words = re.sub(r"data:image/png;base64,[\w+/=]*", "", text)
    assert not re.search(r"https?:|//|url\(|@import|<link|<iframe", words)
    for _, found in read(text).elements:
        assert all(found.get(name, "data:").startswith("data:") for name in ("src", "href"))


def test_the_report_forbids_the_browser_to_load_or_run_anything(text):
    policies = [
        found["content"]
        for tag, found in read(text).elements
        if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]


def test_a_hostile_file_name_is_shown_and_not_run(text):
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 3


def test_the_report_says_that_it_is_not_for_diagnosis_and_warns(text):
    assert "not for diagnosis" in text
    assert "warned of" in text
    assert "Patient&#39;s right is on the left" in text or "Patient's right is on the left" in text


def marked(codes, world_mm):
    """A volume in some orientation with one bright voxel at a world position."""
    shape_ras, spacing_ras = (7, 9, 11), (1.0, 2.0, 3.0)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    shape = []
    for axis, code in enumerate(codes):
        world = next(i for i, letters in enumerate(("RL", "AP", "SI")) if code in letters)
        step = spacing_ras[world] * (1.0 if code in "RAS" else -1.0)
        n = shape_ras[world]
        affine[world, axis] = step
        affine[world, 3] = -step * (n - 1) / 2.0
        shape.append(n)
    data = np.zeros(shape, np.float32)
    voxel = np.linalg.inv(affine) @ [*world_mm, 1.0]
    data[tuple(np.round(voxel[:3]).astype(int))] = 1.0
    return Volume(data, Grid(tuple(shape), affine))


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize(
    ("axis", "mark_mm", "row", "column", "shape", "aspect"),
    [
        pytest.param(0, (0, 6.0, 9.0), 2, 7, (11, 9), 1.5, id="sagittal"),
        pytest.param(1, (2.0, 0, 9.0), 2, 1, (11, 7), 3.0, id="coronal"),
        pytest.param(2, (2.0, 6.0, 0), 1, 1, (9, 7), 2.0, id="axial"),
    ],
)
def test_superior_or_anterior_is_up_and_the_patient_s_right_is_on_the_left(  # noqa: PLR0913 (a case)
    codes, axis, mark_mm, row, column, shape, aspect
):
    plane, found_aspect = middle_plane(marked(codes, mark_mm), axis)
    assert plane.shape == shape
    assert np.argwhere(plane == 1.0).tolist() == [[row, column]]
    assert found_aspect == pytest.approx(aspect)


def test_missing_packages_are_noticed(monkeypatch):
    monkeypatch.setattr("inversesr.report.find_spec", lambda _name: None)
    assert not has_report_packages()
    monkeypatch.setattr("inversesr.report.find_spec", lambda _name: SimpleNamespace())
    assert has_report_packages()
