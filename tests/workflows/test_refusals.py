from dataclasses import replace

import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.solvers import registry
from inversesr.workflows.refusals import refuse_ignored


def test_samples_are_refused_of_a_solver_that_draws_none():
    with pytest.raises(InputError, match="give --solver diffusion"):
        refuse_ignored(Config(solver="tv", samples=4))
    for solver in ("auto", "split-gibbs", "diffusion"):
        refuse_ignored(Config(solver=solver, samples=4))


@pytest.mark.parametrize("consistency", ["exact", "noise"])
def test_a_data_consistency_that_would_be_ignored_is_refused(consistency):
    with pytest.raises(
        InputError, match="not made consistent with the scan: leave out --consistency"
    ):
        refuse_ignored(Config(solver="spline", consistency=consistency))
    refuse_ignored(Config(solver="tv", consistency=consistency))


@pytest.mark.parametrize(
    ("choices", "option"),
    [
        ({"protect": "mask.nii.gz"}, "--protect"),
        ({"keep_unprotected": True}, "--keep-unprotected"),
        ({"prior": "other"}, "--prior"),
        ({"settings": ("solver.n_steps=3",)}, "--set"),
    ],
)
@pytest.mark.parametrize("solver", ["spline", "tv"])
def test_what_only_priors_heed_is_refused_without_one(solver, choices, option):
    with pytest.raises(InputError, match=f"{solver} has no prior and {option} no effect"):
        refuse_ignored(Config(solver=solver, **choices))
    refuse_ignored(Config(solver="unet", **choices))
    refuse_ignored(Config(**choices))


def test_a_solver_without_a_prior_may_have_options(monkeypatch):
    pnp = registry.find("latent-pnp")
    entry = replace(registry.find("tv"), options=pnp.options)
    monkeypatch.setattr(registry, "find", lambda _name: entry)
    refuse_ignored(Config(solver="tv", settings=("solver.n_levels=3",)))
