import json
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, replace

import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import (
    CONSISTENCY_NAMES,
    PROFILE_NAMES,
    SMALLEST_SPACING_MM,
    Config,
    check_fields,
    option,
)
from inversesr.errors import InputError, InverseSRError, OldNameWarning
from inversesr.solvers.registry import entries

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("config", [Config, SimulateConfig])
def test_every_choice_has_a_help_text_that_is_a_sentence(config):
    for choice in fields(config):
        text = choice.metadata["help"]
        assert text[0].isupper()
        assert text.endswith((".", "]."))


@pytest.mark.parametrize("config", [Config, SimulateConfig])
def test_the_defaults_are_valid_and_cannot_be_changed_afterwards(config):
    made = config()
    with pytest.raises(FrozenInstanceError):
        made.seed = 1


@pytest.mark.parametrize("config", [Config, SimulateConfig])
def test_every_default_is_one_of_its_choices(config):
    for choice in fields(config):
        if "choices" in choice.metadata:
            assert choice.default in choice.metadata["choices"]


@pytest.mark.parametrize(
    ("name", "choices"),
    [("profile", PROFILE_NAMES), ("consistency", CONSISTENCY_NAMES)],
)
def test_every_named_choice_is_taken_and_any_other_is_refused(name, choices):
    for value in choices:
        assert getattr(Config(**{name: value}), name) == value
    with pytest.raises(InputError, match=f"{name} is sharpest; expected {choices[0]} or"):
        Config(**{name: "sharpest"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("spacing_mm", v) for v in (0.0, -1.0, SMALLEST_SPACING_MM / 2, NAN, INF)],
        *[("thickness_mm", v) for v in (0.0, -1.0, NAN, INF)],
        *[("gap_mm", v) for v in (NAN, INF, -INF)],
        *[("noise", v) for v in (-1.0, NAN, INF)],
        ("volume", -1),
        ("threads", 0),
        ("seed", -1),
    ],
)
def test_a_number_outside_its_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name.removesuffix('_mm')} is .*; expected "):
        Config(**{name: value})


def test_overlapping_slices_are_a_negative_gap():
    assert Config(gap_mm=-1.5).gap_mm == -1.5


def test_whoever_catches_the_package_s_error_catches_unusable_input_too():
    assert issubclass(InputError, InverseSRError)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numbers_of_numpy_are_numbers(kind):
    config = Config(noise=kind(2.5), spacing_mm=kind(1.5), seed=np.int64(3))
    assert config == Config(noise=2.5, spacing_mm=1.5, seed=3)
    assert {type(v) for v in (config.noise, config.spacing_mm, config.seed)} == {float, int}
    json.dumps(asdict(config))
    assert type(SimulateConfig(thickness_mm=kind(4.0)).thickness_mm) is float
    with pytest.raises(InputError, match="noise is nan"):
        Config(noise=kind("nan"))


def test_choices_of_an_earlier_version_work_and_warn():
    with pytest.warns(OldNameWarning, match="lock is now consistency"):
        config = Config(lock="noise")
    assert config == Config(consistency="noise")
    with pytest.warns(OldNameWarning, match="the solver warmstart is now unet"):
        assert Config(solver="warmstart") == Config(solver="unet")
    with pytest.warns(OldNameWarning):
        assert replace(Config(), lock="off").consistency == "off"
    assert "lock" not in asdict(config)


def test_a_value_under_an_earlier_name_is_checked_too():
    with (
        pytest.warns(OldNameWarning),
        pytest.raises(InputError, match="consistency is 3; expected"),
    ):
        Config(lock="3")


