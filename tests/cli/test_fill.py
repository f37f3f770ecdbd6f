import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.io.nifti import Scan, write_volume
from tests.support.heads import head_volume


@pytest.fixture
def scan(tmp_path):
    volume = head_volume((20, 22, 10), (1.0, 1.0, 3.0), folds=4.0)
    write_volume(tmp_path / "scan.nii.gz", volume, Scan.made_here(volume))
    return tmp_path / "scan.nii.gz"


def fill(*arguments):
    return CliRunner().invoke(app, ["fill", *map(str, arguments)])


def test_a_slice_is_filled_and_told_on_standard_error(scan):
    told = fill(scan, "--slices", "4", "--solver", "spline", "--json")
    assert told.exit_code == 0, told.output
    outputs = json.loads(told.stdout)["outputs"]
    before, after = (nibabel.load(p).get_fdata() for p in (scan, outputs["image"]))
    np.testing.assert_array_equal(np.delete(after, 4, 2), np.delete(before, 4, 2))
    assert "generated, not measured" in told.stderr


def test_files_that_were_written_are_named_in_words(scan):
    told = fill(scan, "--slices", "4", "--solver", "spline")
    assert told.exit_code == 0, told.output
    lines = dict(line.split(":", 1) for line in told.stdout.splitlines())
    assert {"image", "generated", "record", "report"} <= set(lines)
    assert all(Path(file.strip()).is_file() for file in lines.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing is to be filled"),
        (["--slices", "99"], "has slices 0 to 9"),
        (["--slices", "x"], "expected numbers of slices"),
        (["--slices", "4", "--solver", "tv", "--samples", "2"], "which draws none"),
    ],
)
def test_what_cannot_be_filled_is_refused_in_one_sentence(scan, options, words):
    told = fill(scan, *options)
    assert told.exit_code == 2
    assert words in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_mask_that_does_not_fit_is_refused(scan, tmp_path):
    empty = head_volume((20, 22, 10), (1.0, 1.0, 3.0))
    write_volume(tmp_path / "m.nii.gz", empty.with_data(0 * empty.data), Scan.made_here(empty))
    told = fill(scan, "--mask", tmp_path / "m.nii.gz")
    assert told.exit_code == 2
    assert "marks nothing" in told.stderr
