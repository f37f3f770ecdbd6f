from pathlib import Path

from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import Conditions, Failure


def test_every_scan_is_in_one_part_and_parts_are_as_many_as_allowed(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(print, Conditions())
    scans = {number: Path(f"scan {number}") for number in range(3, 10)}
    assert folder.write_parts(1, scans, 3) == 3
    parts = folder.parts(1)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert {n: Path(scan) for part in parts for n, scan in part} == scans
    assert folder.largest_part(1) == 3


def test_each_try_of_a_scan_is_counted(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(print, Conditions())
    assert [folder.note_begin(n) for n in (1, 1, 2, 1)] == [0, 1, 0, 2]
    assert folder.n_begun() == 4


def test_each_result_is_given_once(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(print, Conditions())
    failure = Failure("too dark", is_unusable=True)
    folder.note_end(11, failure)
    assert folder.has_ended(11)
    assert not folder.has_ended(2)
    assert list(folder.new_results({2, 11})) == [(11, failure)]
    folder.note_end(2, None)
    assert list(folder.new_results({2})) == [(2, None)]
    assert list(folder.new_results({2, 11})) == []


def test_a_new_batch_begins_with_an_empty_folder(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(print, Conditions())
    folder.note_begin(1)
    folder.begin(len, Conditions(tries=5))
    assert folder.n_begun() == 0
    work, conditions = folder.work()
    assert (work.module, conditions) == ("builtins", Conditions(tries=5))


def test_a_try_that_is_taken_back_is_not_counted(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(print, Conditions())
    folder.take_back(1, folder.note_begin(1))
    assert folder.note_begin(1) == 0


def test_the_last_line_that_a_job_printed_is_found(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(print, Conditions())
    assert folder.last_words() == "they printed nothing"
    (folder.path / "log-7_0.txt").write_text("first\nno such program\n")
    assert folder.last_words() == "no such program"
