"""Commands under the names of earlier versions, which work for one version more."""

from typing import Any

from typer.core import TyperGroup

from inversesr.cli.console import warn

# name of earlier versions -> what it is now
RENAMED = {"picture": ("bench", "picture")}


class RenamedCommands(TyperGroup):
    """A group that knows its commands by their earlier names too, and warns."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (of typer's own click)
        """Replace an earlier name by the present one."""
        if args and args[0] in RENAMED:
            now = RENAMED[args[0]]
            told = f"`inversesr {args[0]}` is now `inversesr {' '.join(now)}`; the old name"
            warn((f"{told} will not be known in the next version",))
            args = [*now, *args[1:]]
        return super().parse_args(ctx, args)
