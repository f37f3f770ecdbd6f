import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import GridCard, ScheduleCard, read_card
from inversesr.priors.catalogue import verify_prior
from inversesr.priors.loading import load_prior
from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.networks.conditional_denoiser import ConditionalDenoiser, load_conditional
from inversesr.priors.networks.error_net import load_error_net
from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.networks.unet import SuperResolutionShape
from inversesr.priors.tensors import load_tensors
from inversesr.training import export
from inversesr.training.brains import UNKNOWN, VARIABLES
from inversesr.training.checkpoint import CHECKPOINT_NAME, save_start
from inversesr.training.export import ExportConfig, export_prior, held_out_scans
from inversesr.training.latents import Latents, write_statistics
from tests.priors.networks.test_build import NETWORKS
from tests.priors.test_latent_diffusion import local_card
from tests.support.problems import one_thread, random_tensors  # noqa: F401  (a fixture)

ROLES = ("autoencoder", "denoiser", "unet", "error")
MEAN, STD = torch.linspace(-0.2, 0.2, 8), torch.linspace(0.5, 1.5, 8)
NOISE = ScheduleCard("shifted_cosine", 1000, "v", arguments={"shift": 0.5})
CONFIG = ExportConfig(name="mine", licence="CC0-1.0", held_out=("sub-02",))


def made_up_run(run_dir, *roles):
    """Leave random weights where training leaves its own; return them by stage."""
    networks = dict(zip(ROLES, NETWORKS, strict=True))
    tensors = random_tensors(replace(local_card(), networks=networks))
    for role in roles:
        save_start(tensors[role], run_dir / role / CHECKPOINT_NAME)
    if "denoiser" in roles:
        write_statistics(Latents([], MEAN, STD), NOISE, run_dir / "denoiser")
    return tensors


def made_up_scans(data_dir):
    """Write one scan that trains and one that is held out; return the folder."""
    data_dir.mkdir()
    rng = np.random.default_rng(0)
    for subject in ("sub-01", "sub-02"):
        scan = rng.uniform(1, 100, (14, 16, 13)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), data_dir / f"{subject}_T1w.nii.gz")
    return data_dir


@pytest.fixture
def run_dir(tmp_path):
    made_up_run(tmp_path / "run", *ROLES)
    return tmp_path / "run"


@pytest.fixture
def data_dir(tmp_path):
    return made_up_scans(tmp_path / "data")


def autoencoder_of(prior_dir):
    """The autoencoder as its file has it, without the package's way of loading it."""
    net = LocalAutoencoder(**read_card(prior_dir).networks["autoencoder"].arguments)
    tensors = load_tensors(prior_dir / "autoencoder.safetensors")
    net.load_state_dict({name: t.float() for name, t in tensors.items()})
    return net.requires_grad_(requires_grad=False)


def test_an_exported_prior_loads_and_computes(run_dir, data_dir, tmp_path):
    export_prior(run_dir, [data_dir], CONFIG, tmp_path / "prior")
    prior = load_prior(tmp_path / "prior", dtype=torch.float32, shape=(16, 24, 8))
    assert (prior.card.name, prior.card.licence) == ("mine", "CC0-1.0")
    assert set(prior.card.networks) == {"unet", "error", "autoencoder", "denoiser"}
    z = prior.sample(2, torch.Generator().manual_seed(0))
    assert prior.decode(z).shape == (16, 24, 8)
    assert load_error_net(tmp_path / "prior", torch.device("cpu")) is not None


def test_what_is_returned_is_what_was_written_and_every_file_is_as_its_card_says(
    run_dir, data_dir, tmp_path
):
    card = export_prior(run_dir, [data_dir], CONFIG, tmp_path / "prior")
    assert read_card(tmp_path / "prior") == card
    assert len(verify_prior(tmp_path / "prior")) == 2 * len(ROLES)


def test_the_stored_weights_are_the_averaged_ones_in_half_precision(tmp_path):
    tensors = made_up_run(tmp_path / "run", *ROLES)
    card = export_prior(tmp_path / "run", [], CONFIG, tmp_path / "prior")
    assert card.reconstruction_rmse is None
    for role in ROLES:
        stored = load_tensors(tmp_path / "prior" / card.networks[role].file)
        assert {t.dtype for t in stored.values()} == {torch.float16}
        assert stored.keys() == tensors[role].keys()
        for name, tensor in stored.items():
            torch.testing.assert_close(tensor.float(), tensors[role][name], rtol=1e-3, atol=1e-6)


