from dataclasses import replace

import pytest
import torch

from inversesr.config import Config
from inversesr.protocols import Solution
from inversesr.solvers.latent import runner
from tests.support import problems
from tests.support.problems import random_tensors, tiny_card
from tests.workflows.test_prepare import FAST, silent, solve, thick_task


@pytest.mark.parametrize(("sigma", "expected_rms"), [(0.5, 0.0), (9.0, 9.0)])
def test_latent_solvers_begin_as_near_to_the_scan_as_its_noise_lets_them(
    monkeypatch, sigma, expected_rms
):
    # slices that the U-Net does not know, and an image that is far from them
    task, seen = replace(thick_task(13.0), sigma=sigma), []
    nothing = Solution(torch.zeros(task.A.in_shape), "", 0)
    monkeypatch.setattr(runner, "thin", lambda *_: nothing)

    def remember(given, _prior, warm, _seed):
        # the scan as solvers see it: its air is at zero
        seen.extend((given, warm))
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "prepare", remember)
    with pytest.raises(KeyboardInterrupt):
        solve(task, Config(solver="latent-pnp"), silent)
    given, warm = seen
    rms = float((given.A(warm) - given.y).square().mean().sqrt())
    assert rms == pytest.approx(expected_rms, abs=1e-3)


def test_a_refused_prior_is_replaced_by_tv_and_says_so(tmp_path, monkeypatch):
    task = thick_task(4.0)
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("inversesr.solvers.latent.fixed_prior.has_deepbet", lambda: False)
    card = tiny_card()
    folder = problems.write_prior(tmp_path / "fixed", card, random_tensors(card))
    found = solve(task, Config(solver="latent-pnp", prior=str(folder), settings=FAST), silent)
    torch.testing.assert_close(found.x, solve(task, Config(solver="tv"), silent).x)
    assert found.solver == "tv"
    assert "tv is used instead" in found.notes[0]
