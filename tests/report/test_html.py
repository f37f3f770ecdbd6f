import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.report.html import (
    difference_map,
    layers_of,
    write_report,
)
from inversesr.result import make_map
from inversesr.volume import Grid, Volume
from inversesr.workflows.record import provenance
from inversesr.workflows.restore import restore

HOSTILE = "<script>alert('a')</script>&\"x\""
VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and whether each one is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.scripts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)

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


def without_scripts(text):
    return re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)


def test_the_report_needs_nothing_from_elsewhere(text):
    words = re.sub(r"data:image/png;base64,[\w+/=]*", "", without_scripts(text))
    assert not re.search(r"https?:|//|url\(|@import|<link|<iframe", words)
    for _, found in read(text).elements:
        assert all(found.get(name, "data:").startswith("data:") for name in ("src", "href"))


def policy(text):
    (found,) = [
        found["content"]
        for tag, found in read(text).elements
        if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in found.split(";"))
    return {name: values.split() for name, values in rules.items()}


def test_the_browser_may_run_the_two_scripts_of_the_package_and_load_nothing(text):
    rules = policy(text)
    assert rules.pop("default-src") == ["'none'"]
    assert rules.pop("img-src") == ["data:"]
    assert rules.pop("style-src") == ["'unsafe-inline'"]
    admitted = rules.pop("script-src")
    assert not rules
    found = [
        hashlib.sha256(content.encode()).digest()
        for attributes, content in read(text).scripts
        if not attributes
    ]
    assert admitted == [f"'sha256-{base64.b64encode(d).decode()}'" for d in found]
    assert len(found) == 2


def test_the_viewer_is_the_published_one(text):
    """The hash stands in the README beside it."""
    folder = files("inversesr") / "report" / "viewer"
    viewer = (folder / "niivue.umd.js").read_bytes()
    assert hashlib.sha256(viewer).hexdigest() in (folder / "README.md").read_text()
    assert read(text).scripts[1][1].encode() == viewer


def test_a_hostile_file_name_is_shown_and_not_run(text):
    assert "<script" not in without_scripts(text)
    assert text.count("&lt;script&gt;") >= 3
    for _, content in read(text).scripts:
        assert "alert('a')" not in content


def test_the_page_carries_the_scan_and_the_result(text):
    ((_, content),) = [s for s in read(text).scripts if s[0].get("id") == "volumes"]
    assert [layer["name"] for layer in json.loads(content)] == [
        "measured",
        "restored",
        "difference",
    ]


def test_the_difference_is_that_of_the_degraded_result_from_the_scan(result):
    scan = result.sources[0].scan.volume
    # slices of 4 mm without gap over voxels of 1 mm are plain means
    degraded = result.volume.data.reshape(9, 8, 5, 4).mean(axis=3)
    found = difference_map(result).data
    np.testing.assert_allclose(found, np.abs(degraded - scan.data), atol=1e-4)
    assert found.max() == pytest.approx(result.sources[0].agreement.largest, rel=1e-4)


def test_where_the_result_reproduces_the_scan_there_is_no_difference_to_show(result):
    consistent = restore([result.sources[0].scan], Config("tv", consistency="exact", threads=1))
    assert difference_map(consistent) is None
    assert [layer.name for layer in layers_of(consistent)] == ["measured", "restored"]


def test_a_standard_deviation_becomes_a_map_of_what_stands_out(result):
    deviation = result.volume.with_data(result.volume.data / 10.0)
    layers = layers_of(replace(result, maps={"sd": make_map("sd", deviation, "")}))
    (found,) = [layer for layer in layers if layer.name == "deviation"]
    assert 0.1 * found.high < found.low < 0.2 * found.high
    assert found.high == pytest.approx(np.percentile(deviation.data, 99.5))


def test_scan_and_result_are_shown_in_one_window(result):
    first, second = layers_of(result)[:2]
    assert (first.low, first.high, first.white) == (second.low, second.high, second.white)


def test_fat_is_stored_brighter_than_what_is_white_at_first(result):
    scan = result.sources[0].scan
    data = scan.volume.data.copy()
    data[:2] = 500.0
    bright = replace(result.sources[0], scan=Scan.made_here(scan.volume.with_data(data)))
    first = layers_of(replace(result, sources=(bright,)))[0]
    assert first.high == pytest.approx(500.0)
    assert first.white < 100


def test_the_page_says_what_the_prior_contributed(result, text):
    assert "<h2>Contribution of the prior</h2>" in text
    (sentence,) = provenance(result, [])["prior"]
    assert f"<li>{sentence}</li>" in text


def test_the_weight_of_the_prior_is_a_map_unless_it_is_1_everywhere(result):
    everywhere = result.volume.with_data(np.ones_like(result.volume.data))
    half = everywhere.with_data(everywhere.data * 0.5)
    names = [
        [layer.name for layer in layers_of(replace(result, maps={"prior_mask": found}))]
        for found in (make_map("prior_mask", mask, "") for mask in (everywhere, half))
    ]
    assert ["prior" in found for found in names] == [False, True]


def test_a_large_head_is_shown_coarser_and_the_page_says_so(result, tmp_path, monkeypatch):
    monkeypatch.setattr("inversesr.report.html.MOST_VOLUME_LETTERS", 1500)
    record = provenance(result, [{"name": "scan.nii.gz", "bytes": 1, "sha256": "0" * 64}])
    write_report(tmp_path / "report.html", result, record)
    assert "also averaged to voxels of" in (tmp_path / "report.html").read_text()


def test_the_report_says_that_it_is_not_for_diagnosis_and_warns(text):
    assert "not for diagnosis" in text
    assert "warned of" in text
    assert "Patient's right is on the left" in text
    assert "also averaged to voxels of" not in text


def test_a_refused_prior_leaves_its_solver_s_name_to_the_one_that_was_used(result, tmp_path):
    refused = replace(result, config=replace(result.config, solver="latent-pnp"), solver_used="tv")
    record = provenance(refused, [{"name": "scan.nii.gz", "bytes": 1, "sha256": "0" * 64}])
    write_report(tmp_path / "report.html", refused, record)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "restored with tv</h1>" in page
    assert "tv instead of latent-pnp" in page
