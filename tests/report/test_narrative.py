from dataclasses import replace

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.report.narrative import prior_sentences
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
    volume = None if mask is None else result.volume.with_data(mask.astype(np.float32))
    changed = replace(result, config=config, solver_used=solver, prior_mask=volume, facts=facts)
    return " ".join(prior_sentences(changed))


def mask_of(result, value):
    return np.full(result.volume.data.shape, value)


@pytest.mark.parametrize("solver", ["spline", "tv"])
def test_solvers_without_a_prior_say_that_none_spoke(result, solver):
    found = said(result, solver)
    assert found.startswith(f"No prior spoke: {solver}")
    assert "mine" not in found


def test_the_warm_start_speaks_everywhere_and_is_called_a_guess(result):
    found = said(result, "warmstart")
    assert "warm start of the prior 'mine', spoke everywhere" in found
    assert "guess" in found


def test_a_free_prior_speaks_everywhere(result):
    found = said(result, "latent-pnp", mask_of(result, 1.0))
    assert "The prior 'mine' spoke everywhere in the head" in found
    assert "/some/where" not in found


def test_the_share_is_that_of_the_head_and_not_of_the_air(result):
    mask = mask_of(result, 1.0)
    mask[:, :, :5] = 0.0
    mask[5:] = 0.3
    found = said(result, "latent-pnp", mask)
    assert "75.0 % of the say in the head" in found
    assert "spline interpolation" in found


def test_protected_and_surprising_tissue_are_told_apart(result):
    found = said(
        result,
        "latent-pnp",
        mask_of(result, 0.9),
        protected_share=0.04,
        surprising_share=0.0003,
    )
    assert "kept out of 4.0 % of the image by your mask" in found
    assert "less than 0.1 % of the image held tissue" in found
    assert "Nowhere" in said(result, "latent-pnp", mask_of(result, 0.9), surprising_share=0.0)
    assert "mask" not in said(result, "latent-pnp", mask_of(result, 0.9))


def test_a_refused_prior_spoke_nowhere_and_says_why(result):
    reason = "the scan resembles nothing"
    found = said(replace(result, notes=(reason,), prior_refused="/some/where/mine"), "tv")
    assert "'mine' was refused: tv was used instead" in found
    assert "The reason: the scan resembles nothing." in found
    assert "guess" not in found


def test_an_image_without_a_head_still_has_a_share(result):
    mask = result.volume.with_data(mask_of(result, 0.5).astype(np.float32))
    data = np.full(result.volume.data.shape, 7.0, np.float32)
    empty = replace(result, volume=result.volume.with_data(data), prior_mask=mask)
    config = Config(solver="latent-pnp", prior="mine")
    changed = replace(empty, config=config, solver_used="latent-pnp")
    assert "50.0 %" in " ".join(prior_sentences(changed))
