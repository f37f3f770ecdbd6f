import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from inversesr.errors import InputError
from inversesr.io import atomic
from inversesr.io.atomic import (
    PARTIAL_PREFIX,
    UNLOCKED_PREFIX,
    UNLOCKED_SECONDS,
    atomic_folder,
    check_folder_name,
    check_output,
    check_picture,
    clear_partial,
    is_image_name,
    only_one,
    scratch_folder,
)


@pytest.mark.parametrize("name", ["a.nii.gz", "b/a.nii", "A.NII.GZ"])
def test_a_name_of_nifti_is_that_of_an_image(name):
    assert is_image_name(Path(name))
    with pytest.raises(InputError, match="expected a folder"):
        check_folder_name(Path(name))


@pytest.mark.parametrize("name", ["out", "out.d", "a.nii.gz.d", "results 2024.05", "."])
def test_other_names_are_those_of_folders(name):
    assert not is_image_name(Path(name))
    check_folder_name(Path(name))


def test_a_folder_that_is_there_is_one_whatever_its_name(tmp_path):
    (tmp_path / "a.nii.gz").mkdir()
    check_folder_name(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("name", ["a.mgz", "a.nrrd", "a.hdr", "a.dcm", "a.nii.bz2"])
def test_formats_that_are_not_written_are_refused(name):
    with pytest.raises(InputError, match=r"end it in \.nii\.gz or \.nii"):
        is_image_name(Path(name))


def test_a_second_process_is_refused_while_the_first_goes_on(tmp_path):
    with (
        only_one(tmp_path, "another batch"),
        pytest.raises(InputError, match="another batch writes into"),
        only_one(tmp_path, "another batch"),
    ):
        pass
    with only_one(tmp_path, "another batch"):
        pass


def test_on_a_disk_without_locks_nothing_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(atomic.fcntl, "flock", refuse)
    with only_one(tmp_path, "another batch"), only_one(tmp_path, "another batch"):
        pass


@pytest.mark.parametrize("name", ["picture.txt", "none/picture.png", "picture"])
def test_a_picture_is_a_png_in_a_folder_that_is_there(tmp_path, name):
    (tmp_path / "old.PNG").write_text("")
    check_picture(tmp_path / "old.PNG")
    with pytest.raises(InputError, match=r"ending in \.png in an existing folder"):
        check_picture(tmp_path / name)


def test_a_failure_inside_leaves_nothing_behind(tmp_path):
    def write_half():
        with atomic_folder(tmp_path, "a") as partial:
            (partial / "a").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_the_file_that_others_belong_to_appears_last(tmp_path, monkeypatch):
    moved = []
    replace = Path.replace

    def watch(self, target):
        moved.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    for last in ("image", "record", "report"):
        with atomic_folder(tmp_path, last) as partial:
            for name in ("image", "record", "report"):
                (partial / name).touch()
        assert moved[-1] == last


def test_the_next_run_clears_away_what_a_killed_one_left(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from inversesr.io.atomic import atomic_folder\n"
        "with atomic_folder(Path(sys.argv[1]), 'a') as partial:\n"
        "    (partial / 'a').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PARTIAL_PREFIX)
    with atomic_folder(tmp_path, "b") as partial:
        (partial / "b").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_runs_into_the_same_folder_leave_each_other_alone(tmp_path):
    with atomic_folder(tmp_path, "a") as first:
        (first / "a").write_text("a")
        with atomic_folder(tmp_path, "b") as second:
            (second / "b").write_text("b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that even root may not use")
def test_a_folder_that_cannot_be_written_to_is_refused():
    with pytest.raises(InputError, match=r"cannot write into /proc.*with -o"):
        check_output([Path("/proc/self/scan.nii.gz")], force=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into any folder")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write into"):
        check_output([tmp_path / "a.nii.gz"], force=False)


def test_a_file_whose_name_is_too_long_for_a_disk_is_refused(tmp_path):
    with pytest.raises(InputError, match="a name of 300 bytes; expected at most"):
        check_output([tmp_path / ("é" * 150)], force=True)


def test_folders_made_for_files_that_never_came_are_removed_and_others_stay(tmp_path):
    (tmp_path / "there").mkdir()
    with atomic_folder(tmp_path / "there" / "new" / "deep", "a"):
        pass
    assert [file.name for file in tmp_path.rglob("*")] == ["there"]


def test_a_folder_of_results_takes_the_place_of_the_former_one_as_a_whole(tmp_path):
    for name in ("former", "new"):
        with atomic_folder(tmp_path, "views") as partial:
            (partial / "views").mkdir()
            (partial / "views" / name).touch()
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")] == [
        "views",
        "views/new",
    ]


def test_what_nobody_keeps_is_readable_by_its_user_alone_and_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{PARTIAL_PREFIX}of_a_killed_run").mkdir()
    with scratch_folder() as scratch:
        assert list(tmp_path.iterdir()) == [scratch]
        assert stat.S_IMODE(scratch.stat().st_mode) == stat.S_IRWXU
        (scratch / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_its_maker_had_no_time_to_lock_is_cleared_after_a_while(tmp_path):
    for name, age in (("young", 0.0), ("old", 2.0 * UNLOCKED_SECONDS)):
        folder = tmp_path / f"{UNLOCKED_PREFIX}{name}"
        folder.mkdir()
        made = folder.stat().st_mtime - age
        os.utime(folder, (made, made))
    clear_partial(tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == [f"{UNLOCKED_PREFIX}young"]
