"""Draws how a training went: the loss against the step, and the figures of held-out scans."""

import csv
import logging
from pathlib import Path
from typing import Any

from inversesr.training.loop import LOSSES_NAME, VALIDATION_NAME

CURVES_NAME = "losses.png"


def write_curves(run_dir: Path) -> None:
    """Write losses.png beside losses.csv; nothing where there is no row yet.

    Args:
        run_dir: Folder of one stage.
    """
    losses, figures = (read_table(run_dir / name) for name in (LOSSES_NAME, VALIDATION_NAME))
    if not losses.get("step"):
        return
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # nor of a cache it cannot write
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(losses["step"], losses["loss"], linewidth=1)
    # a likelihood may be negative
    left.set_yscale("log" if min(losses["loss"]) > 0.0 else "linear")
    left.set_ylabel("training loss")
    for name, values in figures.items():
        if name != "step":
            right.plot(figures["step"], values, marker=".", linewidth=1, label=name)
    if len(figures) > 1:
        right.legend(fontsize=6, ncols=2)
    right.set_ylabel("held-out scans")
    for panel in (left, right):
        panel.set_xlabel("step")
    write_figure(figure, run_dir / CURVES_NAME)


def write_figure(figure: Any, path: Path) -> None:  # noqa: ANN401  (a matplotlib figure)
    """Write a picture under a temporary name and rename it."""
    temporary = path.with_name(path.name + ".part")
    figure.savefig(temporary, format="png", dpi=100)
    temporary.replace(path)


def read_table(path: Path) -> dict[str, list[float]]:
    """Return the columns of a table of numbers; none where the file is missing."""
    if not path.exists():
        return {}
    columns: dict[str, list[float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                columns.setdefault(name, []).append(float(value))
    return columns
