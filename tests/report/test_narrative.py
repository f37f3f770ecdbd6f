from dataclasses import replace

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.report.narrative import prior_sentences
from inversesr.result import make_map
from inversesr.volume import Grid, Volume
from inversesr.workflows.restore import restore


@pytest.fixture(scope="module")
def result():
    """A result whose head fills its left half; the rest is air."""
    data = np.random.default_rng(0).uniform(50, 100, (10, 9, 5)).astype(np.float32)
    volume = Volume(data, Grid((10, 9, 5), np.diag([1.0, 1.0, 4.0, 1.0])))
    found = restore([Scan.made_here(volume)], Config(solver="spline"))
    head = found.volume.data.clip(50.0, 100.0)
    head[5:] = 0.0
    return replace(found, volume=found.volume.with_data(head))


def said(result, solver, mask=None, **facts):
    """What is said of a result if some solver had made it."""
    config = Config(solver=solver, prior="/some/where/mine")
    maps = {} if mask is None else weight_of_prior(result, mask)
    changed = replace(result, config=config, solver_used=solver, maps=maps, facts=facts)
    return " ".join(prior_sentences(changed))


def weight_of_prior(result, mask):
    volume = result.volume.with_data(mask.astype(np.float32))
    return {"prior_mask": make_map("prior_mask", volume, "the solver")}


def mask_of(result, value):
    return np.full(result.volume.data.shape, value)


@pytest.mark.parametrize("solver", ["spline", "tv"])
def test_solvers_without_a_prior_say_that_none_was_used(result, solver):
    found = said(result, solver)
    assert found.startswith(f"No prior was used: {solver}")
    assert "mine" not in found


def test_the_network_contributes_everywhere_and_is_called_an_estimate(result):
    found = said(result, "unet")
    assert "network of the prior 'mine' contributed to the whole head" in found
    assert "estimate learned from other brains" in found


def test_a_free_prior_contributes_everywhere(result):
    found = said(result, "latent-pnp", mask_of(result, 1.0))
    assert "The prior 'mine' contributed to the whole head" in found
    assert "/some/where" not in found


def test_the_share_is_that_of_the_head_and_not_of_the_air(result):
    mask = mask_of(result, 1.0)
    mask[:, :, :5] = 0.0
    mask[5:] = 0.3
    found = said(result, "latent-pnp", mask)
    assert "contributed 75.0 % of the image inside the head" in found
    assert "spline interpolation" in found


def test_a_mask_and_large_residuals_are_told_apart(result):
    found = said(
        result,
        "latent-pnp",
        mask_of(result, 0.9),
        protected_share=0.04,
        surprising_share=0.0003,
    )
    assert "Your mask (--protect) excluded it from 4.0 % of the image" in found
    assert "In less than 0.1 % of the image the scan differs strongly" in found
    assert "Nowhere" in said(result, "latent-pnp", mask_of(result, 0.9), surprising_share=0.0)
    assert "mask" not in said(result, "latent-pnp", mask_of(result, 0.9))


def test_a_refused_prior_is_named_with_the_reason(result):
    reason = "the scan resembles nothing"
    found = said(replace(result, notes=(reason,), prior_refused="/some/where/mine"), "tv")
    assert "'mine' was refused; tv was used instead" in found
    assert "Reason: the scan resembles nothing." in found
    assert "estimate" not in found


def test_an_image_without_a_head_still_has_a_share(result):
    maps = weight_of_prior(result, mask_of(result, 0.5))
    data = np.full(result.volume.data.shape, 7.0, np.float32)
    empty = replace(result, volume=result.volume.with_data(data), maps=maps)
    config = Config(solver="latent-pnp", prior="mine")
    changed = replace(empty, config=config, solver_used="latent-pnp")
    assert "50.0 %" in " ".join(prior_sentences(changed))
