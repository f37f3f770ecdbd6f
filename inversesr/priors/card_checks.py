"""Whether the parts of a prior's card agree with one another."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from inversesr.priors.card import PriorCard


def contradiction(card: "PriorCard") -> str:
    """Return how parts of a card contradict one another, or an empty text."""
    checks = (
        _axes_problem,
        _grid_problem,
        _latent_problem,
        _denoiser_problem,
        _conditioning_problem,
        _sd_problem,
        _interval_problem,
        _file_problem,
    )
    return next((problem for check in checks if (problem := check(card))), "")


def _axes_problem(card: "PriorCard") -> str:
    """Return what is wrong with the directions of the grid, or an empty text."""
    spec = card.grid
    letters = [
        next((i for i, pair in enumerate(("LR", "PA", "IS")) if c in pair), -1)
        for c in spec.axcodes
    ]
    if sorted(letters) != [0, 1, 2]:
        return f"grid.axcodes is {spec.axcodes!r}, not three different directions"
    if spec.oriented and spec.kind == "fixed":
        return "grid.oriented is for free grids: a fixed one has its own axes"
    return ""


def _grid_problem(card: "PriorCard") -> str:
    """Return what is wrong with the grid, or an empty text."""
    spec, factor = card.grid, card.latent.factor
    if min(spec.spacing_mm) <= 0 or factor < 1 or spec.multiple < 1:
        return "grid.spacing_mm, grid.multiple and latent.factor must be above 0"
    if spec.kind == "fixed" and (spec.shape is None or spec.origin_mm is None):
        return "a fixed grid needs shape and origin_mm"
    if spec.kind == "free" and (spec.shape is not None or spec.multiple % factor):
        return "a free grid has no shape, and its multiple is a multiple of latent.factor"
    if spec.shape is not None and any(n % factor for n in spec.shape):
        return f"grid.shape {spec.shape} is no multiple of latent.factor {factor}"
    return ""


def _latent_problem(card: "PriorCard") -> str:
    """Return what is wrong with the statistics of the latent, or an empty text."""
    latent = card.latent
    if latent.multiple < 1:
        return "latent.multiple must be above 0"
    for name, values in (("mean", latent.mean), ("std", latent.std)):
        if values is None and latent.whitened:
            return f"whitened latents need latent.{name}"
        if values is not None and len(values) != latent.channels:
            return f"latent.{name} has {len(values)} values; expected {latent.channels}"
    if latent.std is not None and min(latent.std) <= 0:
        return "latent.std must be above 0"
    return ""


def _denoiser_problem(card: "PriorCard") -> str:
    """Return how denoiser, latent and schedule disagree, or an empty text."""
    denoiser, n = card.networks.get("denoiser"), len(card.conditioning.variables)
    if denoiser is None:
        return ""
    if card.schedule is None:
        return "a denoiser needs a schedule"
    if (card.schedule.kind == "rectified_flow") != (card.schedule.prediction == "flow"):
        return "prediction flow belongs to the schedule rectified_flow and to no other"
    expected = card.latent.channels + (n if card.conditioning.concatenated else 0)
    found = denoiser.arguments.get("in_channels", expected)
    if found != expected:
        return f"the denoiser takes {found} channels; latent and conditioning make {expected}"
    width = denoiser.arguments.get("cross_attention_dim")
    if card.conditioning.cross_attention and width != n:
        return f"cross_attention_dim is {width} but there are {n} conditioning variables"
    return ""


def _conditioning_problem(card: "PriorCard") -> str:
    """Return what is wrong with the conditioning variables, or an empty text."""
    for variable in card.conditioning.variables:
        if not variable.low <= variable.default <= variable.high or variable.low == variable.high:
            return f"the default of {variable.name!r} is not within its range"
    null = card.conditioning.null
    if null is not None and len(null) != len(card.conditioning.variables):
        return "conditioning.null needs one value a variable"
    return _class_problem(card)


def _class_problem(card: "PriorCard") -> str:
    """Return how the class and the spacing that a denoiser takes are wrong, or an empty text."""
    denoiser, given = card.networks.get("denoiser"), card.conditioning
    arguments = {} if denoiser is None else denoiser.arguments
    n_classes = arguments.get("num_class_embeds")
    if (n_classes is None) != (given.class_label is None):
        return "a denoiser with num_class_embeds needs conditioning.class_label, and no other"
    for label in (given.class_label, given.null_class):
        if label is not None and not 0 <= label < (n_classes or 0):
            return f"class {label} is not one of the {n_classes or 0} that the denoiser knows"
    if bool(arguments.get("include_spacing_input")) != (given.spacing_factor is not None):
        return "a denoiser with include_spacing_input needs conditioning.spacing_factor, no other"
    return ""


def _sd_problem(card: "PriorCard") -> str:
    """Return what is wrong with the factors of deviations, or an empty text."""
    for name in ("sd_factor", "sd_over_error", "error_factor"):
        factor = getattr(card, name)
        if factor is not None and not 0.0 < factor < np.inf:
            return f"{name} is {factor:g}; it must be finite and above 0"
    is_lost = card.sd_over_error is not None and "error" not in card.networks
    return "sd_over_error needs a network error, which measures deviations" if is_lost else ""


def _interval_problem(card: "PriorCard") -> str:
    """Return what is wrong with the table of intervals, or an empty text."""
    table = card.intervals
    if table is None:
        return ""
    for edges in (table.sd_edges, table.detail_edges):
        if list(edges) != sorted(set(edges)):
            return "edges of intervals must rise"
    n_rows, n_columns = len(table.sd_edges) + 1, len(table.detail_edges) + 1
    if [len(row) for row in table.factors] != n_rows * [n_columns]:
        return f"intervals.factors has not {n_rows} rows of {n_columns} factors"
    if not all(0.0 < factor < np.inf for row in table.factors for factor in row):
        return "factors of intervals must be finite and above 0"
    return ""


def _file_problem(card: "PriorCard") -> str:
    """Return which file is not simply one beside `prior.json`, or an empty text."""
    for file in (*card.files, *(n.file for n in card.networks.values())):
        if not file.endswith(".safetensors") or set(file) & set("/\\:"):
            return f"the file {file!r} is not the name of a .safetensors file beside prior.json"
    return ""
