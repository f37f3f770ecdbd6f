from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from inversesr.cli.bench.groups import with_groups
from inversesr.errors import InputError


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option("--wide", help="How wide.")] = 3
    names: Annotated[list[str] | None, typer.Argument()] = None

    def __post_init__(self):
        if self.width < 0:
            raise InputError("width is below 0")  # noqa: EM101


@pytest.fixture
def seen():
    return []


@pytest.fixture
def app(seen):
    @with_groups
    def command(*, size: Size, deep: int = 1) -> None:
        """Say it."""
        seen.append((size, deep))

    app = typer.Typer()
    app.command()(command)
    return app


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (Size(), 1)),
        (["--wide", "5", "a", "b"], (Size(5, ["a", "b"]), 1)),
        (["--deep", "2"], (Size(), 2)),
    ],
)
def test_fields_of_a_group_are_options_and_arguments(app, seen, words, expected):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert seen == [expected]


def test_the_help_of_a_command_and_of_its_groups_is_shown(app):
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Say it." in shown
    assert "How wide." in shown


def test_a_group_that_refuses_its_values_ends_in_one_sentence(app, seen):
    result = CliRunner().invoke(app, ["--wide", "-1"])
    assert (result.exit_code, result.stderr) == (2, "inversesr: width is below 0\n")
    assert not seen
