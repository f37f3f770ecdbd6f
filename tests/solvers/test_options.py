from dataclasses import fields

import pytest

from inversesr.errors import InputError
from inversesr.solvers.latent.map import LatentMAP
from inversesr.solvers.latent.pnp import LatentPnP
from inversesr.solvers.latent.split_gibbs import SplitGibbs
from inversesr.solvers.options import (
    check_settings,
    name_of,
    options_of,
    settings_of,
    without_effect,
)
from inversesr.solvers.registry import entries, find
from inversesr.solvers.tv.single import TV
from inversesr.solvers.unet.solver import UNet


def test_settings_reach_the_options_of_their_solver():
    settings = (
        "solver.n_steps=12",
        "solver.perceptual_weight=0.5",
        "solver.blind=true",
        "solver.features_file=/a/b.pt",
        "solver.n_mirrors=3",
    )
    found = options_of(find("latent-map"), settings)
    assert found == LatentMAP(
        n_steps=12, perceptual_weight=0.5, blind=True, features_file="/a/b.pt", n_mirrors=3
    )
    assert options_of(find("unet"), settings) == UNet(n_mirrors=3)
    assert options_of(find("latent-map"), ("solver.n_levels=none",)).n_levels is None


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_solver_has_options_of_its_own_that_settings_bring_back(entry):
    kind = entry.options
    assert name_of(kind()) == entry.name
    assert settings_of(kind()) == ()
    assert all("help" in f.metadata for f in fields(kind))


@pytest.mark.parametrize(
    "options",
    [
        LatentPnP(n_levels=4, antithetic=False, sigma_high=2.5),
        UNet(adapt_steps=0, expected_error=False),
        SplitGibbs(n_samples=3),
        LatentMAP(features_file="weights.pt", blind=True),
    ],
)
def test_options_become_settings_and_back(options):
    assert options_of(find(name_of(options)), settings_of(options)) == options


def test_what_a_solver_has_no_use_for_is_named():
    settings = ("solver.adapt_steps=0", "solver.blind=yes")
    assert without_effect(find("tv"), settings) == ("adapt_steps", "blind")
    assert without_effect(find("unet"), settings) == ("blind",)
    assert options_of(find("tv"), settings) == TV()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("n_steps=3", r"solver\.NAME=VALUE"),
        ("solver.n_steps", r"solver\.NAME=VALUE"),
        ("solver.n_step=3", r"did you mean solver\.n_steps"),
        ("solver.n_steps=many", "a whole number"),
        ("solver.n_steps=0", "at least 1"),
        ("solver.rho=0", "above 0"),
        ("solver.rho=nan", "finite"),
        ("solver.blind=perhaps", "true or false"),
        ("solver.backend=quick", "lean or stock"),
        ("solver.n_mirrors=9", "at most 8"),
    ],
)
def test_a_setting_that_no_solver_can_use_is_refused(setting, sentence):
    with pytest.raises(InputError, match=sentence):
        check_settings([setting])


def test_options_are_checked_when_they_are_made():
    with pytest.raises(InputError, match=r"solver\.n_levels is 0"):
        LatentPnP(n_levels=0)


def test_an_object_that_is_no_options_is_refused():
    with pytest.raises(InputError, match="expected a name or an options class"):
        name_of(object())