def test_a_conditional_denoiser_stands_beside_the_super_resolution_network(tmp_path):
    run_dir, net = tmp_path / "run", ConditionalDenoiser(SuperResolutionShape((4, 6, 8)))
    made_up_run(run_dir, "unet")
    save_start(net.state_dict(), run_dir / "conditional" / CHECKPOINT_NAME)
    card = export_prior(run_dir, [], CONFIG, tmp_path / "prior")
    assert list(card.networks) == ["unet", "conditional"]
    loaded = load_conditional(tmp_path / "prior", torch.device("cpu"))
    torch.testing.assert_close(loaded.stem.weight, net.stem.weight, rtol=1e-3, atol=1e-6)


def test_the_same_run_exports_the_same_bytes(run_dir, data_dir, tmp_path):
    for name in ("a", "b"):
        export_prior(run_dir, [data_dir], CONFIG, tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"
    )
    assert first == second


def test_the_error_of_reconstruction_is_that_of_the_stored_autoencoder(
    run_dir, data_dir, tmp_path
):
    card = export_prior(run_dir, [data_dir], CONFIG, tmp_path / "prior")
    (x,) = held_out_scans([data_dir], CONFIG)
    net = autoencoder_of(tmp_path / "prior")
    error = (net.decode(net.encode(x[None, None])[0])[0, 0] - x)[x > 0]
    assert card.reconstruction_rmse == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)


def test_only_held_out_scans_measure(run_dir, data_dir, tmp_path):
    before = export_prior(run_dir, [data_dir], CONFIG, tmp_path / "prior")
    seen = data_dir / "sub-01_T1w.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.eye(16)[None].repeat(9, 0), np.eye(4)), seen)
    assert export_prior(run_dir, [data_dir], CONFIG, tmp_path / "prior") == before
    of_all = replace(CONFIG, held_out=("sub-01", "sub-02"))
    other = export_prior(run_dir, [data_dir], of_all, tmp_path / "prior")
    assert other.reconstruction_rmse != before.reconstruction_rmse


def test_held_out_scans_fill_a_multiple_of_eight_and_the_range_of_a_prior(data_dir):
    (x,) = held_out_scans([data_dir], CONFIG)
    assert x.shape == (16, 16, 16)
    assert (float(x.min()), float(x.max())) == (0.0, 1.0)
    assert not x[14:].any()
    assert held_out_scans([data_dir], replace(CONFIG, held_out=())) == []
    assert held_out_scans([], CONFIG) == []


def test_an_exported_prior_whitens_latents_as_the_denoiser_saw_them(run_dir, data_dir, tmp_path):
    card = export_prior(run_dir, [data_dir], CONFIG, tmp_path / "prior")
    assert card.latent.whitened
    assert card.schedule == NOISE
    prior = load_prior(tmp_path / "prior", dtype=torch.float32)
    x = torch.rand((8, 8, 8), generator=torch.Generator().manual_seed(0))
    plain = autoencoder_of(tmp_path / "prior").encode(x[None, None])[0][0]
    expected = (plain - MEAN[:, None, None, None]) / STD[:, None, None, None]
    torch.testing.assert_close(prior.encode(x), expected, rtol=1e-4, atol=1e-4)


def test_without_a_denoiser_the_statistics_of_latents_are_those_of_held_out_scans(
    data_dir, tmp_path
):
    made_up_run(tmp_path / "run", "autoencoder")
    card = export_prior(tmp_path / "run", [data_dir], CONFIG, tmp_path / "prior")
    assert not card.latent.whitened
    assert card.schedule is None
    (x,) = held_out_scans([data_dir], CONFIG)
    z = autoencoder_of(tmp_path / "prior").encode(x[None, None])[0][0].flatten(1)
    assert card.latent.mean == pytest.approx(z.mean(1).tolist(), rel=1e-3, abs=1e-4)
    assert card.latent.std == pytest.approx(z.std(1).tolist(), rel=1e-3)


