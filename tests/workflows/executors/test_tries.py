from functools import partial

from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import Conditions, Failure
from inversesr.workflows.executors.tries import carry_out_noted
from tests.support.executor_laws import work

LOST = Failure("what watched it was killed", is_unusable=False, is_killed=True)


def begun(tmp_path):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(partial(work, tmp_path), Conditions())
    return folder


def test_a_try_that_another_process_began_counts(tmp_path):
    folder = begun(tmp_path)
    folder.note_begin(7)
    failure = carry_out_noted(folder, 7, tmp_path / "poison", LOST)
    assert "killed" in failure.sentence
    assert failure.sentence.endswith("set aside after 3 tries")
    assert (tmp_path / "begun").read_text().split() == ["poison", "poison"]


def test_a_scan_that_killed_what_watched_it_each_time_is_set_aside(tmp_path):
    folder = begun(tmp_path)
    for _ in range(3):
        folder.note_begin(7)
    failure = carry_out_noted(folder, 7, tmp_path / "first", LOST)
    assert failure.sentence == "what watched it was killed; set aside after 3 tries"
    assert not (tmp_path / "first").exists()


def test_a_try_that_was_not_wanted_any_more_does_not_count(tmp_path):
    folder = begun(tmp_path)
    for _ in range(4):
        failure = carry_out_noted(folder, 7, tmp_path / "slow", LOST, is_wanted=lambda: False)
        assert failure.sentence == "the work was interrupted"
    assert folder.n_begun() == 0
    assert carry_out_noted(folder, 7, tmp_path / "first", LOST) is None


def test_work_that_ended_does_not_count_where_it_is_done_again(tmp_path):
    folder = begun(tmp_path)
    for _ in range(4):
        assert carry_out_noted(folder, 7, tmp_path / "first", LOST) is None
    assert (tmp_path / "begun").read_text().split() == ["first"] * 4
