import pytest

from inversesr.errors import InputError
from inversesr.solvers.options import SolverOptions, with_settings


def test_every_kind_of_option_can_be_set():
    found = with_settings(
        SolverOptions(),
        [
            "solver.backend=stock",
            "solver.n_steps=20",
            "solver.learning_rate=0.5",
            "solver.blind=true",
            "solver.delta=no",
            "solver.features_file=/data/vgg.pt",
        ],
    )
    assert found == SolverOptions(
        backend="stock",
        n_steps=20,
        learning_rate=0.5,
        blind=True,
        delta=False,
        features_file="/data/vgg.pt",
    )
    assert with_settings(found, ["solver.n_steps=none"]).n_steps is None


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("solver.n_step=3", "expected solver.NAME=VALUE"),
        ("n_steps=3", "expected solver.NAME=VALUE"),
        ("solver.n_steps", "expected solver.NAME=VALUE"),
        ("solver.n_steps=many", "expected a whole number"),
        ("solver.n_steps=0", "at least 1"),
        ("solver.kappa=-1", "above 0"),
        ("solver.kappa=nan", "finite"),
        ("solver.blind=perhaps", "true or false"),
        ("solver.backend=fast", "lean or stock"),
    ],
)
def test_an_impossible_setting_is_refused_in_one_sentence(setting, sentence):
    with pytest.raises(InputError, match=sentence):
        with_settings(SolverOptions(), [setting])
