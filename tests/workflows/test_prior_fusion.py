import numpy as np
import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume
from inversesr.workflows import restore as pipeline
from inversesr.workflows.restore import restore
from tests.support.problems import free_card, random_tensors, write_prior
from tests.workflows.test_fusion import at_rest, error_of, scans  # noqa: F401  (fixtures)


@pytest.mark.usefixtures("at_rest")
def test_the_prior_fuses_stacks_better_than_total_variation(scans):  # noqa: F811
    by_prior, by_tv = (restore(scans, Config(solver=solver)) for solver in ("auto", "tv"))
    assert (by_prior.solver_used, by_tv.solver_used) == ("diffusion", "tv")
    assert error_of(by_prior.volume) < 0.85 * error_of(by_tv.volume)
    # each stack is met to within its noise, where total variation leaves more
    for ours, theirs in zip(by_prior.sources, by_tv.sources, strict=True):
        assert ours.agreement.rms < theirs.agreement.rms
    assert by_prior.prior_card["name"] == "builtin"
    assert by_tv.prior_card is None


@pytest.mark.usefixtures("at_rest")
def test_poses_are_refined_against_the_image(scans):  # noqa: F811
    moved = np.eye(4)
    moved[:3, 3] = [0.6, -0.4, 0.3]
    volume = scans[1].volume
    off = Volume(volume.data, Grid(volume.grid.shape, moved @ volume.grid.affine))
    result = restore([scans[0], Scan.made_here(off), scans[2]], Config())
    # one round finds most of 0.78 mm, and leaves a stack that lay right where it was
    assert 0.4 < result.sources[1].motion_mm < 0.9
    assert result.sources[2].motion_mm < 0.35


def test_a_prior_without_the_network_is_refused_before_anything_is_computed(
    scans,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr(pipeline, "fuse", lambda *_: pytest.fail("registered first"))
    card = free_card()
    prior = write_prior(tmp_path / "prior", card, random_tensors(card))
    with pytest.raises(InputError, match="has no super-resolution network"):
        restore(scans, Config(prior=str(prior)))
