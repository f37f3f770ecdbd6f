import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.cli.old_names import RENAMED


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_command_of_an_earlier_version_works_and_warns(old, new):
    before = CliRunner().invoke(app, [old, "--help"])
    after = CliRunner().invoke(app, [*new, "--help"])
    assert before.exit_code == 0
    assert before.stdout == after.stdout
    assert before.stderr.startswith(
        f"warning: `inversesr {old}` is now `inversesr {' '.join(new)}`"
    )
    assert after.stderr == ""


def test_an_earlier_name_is_not_listed():
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert not {line.split()[0] for line in shown.splitlines() if line.split()} & set(RENAMED)
