"""A grade model: logistic regression on a table of features, judged by nested cross-validation.

    p = sigmoid(c + a (w . (x - mean) / sd + b))        a, c by Platt's method on held-out cases

The model is kept as JSON: names of features, means, deviations and coefficients. Nothing is
pickled, so that nothing is run when a model is loaded. Research use only: not for diagnosis.

Reference: Varma, Simon (2006), Bias in error estimation when using cross-validation for model
selection, BMC Bioinformatics 7:91, doi:10.1186/1471-2105-7-91; Ojala, Garriga (2010), Permutation
tests for studying classifier performance, Journal of Machine Learning Research 11:1833-1863;
Platt (1999), Probabilistic outputs for support vector machines, Advances in Large Margin
Classifiers, 61-74.
"""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError

Array = NDArray[np.float64]

LEAST_CASES, LEAST_OF_A_GRADE = 30, 10
N_OUTER, N_INNER = 5, 3
STRENGTHS = (0.003, 0.03, 0.3)
RESEARCH_ONLY = "research only: not for diagnosis, and not validated on other scanners or centres"


@dataclass(frozen=True, eq=False)
class GradeModel:
    """A fitted model.

    Attributes:
        features: Names of the columns that it takes, in order.
        grades: The two grades; the probability is that of the second.
        mean: Mean of each feature among the cases it was trained on.
        sd: Standard deviation of each.
        weights: Coefficient of each.
        bias: Intercept.
        slope: a of Platt's method.
        shift: c of Platt's method.
    """

    features: tuple[str, ...]
    grades: tuple[str, str]
    mean: Array
    sd: Array
    weights: Array
    bias: float
    slope: float
    shift: float

    def probability(self, x: Array) -> Array:
        """Return the calibrated probability of the second grade.

        Args:
            x: Features, shape (n_cases, n_features).
        """
        score = ((x - self.mean) / self.sd) @ self.weights + self.bias
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * score + self.shift))))


@dataclass(frozen=True)
class GradeScores:
    """How a model does on cases that it was not trained on.

    Attributes:
        auc: Area under the curve, of scores from outer folds.
        auc_low: Lower end of its 95 % interval, by bootstrap over cases.
        auc_high: Upper end.
        brier: Mean squared error of the calibrated probability.
        calibration_slope: 1 where probabilities are right; below, they are too extreme.
        calibration_intercept: 0 where they are right on average.
        permutation_p: How often random grades do as well.
        n_permutations: Number of them.
    """

    auc: float
    auc_low: float
    auc_high: float
    brier: float
    calibration_slope: float
    calibration_intercept: float
    permutation_p: float
    n_permutations: int


def check_sklearn() -> None:
    """Refuse to go on where scikit-learn is missing.

    Raises:
        InputError: it is.
    """
    if find_spec("sklearn") is None:
        message = (
            "the grade model is trained by scikit-learn, which is not installed: "
            "pip install 'inversesr[dwi]'"
        )
        raise InputError(message)


def check_cases(x: Array, is_second: NDArray[np.bool_], grades: tuple[str, str]) -> None:
    """Refuse a table from which nothing can be learned.

    Args:
        x: Features, shape (n_cases, n_features).
        is_second: Which cases have the second grade.
        grades: Names of the grades.

    Raises:
        InputError: there are too few cases, or values that are no numbers.
    """
    n = len(x)
    if n < LEAST_CASES:
        message = (
            f"the table has {n} cases; expected at least {LEAST_CASES}: with fewer, what "
            "cross-validation says of a model is chance"
        )
        raise InputError(message)
    counts = int((~is_second).sum()), int(is_second.sum())
    if min(counts) < LEAST_OF_A_GRADE:
        message = (
            f"the table has {counts[0]} cases of grade {grades[0]} and {counts[1]} of grade "
            f"{grades[1]}; expected at least {LEAST_OF_A_GRADE} of each"
        )
        raise InputError(message)
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        message = f"case {row + 1} has no number in feature {column + 1}: fill it, or leave it out"
        raise InputError(message)