def test_a_unet_alone_is_a_prior(data_dir, tmp_path):
    made_up_run(tmp_path / "run", "unet")
    card = export_prior(tmp_path / "run", [data_dir], CONFIG, tmp_path / "prior")
    assert list(card.networks) == ["unet"]
    assert card.reconstruction_rmse is None
    assert len(verify_prior(tmp_path / "prior")) == 2


def test_an_older_prior_is_replaced(run_dir, tmp_path):
    export_prior(run_dir, [], CONFIG, tmp_path / "prior")
    made_up_run(tmp_path / "less", "unet")
    export_prior(tmp_path / "less", [], replace(CONFIG, name="other"), tmp_path / "prior")
    card = read_card(tmp_path / "prior")
    assert card.name == "other"
    assert list(card.files) == ["unet.safetensors"]


def test_a_run_without_a_trained_stage_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "run" / "unet").mkdir(parents=True)
    with pytest.raises(
        InputError, match="holds no trained stage; expected one of unet, conditional"
    ):
        export_prior(tmp_path / "run", [], CONFIG, tmp_path / "prior")
    assert not (tmp_path / "prior").exists()


def test_statistics_that_cannot_be_read_are_refused_by_file(run_dir, tmp_path):
    path = run_dir / "denoiser" / "latents.json"
    record = json.loads(path.read_text())
    record["statistics"]["mean"] = "zero"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"latents\.json: mean is 'zero'; expected a list"):
        export_prior(run_dir, [], CONFIG, tmp_path / "prior")


def test_a_prior_of_whole_brains_has_their_grid_and_is_told_of_the_subject(tmp_path, monkeypatch):
    small = GridCard("fixed", (1.0, 1.0, 1.0), "LAS", (16, 24, 16), (0.0, 0.0, 0.0), "MNI152")
    monkeypatch.setattr(export, "grid_card", lambda: small)
    run, data = tmp_path / "run", tmp_path / "brains"
    generator = torch.Generator().manual_seed(0)
    networks = {
        "whole-autoencoder": BlockAutoencoder(9, (4, 6), (1, 1), (1, 1)),
        "whole-denoiser": LocalDenoiser(9, (4, 6), (1, 1), 8, len(VARIABLES)),
    }
    for stage, net in networks.items():
        weights = {k: torch.randn(v.shape, generator=generator) for k, v in
                   net.state_dict().items()}  # fmt: skip
        save_start(weights, run / stage / CHECKPOINT_NAME)
    statistics = Latents([], torch.zeros(9), torch.ones(9))
    write_statistics(statistics, NOISE, run / "whole-denoiser")
    data.mkdir()
    brain = np.random.default_rng(0).integers(1, 255, small.shape, dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(brain, np.eye(4)), data / "sub-02_T1w.nii.gz")
    card = export_prior(run, [data], replace(CONFIG, n_bits=8), tmp_path / "prior")
    assert (card.grid, card.skull, card.latent.factor) == (small, "stripped", 8)
    assert set(card.networks) == {"autoencoder", "denoiser"}
    assert card.reconstruction_rmse > 0.0
    prior = load_prior(tmp_path / "prior", dtype=torch.float32)
    z = prior.sample(2, torch.Generator().manual_seed(0))
    assert prior.decode(z).shape == small.shape
    old, young = (prior.denoise(z, 500, prior.context({"age": age})) for age in (80.0, 20.0))
    assert not torch.allclose(old, young)
    # what was left out in training
    assert card.conditioning.null == (UNKNOWN,) * len(VARIABLES)
    with pytest.raises(InputError, match="n_bits is 4"):
        ExportConfig(n_bits=4)


def test_stages_of_two_priors_in_one_folder_are_refused_and_nothing_is_written(run_dir, tmp_path):
    whole = run_dir / "whole-autoencoder" / CHECKPOINT_NAME
    save_start(BlockAutoencoder(9, (4, 6), (1, 1), (1, 1)).state_dict(), whole)
    with pytest.raises(InputError, match="expected those of one prior"):
        export_prior(run_dir, [], CONFIG, tmp_path / "prior")
    assert not (tmp_path / "prior").exists()
