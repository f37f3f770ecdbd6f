"""Options of a command made from the fields of a config class: each choice is declared once."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from enum import Enum
from typing import Annotated, Any

import typer


def with_options(
    config: type,
    choices: dict[str, tuple[str, ...]] | None = None,
    name: str = "config",
    without: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each field of a config class, and pass it their values.

    Args:
        config: The class.
        choices: What a field takes that the class does not know of itself.
        name: The command's parameter for the values: it is called, and returns the object.
        without: Fields that get no option; the command gives them.
    """
    wanted = [f for f in fields(config) if f.name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        kept = [p for p in own if p.name != name]
        names = [f.name for f in wanted]

        def run(**values: Any) -> None:  # noqa: ANN401 (typer calls it by name)
            chosen = {n: values.pop(n) for n in names if n in values}
            plain = {n: v.value if isinstance(v, Enum) else v for n, v in chosen.items()}
            command(**values, **{name: lambda **more: config(**plain, **more)})

        options = [_parameter(f, (choices or {}).get(f.name)) for f in wanted]
        run.__signature__ = inspect.Signature([*kept, *options])  # type: ignore[attr-defined]
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def _parameter(choice: Field[Any], values: tuple[str, ...] | None) -> inspect.Parameter:
    facts = dict(choice.metadata) | ({} if values is None else {"choices": values})
    flag = facts.get("flag", "--" + choice.name.replace("_", "-"))
    kind = _enumeration(facts["choices"]) if "choices" in facts else facts.get("kind", choice.type)
    option = typer.Option(flag, help=facts["help"], metavar=facts.get("unit"))
    return inspect.Parameter(
        choice.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=choice.default,
        annotation=Annotated[kind, option],
    )


def _enumeration(choices: tuple[str, ...]) -> Any:  # noqa: ANN401 (a class made here)
    return Enum("Choice", {choice: choice for choice in choices}, type=str)
