"""Writes the reference of commands: `python -m tests.support.command_reference`."""

from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path

import typer

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.app import app
from inversesr.config import Config
from inversesr.solvers.options import PREFIX
from inversesr.solvers.registry import entries

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
# Which values an option may have is the business of the config classes.
CHOICES = {
    choice.name: choice.metadata["choices"]
    for config in (Config, SimulateConfig)
    for choice in fields(config)
    if "choices" in choice.metadata
}
OPENING = """# Commands

Every option of every command, written from the program itself by
`python -m tests.support.command_reference`.

Tab completion of commands and options: `inversesr --install-completion`, then open a new shell.
Exit status: 0 done; 1 failed while working; 2 wrong usage or unusable input.
"""
SETTINGS = """## What `--set` reaches

`inversesr run --set solver.NAME=VALUE` and `inversesr bench SUB --set ...`, for solvers with a
prior.
"""


def reference() -> str:
    """Return the content of docs/reference/commands.md."""
    parts = [OPENING]
    for name, command in _commands(typer.main.get_command(app), "inversesr"):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        usage = " ".join([name, *(a.metavar or a.name.upper() for a in arguments)])
        parts.append(f"## `{usage}`\n\n{command.help.strip()}\n")
        rows = [
            ((a.metavar or a.name.upper()).replace("|", "\\|"), a.help)
            for a in arguments
            if a.help
        ]
        rows += [(_flags(o), _told(o)) for o in options]
        if rows:
            table = "".join(f"| `{flag}` | {text} |\n" for flag, text in rows)
            parts.append(f"| | |\n|---|---|\n{table}")
    parts.append(_solver_options())
    return "\n".join(parts)


def _solver_options() -> str:
    """Return the table of what `--set` reaches."""
    parts = [SETTINGS]
    for entry in entries():
        rows = [
            f"| `{PREFIX}{f.name}` | {f.metadata['help']}{_default(f)} |\n"
            for f in fields(entry.options)
        ]
        told = f"\n| | |\n|---|---|\n{''.join(rows)}" if rows else "\nNo options.\n"
        parts.append(f"\n### `{entry.name}`\n\n{entry.summary}\n{told}")
    return "".join(parts)


def _default(field: Field) -> str:
    choices = " or ".join(f"`{c}`" for c in field.metadata.get("choices", ()))
    told = "" if field.default is None else f" [default: {str(field.default).lower()}]"
    return (f" {choices[0].upper()}{choices[1:]}." if choices else "") + told


def _commands(
    group: typer.core.TyperGroup, prefix: str
) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _flags(option: typer.core.TyperOption) -> str:
    names = ", ".join(option.opts)
    if option.is_flag:
        return names
    choices = CHOICES.get(option.name)
    value = "|".join(choices) if choices else option.metavar or "VALUE"
    return f"{names} {value}".replace("|", "\\|")


def _told(option: typer.core.TyperOption) -> str:
    text = option.help or ""
    default = getattr(option.default, "value", option.default)
    is_told = option.is_flag or default in (None, ()) or callable(default) or "[default" in text
    return text if is_told else f"{text} [default: {default}]".strip()


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
