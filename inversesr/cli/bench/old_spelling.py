"""Spellings of earlier versions: `bench TRUTH --robustness` is `bench robustness TRUTH`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from inversesr.cli.console import failing_in_one_sentence, warn
from inversesr.errors import InputError

# option of earlier versions -> subcommand
SUBCOMMANDS = {
    "--all-tasks": "tasks",
    "--robustness": "robustness",
    "--calibration": "calibration",
    "--scaling": "scaling",
    "--networks": "networks",
    "--default-run": "default-run",
    "--reconstruction": "autoencoder",
}
DEFAULT = "solvers"


class BenchGroup(TyperGroup):
    """The subcommands of `bench`, which earlier versions wrote as options of one command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (of typer's own click)
        """Turn an old spelling into the new one, with a warning."""
        if is_old(args, self.commands):
            with failing_in_one_sentence():
                args = new_spelling(args)
            told = f"write `inversesr bench {args[0]} ...`; `bench` without a subcommand"
            warn((f"{told} will not be known in the next version",))
        return super().parse_args(ctx, args)


def is_old(words: Sequence[str], subcommands: Collection[str]) -> bool:
    """Return whether words after `inversesr bench` are meant as in earlier versions."""
    if not words:
        return True
    first = words[0]
    if first in subcommands or first in ("-h", "--help"):
        return False
    # anything else is a misspelt subcommand
    return first.startswith("-") or bool(Path(first).suffix) or Path(first).exists()


def new_spelling(words: Sequence[str]) -> list[str]:
    """Return the words after `inversesr bench` as they are written now.

    Raises:
        InputError: two kinds of benchmark were asked for.
    """
    named = [word for word in words if word in SUBCOMMANDS]
    if len(set(named)) > 1:
        message = f"{' and '.join(named)} were given; expected one of them at a time"
        raise InputError(message)
    subcommand = SUBCOMMANDS[named[0]] if named else DEFAULT
    return [subcommand, *(word for word in words if word not in SUBCOMMANDS)]
