import copy

import pytest

from inversesr.benchmarks.default_run import measure_default_run
from inversesr.priors.brain_ldm import BRAIN_LDM


@pytest.mark.slow
def test_a_whole_run_is_timed_phase_by_phase():
    card = copy.deepcopy(BRAIN_LDM)
    card["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 4, 4, 4],
        "norm_num_groups": 4,
    }
    small = {"channels": [8, 8, 8], "norm_num_groups": 8, "num_head_channels": 8}
    card["networks"]["denoiser"]["arguments"] |= small
    # the whole head, two and a half times as coarse
    card["grid"] |= {"shape": [64, 96, 64], "spacing_mm": [2.5, 2.5, 2.5]}
    rows = measure_default_run(card, ("solver.n_levels=2", "solver.n_denoiser_steps=1"))
    by_name = {row.phase: row for row in rows}
    total = by_name["total"]
    assert total.note == ""  # not refused
    parts = [row.seconds for row in rows[1:-2]]
    assert sum(parts) == pytest.approx(total.seconds)
    assert by_name["latent-pnp"].seconds > 0
    assert 0.1 < total.peak_gib < 4
    assert rows[-1].seconds > 0
    assert "32 x 48 x 32" in rows[-1].note
