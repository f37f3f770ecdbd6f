"""Commands, options and solvers under the names of earlier versions, for one version more."""

from typing import Any

from typer.core import TyperGroup

from inversesr.cli.console import warn
from inversesr.config import OLD_SOLVERS

# name of earlier versions -> what it is now
RENAMED = {"picture": ("bench", "picture")}
RENAMED_OPTIONS = {"--lock": "--consistency"}
RENAMED_FLAGS = {"--no-lock": ("--consistency", "off")}


class OldNames(TyperGroup):
    """A group that knows earlier names too, and warns."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (of typer's own click)
        """Replace earlier names by the present ones."""
        if args and args[0] in RENAMED:
            now = RENAMED[args[0]]
            _tell(f"inversesr {args[0]}", f"inversesr {' '.join(now)}")
            args = [*now, *args[1:]]
        return super().parse_args(ctx, with_present_names(args))


def with_present_names(args: list[str]) -> list[str]:
    """Return arguments of a command with the present names of its options and solvers.

    Args:
        args: As they were typed; what follows "--" are files and stays as it is.
    """
    found: list[str] = []
    for i, argument in enumerate(args):
        if argument == "--":
            return [*found, *args[i:]]
        name, equals, value = argument.partition("=")
        if argument in RENAMED_FLAGS:
            now = RENAMED_FLAGS[argument]
            _tell(argument, " ".join(now))
            found += now
        elif name in RENAMED_OPTIONS:
            now_name = RENAMED_OPTIONS[name]
            _tell(name, now_name)
            found.append(f"{now_name}{equals}{value}")
        elif name == "--solver" and value in OLD_SOLVERS:
            found.append(f"--solver={_present_solver(value)}")
        elif found and found[-1] == "--solver" and argument in OLD_SOLVERS:
            found.append(_present_solver(argument))
        else:
            found.append(argument)
    return found


def _present_solver(name: str) -> str:
    now = OLD_SOLVERS[name]
    _tell(f"--solver {name}", f"--solver {now}")
    return now


def _tell(old: str, now: str) -> None:
    warn((f"`{old}` is now `{now}`; the old name will not be known in the next version",))