@dataclass(frozen=True)
class Choices:
    """Fields of every kind that there is."""

    n: int = option(1, "A number.", least=0, most=8)
    share: float = option(0.5, "A share.", above=0, below=1)
    is_on: bool = option(False, "A switch.")
    name: str = option("a", "A name.", choices=("a", "b"))
    maybe: int | None = option(None, "A number or nothing.")
    length_mm: float = option(1.0, "A length.", flag="--length", least=1)

    def __post_init__(self):
        check_fields(self, "some.")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"n": -1}, "some.n is -1; expected a whole number of at least 0 and of at most 8"),
        ({"n": 9}, "some.n is 9; expected a whole number of at least 0 and of at most 8"),
        ({"n": 1.0}, "some.n is 1.0; expected a whole number of at least 0 and of at most 8"),
        ({"n": True}, "some.n is True; expected a whole number of at least 0 and of at most 8"),
        ({"n": None}, "some.n is None; expected a whole number of at least 0 and of at most 8"),
        ({"share": 0}, "some.share is 0; expected a finite number above 0 and below 1"),
        ({"share": 1.0}, "some.share is 1.0; expected a finite number above 0 and below 1"),
        ({"share": NAN}, "some.share is nan; expected a finite number above 0 and below 1"),
        ({"share": "half"}, "some.share is 'half'; expected a finite number above 0 and below 1"),
        ({"is_on": 1}, "some.is_on is 1; expected true or false"),
        ({"name": "c"}, "some.name is c; expected a or b"),
        ({"maybe": 0.5}, "some.maybe is 0.5; expected a whole number"),
        ({"length_mm": 0.5}, "some.length is 0.5 mm; expected a finite number of at least 1 mm"),
    ],
    ids=str,
)
def test_a_value_that_its_field_does_not_take_is_refused_in_a_sentence(given, sentence):
    with pytest.raises(InputError) as refused:
        Choices(**given)
    assert str(refused.value) == sentence


def test_limits_that_are_taken_and_numbers_of_numpy_pass():
    assert Choices(n=np.int64(8), share=np.float32(0.5), maybe=-3, length_mm=1) == Choices(
        n=8, share=0.5, maybe=-3, length_mm=1.0
    )


@pytest.mark.parametrize(
    ("given", "kept", "target"),
    [
        (0.7, 0.7, (0.7, 0.7, 0.7)),
        (2, 2.0, (2.0, 2.0, 2.0)),
        ("0.7", 0.7, (0.7, 0.7, 0.7)),
        ("0.5,0.5,1", (0.5, 0.5, 1.0), (0.5, 0.5, 1.0)),
        ([0.5, 0.5, 1], (0.5, 0.5, 1.0), (0.5, 0.5, 1.0)),
        (np.array([0.5, 0.5, 1], np.float32), (0.5, 0.5, 1.0), (0.5, 0.5, 1.0)),
        (None, None, None),
    ],
    ids=str,
)
def test_a_spacing_is_one_length_or_three(given, kept, target):
    config = Config(spacing_mm=given)
    assert (config.spacing_mm, config.target_mm) == (kept, target)
    # what a record holds gives the same choices again
    assert Config(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    "given", ["", "1,2", "1,2,3,4", "1,x,3", (1.0, 1.0, 0.0), (1, 2), True, [], {}, "1;2"]
)
def test_any_other_spacing_is_refused_in_one_sentence(given):
    with pytest.raises(
        InputError,
        match=r"spacing is .*; expected a length, or three, of at least 0.05 mm, such as",
    ):
        Config(spacing_mm=given)


def test_voxel_sizes_are_three_lengths():
    assert Config(voxel_size=[1, 1, 5]).voxel_size_mm == (1.0, 1.0, 5.0)
    for given in ("1", "1,1", "0,1,1", 3.0):
        with pytest.raises(InputError, match=r"voxel_size is .*; expected three lengths of"):
            Config(voxel_size=given)


def test_published_solvers_take_the_whole_brain_prior_unless_another_is_named():
    assert Config().prior == Config(solver="diffusion").prior == "builtin"
    published = [entry.name for entry in entries() if entry.is_published]
    assert published
    for solver in published:
        assert Config(solver=solver).prior == "builtin-global"
        assert Config(solver=solver, prior="builtin").prior == "builtin"
        # once settled it stays, as in a record
        assert replace(Config(), solver=solver).prior == "builtin"
