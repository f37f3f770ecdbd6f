"""`inversesr dwi grade`: tables in, a model as JSON and its card, predictions out."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.dwi.grade import (
    N_INNER,
    N_OUTER,
    RESEARCH_ONLY,
    STRENGTHS,
    GradeModel,
    GradeScores,
    train,
)
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.json_text import json_text, parse_json
from inversesr.io.paths import from_home
from inversesr.workflows.record import file_facts

Array = NDArray[np.float64]
FORMAT = "inversesr-grade-model-1"
CASE, GRADE = "case", "grade"


def train_grade(
    table: Path, model: Path, n_permutations: int, seed: int, *, force: bool
) -> dict[str, Any]:
    """Train a grade model on a table and write it with its card.

    Args:
        table: CSV file: a column `case`, a column `grade` with two different values, and features.
        model: JSON file to write; the card is the text file beside it.
        n_permutations: Permutations of the grades.
        seed: Seed of everything random.
        force: Whether existing files may be replaced.

    Returns:
        The content of the JSON file.

    Raises:
        InputError: the table is not usable.
    """
    table, model = from_home(table), from_home(model)
    card = model.with_name(f"{model.stem}_card.txt")
    check_output([model, card], force=force)
    _, rows = _read(table)
    found = sorted({row.get(GRADE, "") for row in rows})
    if len(found) != 2 or "" in found:
        message = (
            f"column `{GRADE}` of {table.name} holds {', '.join(map(repr, found[:4]))}; expected "
            "two different grades, and one for every case"
        )
        raise InputError(message)
    names = tuple(name for name in rows[0] if name not in (CASE, GRADE))
    x = _numbers(rows, names, table.name)
    is_second = np.array([row[GRADE] == found[1] for row in rows])
    fitted, scores = train(x, is_second, names, (found[0], found[1]), n_permutations, seed)
    record = _as_record(fitted, scores, is_second, table, seed)
    with atomic_folder(model.parent, model.name) as partial:
        (partial / model.name).write_text(json_text(record, indent=2) + "\n")
        (partial / card.name).write_text(card_text(record))
    return record


def predict_grade(model: Path, table: Path, output: Path, *, force: bool) -> list[dict[str, Any]]:
    """Predict the grade of the cases of a table.

    Args:
        model: JSON file of `train_grade`.
        table: CSV file with a column `case` and the features of the model.
        output: CSV file to write.
        force: Whether it may be replaced.

    Raises:
        InputError: the model or the table is not usable.
    """
    table, output = from_home(table), from_home(output)
    check_output([output], force=force)
    fitted = read_model(from_home(model))
    _, rows = _read(table)
    lacking = [name for name in fitted.features if name not in rows[0]]
    if lacking:
        message = (
            f"{table.name} lacks {len(lacking)} features of the model, such as {lacking[0]}: make "
            "it by the same `inversesr dwi radiomics` as the table of training"
        )
        raise InputError(message)
    p = fitted.probability(_numbers(rows, fitted.features, table.name))
    column = f"probability_{fitted.grades[1]}"
    found = [
        {
            CASE: row.get(CASE, str(n + 1)),
            "predicted": fitted.grades[int(one >= 0.5)],
            column: round(float(one), 6),
        }
        for n, (row, one) in enumerate(zip(rows, p, strict=True))
    ]
    with (
        atomic_folder(output.parent, output.name) as partial,
        (partial / output.name).open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, [CASE, "predicted", column])
        writer.writeheader()
        writer.writerows(found)
    return found


def read_model(path: Path) -> GradeModel:
    """Read a grade model; it is JSON, and nothing in it is run.

    Raises:
        InputError: the file is not a grade model.
    """
    try:
        record, _ = parse_json(path.read_bytes())
        model = record["model"]
        if record["format"] != FORMAT:
            raise KeyError(FORMAT)
        mean, sd, weights = (
            np.array(model[k], dtype=np.float64) for k in ("mean", "sd", "weights")
        )
        names = tuple(str(name) for name in model["features"])
        if any(column.shape != (len(names),) for column in (mean, sd, weights)):
            raise KeyError(FORMAT)
        first, second = (str(grade) for grade in model["grades"])
        bias, slope, shift = (float(model[k]) for k in ("bias", "slope", "shift"))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): give a file of `dwi grade train`"
        raise InputError(message) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"{path.name} is not a grade model; expected the JSON file of `dwi grade train`"
        raise InputError(message) from error
    return GradeModel(names, (first, second), mean, sd, weights, bias, slope, shift)


def card_text(record: dict[str, Any]) -> str:
    """Return the model card as text."""
    training, scores = record["training"], record["scores"]
    first, second = record["model"]["grades"]
    return "\n".join(
        [
            "Grade model",
            "===========",
            f"Use: {record['use']}.",
            f"Predicts: probability of grade {second} against {first}.",
            f"Trained on: {training['n_cases']} cases ({training['n_first']} of {first}, "
            f"{training['n_second']} of {second}), {len(record['model']['features'])} features.",
            f"Method: {training['method']}.",
            f"AUC on held-out cases: {scores['auc']:.3f} "
            f"(95 % interval {scores['auc_low']:.3f} to {scores['auc_high']:.3f}).",
            f"Permutation test: p = {scores['permutation_p']:.3g} "
            f"({scores['n_permutations']} permutations).",
            f"Calibration on held-out cases: slope {scores['calibration_slope']:.2f}, intercept "
            f"{scores['calibration_intercept']:.2f}, Brier score {scores['brier']:.3f}.",
            "Limits: the model knows only scanners, protocols and lesions like those of its "
            "table.",
            "Storage: coefficients in JSON; nothing is pickled and nothing is run when it is "
            "read.",
            "",
        ]
    )


def _as_record(
    model: GradeModel,
    scores: GradeScores,
    is_second: NDArray[np.bool_],
    table: Path,
    seed: int,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "use": RESEARCH_ONLY,
        "model": {
            "features": list(model.features),
            "grades": list(model.grades),
            "mean": model.mean.tolist(),
            "sd": model.sd.tolist(),
            "weights": model.weights.tolist(),
            "bias": model.bias,
            "slope": model.slope,
            "shift": model.shift,
        },
        "training": {
            "table": file_facts(table),
            "date": datetime.now(UTC).date().isoformat(),
            "n_cases": len(is_second),
            "n_first": int((~is_second).sum()),
            "n_second": int(is_second.sum()),
            "method": f"standardised logistic regression, strength from {list(STRENGTHS)} by "
            f"{N_INNER} inner folds, judged by {N_OUTER} outer folds, calibrated by Platt's "
            "method on held-out cases",
            "seed": seed,
        },
        "scores": {name: float(value) for name, value in vars(scores).items()}
        | {"n_permutations": scores.n_permutations},
    }


def _read(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [dict(row) for row in reader]
            names = list(reader.fieldnames or [])
    except OSError as error:
        message = f"{table} cannot be read ({error.strerror}): give a CSV file"
        raise InputError(message) from error
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"{table.name} is no table: expected CSV, in UTF-8, with a row of names"
        raise InputError(message) from error
    if not rows:
        message = f"{table.name} has no cases: expected a row of names and a row a case"
        raise InputError(message)
    return names, rows


def _numbers(rows: list[dict[str, str]], names: tuple[str, ...], label: str) -> Array:
    found = np.zeros((len(rows), len(names)))
    for n, row in enumerate(rows):
        for k, name in enumerate(names):
            try:
                found[n, k] = float(row[name])
            except (TypeError, ValueError) as error:
                message = (
                    f"{label} has {row[name]!r} in column {name} of case {n + 1}; expected a "
                    "number: columns other than `case` and `grade` are features"
                )
                raise InputError(message) from error
    return found
