from pathlib import Path

import nibabel
import numpy as np
import pytest

from inversesr.workflows.record import file_facts, present_solver_of, read_record


def test_the_record_of_a_pair_knows_both_files(tmp_path):
    data = np.random.default_rng(0).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Pair(data, np.diag([1.0, 1.0, 4.0, 1.0])), tmp_path / "a.img")
    facts = file_facts(tmp_path / "a.hdr")
    assert [facts["name"], *(part["name"] for part in facts["with"])] == ["a.hdr", "a.img"]
    assert "with" not in file_facts(Path(__file__))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_what_is_no_record_is_an_empty_one(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert read_record(tmp_path / "a.json") == {}
    assert read_record(tmp_path / "missing.json") == {}


def test_a_solver_in_an_old_record_has_its_present_name():
    assert present_solver_of("warmstart") == "unet"
    assert present_solver_of("tv") == "tv"
