"""Options that several subcommands share: a dataclass parameter stands for its fields."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from inversesr.cli.console import failing_in_one_sentence

P = inspect.Parameter


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of the dataclasses that it takes.

    An expected failure, of the command or of a dataclass that refuses its values, ends in one
    sentence.

    Args:
        command: A function whose parameters are options, or dataclasses of options. Fields are
            annotated as typer expects it.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    groups: dict[str, Any] = {p.name: p.annotation for p in own if is_dataclass(p.annotation)}

    def run(**values: Any) -> None:  # noqa: ANN401 (typer calls it by name)
        with failing_in_one_sentence():
            made = {
                name: group(**{f.name: values.pop(f.name) for f in fields(group)})
                for name, group in groups.items()
            }
            command(**values, **made)

    parts = [q for p in own for q in (_options(p.annotation) if p.name in groups else [p])]
    run.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def _options(group: type) -> Iterator[inspect.Parameter]:
    """Return a parameter for each field of a dataclass."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        yield P(field.name, P.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
