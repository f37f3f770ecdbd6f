from dataclasses import dataclass

import pytest
import typer
from typer.testing import CliRunner

from inversesr.cli.options import with_options
from inversesr.config import option


@dataclass(frozen=True)
class Choices:
    size_mm: float = option(1.0, "How large.", flag="--size", unit="MM")
    kind: str = option("round", "Which kind.", choices=("round", "square"))
    names: tuple[str, ...] = option((), "Which names.", kind=list[str])


@pytest.fixture
def seen():
    return []


@pytest.fixture
def app(seen):
    @with_options(Choices)
    def command(*, config, own: int = 3) -> None:
        """Say it."""
        seen.append((config(), own))

    app = typer.Typer()
    app.command()(command)
    return app


@pytest.mark.parametrize(
    ("words", "size_mm", "kind", "own"),
    [
        ([], 1.0, "round", 3),
        (["--size", "2.5", "--own", "4"], 2.5, "round", 4),
        (["--kind", "square"], 1.0, "square", 3),
    ],
)
def test_fields_of_a_config_reach_the_command(app, seen, words, size_mm, kind, own):
    assert CliRunner().invoke(app, words).exit_code == 0
    ((choices, found),) = seen
    assert (choices.size_mm, choices.kind, found) == (size_mm, kind, own)
    assert type(choices.kind) is str


def test_an_option_may_be_repeated_where_its_kind_is_a_list(app, seen):
    assert CliRunner().invoke(app, ["--names", "a", "--names", "b"]).exit_code == 0
    assert list(seen[0][0].names) == ["a", "b"]


def test_a_value_that_is_no_choice_is_wrong_usage(app, seen):
    assert CliRunner().invoke(app, ["--kind", "flat"]).exit_code == 2
    assert not seen


def test_help_is_that_of_the_config_and_of_the_command(app):
    shown = CliRunner().invoke(app, ["--help"]).stdout
    for words in ("Say it.", "How large.", "--size", "MM", "Which kind."):
        assert words in shown
