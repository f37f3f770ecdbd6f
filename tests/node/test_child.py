"""A process leaves word of what came of a series, whatever that is."""

import json
from dataclasses import replace

import pytest

from inversesr.config import Config
from inversesr.errors import AccessError, InputError, MachineError
from inversesr.node import child
from inversesr.node.child import OUTCOME, Outcome, attempt, read_outcome
from inversesr.node.folder import write_whole
from tests.support.dicom import write
from tests.support.nodes import small_head

CONFIG = Config(solver="spline", spacing_mm=7.2)


def test_a_series_is_restored_to_files_of_dicom(tmp_path):
    folder, results = write(tmp_path / "in" / "abc", small_head()), tmp_path / "results" / "abc-6"
    results.parent.mkdir()
    outcome = attempt(folder, results, CONFIG)
    assert (outcome.kind, outcome.reason) == ("made", "")
    assert len(outcome.files) == 12
    assert all((results / file).is_file() for file in outcome.files)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"description": "localizer of Roentgen"}, "a scout"),
        ({"n": 1}, "has one slice"),
    ],
)
def test_what_is_no_scan_is_said_and_tells_nobody(tmp_path, facts, told):
    folder = write(tmp_path / "in" / "abc", small_head(**facts))
    outcome = attempt(folder, tmp_path / "abc-6", CONFIG)
    assert outcome.kind == "unusable"
    assert told in outcome.reason
    assert "Roentgen" not in outcome.reason


def test_slices_that_did_not_come_are_not_made_up(tmp_path):
    made = small_head(9)
    folder = write(tmp_path / "in" / "abc", [*made[:4], *made[5:]])
    outcome = attempt(folder, tmp_path / "abc-8", CONFIG)
    assert outcome.kind == "unusable"
    assert "lacks 1 of 9 slices: send it whole" in outcome.reason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("no scan"), "unusable"),
        (AccessError("not readable"), "machine"),
        (MachineError("the disk does not answer"), "machine"),
        (OSError(28, "No space left on device"), "machine"),
        (ValueError("a fault"), "fault"),
        (ZeroDivisionError("a fault"), "fault"),
    ],
)
def test_faults_of_series_and_machine_are_told_apart(tmp_path, monkeypatch, error, kind):
    def fail(*_):
        raise error

    monkeypatch.setattr(child, "restore_series", fail)
    outcome = attempt(tmp_path, tmp_path / "results", CONFIG)
    assert outcome.kind == kind
    assert outcome.reason


def test_a_scan_is_not_to_blame_for_a_disk_that_is_full(tmp_path, monkeypatch):
    def fail(*_):
        raise InputError("is converted to no image")  # noqa: EM101

    monkeypatch.setattr(child, "restore_series", fail)
    monkeypatch.setattr(child, "can_write", lambda _: False)
    assert attempt(tmp_path, tmp_path / "results", CONFIG).kind == "machine"


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"kind": "made"}'])
def test_half_an_outcome_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / OUTCOME).write_bytes(content)
    assert read_outcome(tmp_path) is None


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    outcome = Outcome("made", files=("0/1.dcm", "0/2.dcm"))
    write_whole(tmp_path / OUTCOME, json.dumps(vars(outcome)).encode())
    assert read_outcome(tmp_path) == outcome
    assert read_outcome(tmp_path) != replace(outcome, kind="fault")
