"""One node alone works with a queue; files of it are there wholly or not at all."""

import os
import stat
import subprocess
import sys

import pytest

from inversesr.errors import InputError
from inversesr.node.folder import can_write, is_in_use, prepare_folder, sole_user, write_whole

HOLDER = """
import sys, time
from pathlib import Path
from inversesr.node.folder import sole_user
with sole_user(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_only_this_user_can_read_a_queue(queue):
    for folder in (queue, *queue.iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_queue_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="--queue"):
        prepare_folder(tmp_path / "file" / "queue")


def test_a_second_node_is_refused_and_a_killed_one_lets_go(queue):
    command = [sys.executable, "-c", HOLDER, str(queue)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert is_in_use(queue)
        with (
            pytest.raises(InputError, match=rf"another node \(process {other.pid}\)"),
            sole_user(queue),
        ):
            pass
        other.kill()
    assert not is_in_use(queue)
    with sole_user(queue):
        assert is_in_use(queue)
    assert not is_in_use(queue)


def test_who_only_looks_does_not_keep_a_node_from_starting(queue):
    with sole_user(queue):
        pass
    lock = os.open(queue / "lock", os.O_RDONLY)
    os.close(lock)
    assert not is_in_use(queue)


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(queue):
    write_whole(queue / "a", b"first")
    (queue / "b").mkdir()
    with pytest.raises(OSError, match="b"):
        write_whole(queue / "b", b"no file goes here")
    assert (queue / "a").read_bytes() == b"first"
    assert not list(queue.glob(".*"))


def test_whether_a_folder_can_be_written_to_is_told(queue):
    assert can_write(queue)
    assert not can_write(queue / "missing")
