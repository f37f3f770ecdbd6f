import numpy as np
import pytest

from inversesr.dwi import grade
from inversesr.dwi.grade import auc, check_cases, held_out_scores, train
from inversesr.errors import InputError

pytest.importorskip("sklearn")
NAMES, GRADES = ("a", "b", "c"), ("II", "IV")


def cases(n=60, shift=1.5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2 == 1
    x = rng.standard_normal((n, 3))
    x[:, 0] += shift * y
    return x, y


def test_the_area_under_the_curve_counts_ordered_pairs():
    y = np.array([0, 0, 1, 1])
    assert auc(np.array([1.0, 2.0, 3.0, 4.0]), y) == 1.0
    assert auc(np.array([1.0, 3.0, 2.0, 3.0]), y) == pytest.approx((1 + 0 + 1 + 0.5) / 4)


@pytest.mark.slow
def test_a_real_difference_is_found_and_chance_is_called_chance():
    x, y = cases()
    _, found = train(x, y, NAMES, GRADES, n_permutations=4)
    assert found.auc > 0.75
    assert found.auc_low < found.auc < found.auc_high
    assert found.permutation_p == pytest.approx(0.2)
    rng = np.random.default_rng(3)
    _, chance = train(rng.standard_normal((60, 3)), y, NAMES, GRADES, n_permutations=4)
    assert chance.permutation_p > 0.2
    assert chance.auc_low < 0.6


def test_held_out_scores_of_many_useless_features_are_no_better_than_chance():
    # a model judged on the cases that it was trained on would do far better
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2 == 1
    scores = held_out_scores(rng.standard_normal((60, 40)), y)
    assert 0.25 < auc(scores, y.astype(int)) < 0.75


def test_a_case_has_no_part_in_the_models_that_judge_its_fold():
    x, y = cases()
    other = x.copy()
    other[7] += 1.0
    same = held_out_scores(x, y) == held_out_scores(other, y)
    # 60 cases in five folds: the eleven others of its own
    assert same.sum() == 11
    assert not same[7]


def test_the_stored_coefficients_predict_as_the_pipeline_does():
    x, y = cases(200, 2.0)
    model, _ = train(x, y, NAMES, GRADES, n_permutations=0)
    p = model.probability(x)
    assert auc(p, y.astype(int)) > 0.85
    # calibrated: as many as expected
    assert p.mean() == pytest.approx(0.5, abs=0.06)
    for low, high in ((0.0, 0.3), (0.7, 1.0)):
        chosen = (p >= low) & (p <= high)
        assert y[chosen].mean() == pytest.approx(p[chosen].mean(), abs=0.12)


def test_fewer_than_thirty_cases_are_refused():
    x, y = cases(29)
    with pytest.raises(InputError, match="29 cases; expected at least 30"):
        check_cases(x, y, GRADES)


def test_a_grade_of_few_cases_is_refused():
    x, _ = cases(40)
    with pytest.raises(InputError, match="35 cases of grade II and 5 of grade IV"):
        check_cases(x, np.arange(40) >= 35, GRADES)


def test_a_missing_value_is_named():
    x, y = cases(40)
    x[4, 1] = np.nan
    with pytest.raises(InputError, match="case 5 has no number in feature 2"):
        check_cases(x, y, GRADES)


def test_without_scikit_learn_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(grade, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"pip install 'inversesr\[dwi\]'"):
        train(*cases(40), NAMES, GRADES)
