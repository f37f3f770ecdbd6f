import subprocess
import sys
from functools import partial

from inversesr.workflows.executors.protocol import Conditions
from inversesr.workflows.executors.work_file import read_work, write_work
from tests.support.executor_laws import slept


def test_work_is_read_as_it_was_written_and_nobody_else_can_read_it(tmp_path):
    work, conditions = partial(slept, tmp_path, 0.0), Conditions(3, 60.0)
    found, found_conditions = read_work(write_work(tmp_path / "own", work, conditions))
    assert found_conditions == conditions
    assert found.module == "tests.support.executor_laws"
    found(tmp_path / "scan")
    assert (tmp_path / "scan").read_text() == "done"
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0


def test_work_that_was_written_anew_is_read_anew(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_work(tmp_path / "own", partial(slept, tmp_path / name, 0.0), Conditions())
        read_work(tmp_path / "own" / "work.pickle")[0](tmp_path / "scan")
        assert (tmp_path / name / "scan").exists()


READ = """
import sys
from pathlib import Path
from inversesr.workflows.executors import slurm_task, tries
from inversesr.workflows.executors.work_file import read_work
work, _ = read_work(Path(sys.argv[1]))
assert work.module == "inversesr.workflows.batch"
assert "torch" not in sys.modules
"""


def test_what_hands_work_on_does_not_load_its_libraries(tmp_path):
    from inversesr.workflows.batch import check_choices

    file = write_work(tmp_path / "own", partial(check_choices), Conditions())
    subprocess.run([sys.executable, "-c", READ, str(file)], check=True)
