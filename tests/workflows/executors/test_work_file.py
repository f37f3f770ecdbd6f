from functools import partial

from inversesr.workflows.executors.protocol import Conditions
from inversesr.workflows.executors.work_file import read_work, write_work
from tests.support.executor_laws import slept


def test_work_is_read_as_it_was_written_and_nobody_else_can_read_it(tmp_path):
    work, conditions = partial(slept, tmp_path, 1.0), Conditions(3, 60.0)
    file = write_work(tmp_path / "own", work, conditions)
    found, found_conditions = read_work(file, file.stat().st_mtime_ns)
    assert (found.func, found.args) == (work.func, work.args)
    assert found_conditions == conditions
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0


def test_work_that_was_written_anew_is_read_anew(tmp_path):
    for work in (len, max):
        file = write_work(tmp_path / "own", work, Conditions())
        assert read_work(file, file.stat().st_mtime_ns)[0] is work