def train(
    x: Array,
    is_second: NDArray[np.bool_],
    names: tuple[str, ...],
    grades: tuple[str, str],
    n_permutations: int = 100,
    seed: int = 0,
) -> tuple[GradeModel, GradeScores]:
    """Train a model on all cases, and judge the way of training by nested cross-validation.

    Args:
        x: Features, shape (n_cases, n_features).
        is_second: Which cases have the second grade.
        names: Names of the features.
        grades: Names of the grades.
        n_permutations: Permutations of the grades; 0 for none.
        seed: Seed of folds, bootstrap and permutations.

    Raises:
        InputError: scikit-learn is missing, or there are too few cases.
    """
    check_sklearn()
    check_cases(x, is_second, grades)
    rng = np.random.default_rng(seed)
    y = is_second.astype(np.int64)
    scores, probabilities = _held_out(x, y, seed)
    found = auc(scores, y)
    low, high = _interval(scores, y, rng)
    by_chance = []
    for _ in range(n_permutations):
        mixed = rng.permutation(y)
        by_chance.append(auc(_held_out(x, mixed, seed)[0], mixed))
    p = (1 + sum(other >= found for other in by_chance)) / (1 + n_permutations)
    slope, shift = _platt(_logit(probabilities), y)
    brier = float(((probabilities - y) ** 2).mean())
    model = _model(x, y, names, grades, seed)
    judged = GradeScores(found, low, high, brier, slope, shift, p, n_permutations)
    return model, judged


def auc(scores: Array, y: NDArray[np.int64]) -> float:
    """Return the area under the curve: how often a case of the second grade scores higher.

    Args:
        scores: One a case.
        y: 1 for the second grade, 0 for the first.
    """
    higher = scores[y == 1][:, None] - scores[y == 0][None, :]
    return float((higher > 0).mean() + 0.5 * (higher == 0).mean())


def held_out_scores(x: Array, is_second: NDArray[np.bool_], seed: int = 0) -> Array:
    """Return scores of cases by models that were trained without them, shape (n_cases,)."""
    return _held_out(x, is_second.astype(np.int64), seed)[0]


def _search(seed: int) -> Any:  # noqa: ANN401 (scikit-learn has no types)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedKFold(N_INNER, shuffle=True, random_state=seed)
    grid = {"logisticregression__C": list(STRENGTHS)}
    return GridSearchCV(pipeline, grid, cv=folds, scoring="neg_log_loss")


def _held_out(x: Array, y: NDArray[np.int64], seed: int) -> tuple[Array, Array]:
    """Return scores and calibrated probabilities from the outer folds.

    Within each, strength and calibration are found on the cases of training alone.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    scores, probabilities = np.zeros(len(y)), np.zeros(len(y))
    outer = StratifiedKFold(N_OUTER, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for inside, outside in outer.split(x, y):
            search = _search(seed).fit(x[inside], y[inside])
            best = search.best_estimator_
            folds = StratifiedKFold(N_INNER, shuffle=True, random_state=seed + 1)
            apart = cross_val_predict(
                best, x[inside], y[inside], cv=folds, method="decision_function"
            )
            slope, shift = _platt(np.asarray(apart), y[inside])
            scores[outside] = best.decision_function(x[outside])
            probabilities[outside] = 1.0 / (1.0 + np.exp(-(slope * scores[outside] + shift)))
    # folds have scales of their own: probabilities are comparable, in rank too
    return _logit(probabilities), probabilities


def _logit(p: Array) -> Array:
    inside = np.clip(p, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(inside / (1.0 - inside)))


def _platt(scores: Array, y: NDArray[np.int64]) -> tuple[float, float]:
    """Return slope and shift of the logistic curve of best likelihood, slightly regularised."""
    from scipy.optimize import minimize

    def loss(parameters: Array) -> float:
        z = parameters[0] * scores + parameters[1]
        return float((np.logaddexp(0.0, z) - y * z).sum() + 0.01 * (parameters[0] - 1.0) ** 2)

    slope, shift = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x.tolist()
    return slope, shift


def _model(
    x: Array, y: NDArray[np.int64], names: tuple[str, ...], grades: tuple[str, str], seed: int
) -> GradeModel:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = _search(seed).fit(x, y).best_estimator_
        folds = StratifiedKFold(N_INNER, shuffle=True, random_state=seed + 1)
        apart = cross_val_predict(best, x, y, cv=folds, method="decision_function")
    scaler, linear = best[0], best[-1]
    slope, shift = _platt(np.asarray(apart), y)
    return GradeModel(
        names,
        grades,
        np.asarray(scaler.mean_, dtype=np.float64),
        np.asarray(scaler.scale_, dtype=np.float64),
        np.asarray(linear.coef_[0], dtype=np.float64),
        float(linear.intercept_[0]),
        slope,
        shift,
    )


def _interval(
    scores: Array, y: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, float]:
    """Return a 95 % interval of the area under the curve, by bootstrap within each grade."""
    first, second = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    drawn = []
    for _ in range(1000):
        chosen = np.concatenate([rng.choice(first, len(first)), rng.choice(second, len(second))])
        drawn.append(auc(scores[chosen], y[chosen]))
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return low, high
