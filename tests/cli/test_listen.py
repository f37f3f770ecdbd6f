"""The command `inversesr listen`: usage, status, and what it refuses."""

import json

import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.node.database import open_database
from inversesr.node.folder import prepare_folder
from inversesr.node.works import failed
from tests.support.queues import taken


def listen(*arguments):
    return CliRunner().invoke(app, ["listen", *map(str, arguments)])


@pytest.fixture
def queue(tmp_path):
    """A queue with one series that was set aside."""
    prepare_folder(tmp_path)
    database = open_database(tmp_path)
    failed(database, taken(database, "abc"), "its process was ended by signal 9", 1)
    database.close()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--allow"),
        (("--allow", "PACS"), "--forward"),
        (("--allow", "PACS", "--forward", "nowhere"), "--forward is nowhere"),
        (("--allow", "PACS", "--forward", "A@b:1", "--series", "4"), "meant for one scan"),
        (("--allow", "A\\B", "--forward", "A@b:1"), "without a backslash"),
        (("--status",), "is no queue"),
    ],
)
def test_wrong_usage_is_one_sentence_and_nothing_is_made(tmp_path, arguments, told):
    found = listen("--queue", tmp_path / "queue", *arguments)
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert told in found.stderr
    assert not list(tmp_path.iterdir())


def test_the_status_names_what_was_set_aside(queue):
    found = listen("--queue", queue, "--status")
    assert found.exit_code == 1
    assert "node: off" in found.stdout
    assert "set aside: abc: its process was ended by signal 9" in found.stdout
    told = json.loads(listen("--queue", queue, "--status", "--json").stdout)
    assert told["is_running"] is False
    assert told["series"]["aside"] == 1


def test_a_series_is_released(queue):
    found = listen("--queue", queue, "--release", "abc")
    assert (found.exit_code, found.stdout.count("abc")) == (0, 1)
    assert "1 ready" in listen("--queue", queue, "--status").stdout
    assert listen("--queue", queue, "--release", "abc").exit_code == 2
