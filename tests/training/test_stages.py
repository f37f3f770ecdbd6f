import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.errors import InputError
from inversesr.priors.loading import load_prior
from inversesr.priors.tensors import load_tensors
from inversesr.training.architectures import arguments_of, averaged_weights
from inversesr.training.export import ExportConfig, export_prior
from inversesr.training.stages import (
    STAGES,
    TrainingRequest,
    config_of,
    device_of,
    train_stage,
)

SCHEDULE = {"n_steps": 4, "n_warm_up": 1, "log_every": 1, "validate_every": 2}
# not bfloat16, whose kernels fail on features of two voxels a side
SMALL = {"schedule": SCHEDULE, "held_out": ["sub-02"], "dtype": "float32"}
PATCHES = {"shape": [8, 8, 32], "n_patches": 1}
SETTINGS = {
    "unet": {
        **SMALL,
        "shape": {"widths": [4, 6, 8], "n_blocks": [1, 2, 1], "n_embedding": 8},
        "patches": PATCHES,
        "easy_patches": PATCHES,
    },
    "conditional": {
        **SMALL,
        "shape": {"widths": [4, 6, 8], "n_blocks": [1, 2, 1], "n_embedding": 8},
        "patches": PATCHES,
    },
    "error": {
        **SMALL,
        "shape": {"widths": [4, 6], "n_blocks": [1, 2], "n_embedding": 8},
        "patches": PATCHES,
    },
    "autoencoder": {
        **SMALL,
        "shape": {
            "latent_channels": 9,
            "widths": [4, 6],
            "encoder_blocks": [1, 2],
            "decoder_blocks": [2, 1],
        },
        "patches": {**PATCHES, "shape": [16, 16, 16]},
    },
    "denoiser": {
        **SMALL,
        "shape": {"widths": [4, 6], "n_blocks": [1, 2], "n_embedding": 8},
        "crop": 4,
        "n_passes": 1,
        "margin": 2,
    },
}


class Interrupted(Exception):  # noqa: N818  (it is no error)
    """A person lost patience."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for subject in ("sub-01", "sub-02"):
        image = rng.uniform(1, 100, (16, 18, 32)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / f"{subject}_T1w.nii.gz")
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, data_dir):
    """Every stage trained for four steps, from the command line."""
    folder = tmp_path_factory.mktemp("runs")
    for stage, settings in SETTINGS.items():
        file = folder / f"{stage}.json"
        file.write_text(json.dumps(settings))
        result = invoke(stage, "--data", data_dir, "--config", file, "-o", folder)
        assert result.exit_code == 0, result.output
    return folder


def invoke(*arguments):
    return CliRunner().invoke(app, ["prior", "train", *map(str, arguments)])


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_stage_leaves_a_checkpoint_tables_and_a_picture(run_dir, stage):
    names = {path.name for path in (run_dir / stage).iterdir()}
    assert {"checkpoint.safetensors", "losses.csv", "validation.csv", "losses.png"} <= names
    assert (run_dir / stage / "losses.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("stage", SETTINGS)
def test_an_interrupted_stage_resumes_bit_for_bit(run_dir, data_dir, tmp_path, stage):
    for needed in {"denoiser": ["autoencoder"], "error": ["unet"]}.get(stage, []):
        (tmp_path / needed).symlink_to(run_dir / needed)
    # a checkpoint after every step
    schedule = {**SCHEDULE, "checkpoint_minutes": 0.0}
    settings = {**SETTINGS[stage], "schedule": schedule}

    def interrupt(moment):
        if moment.step == 2:
            raise Interrupted

    request = TrainingRequest(stage, (data_dir,), tmp_path, settings)
    with pytest.raises(Interrupted):
        train_stage(request, interrupt)
    assert not (tmp_path / stage / "losses.png").exists()
    train_stage(TrainingRequest(stage, (data_dir,), tmp_path, settings, resume=True))
    whole = load_tensors(run_dir / stage / "checkpoint.safetensors")
    halves = load_tensors(tmp_path / stage / "checkpoint.safetensors")
    assert whole.keys() == halves.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, halves[name]), name


def test_a_trained_stage_is_not_overwritten(run_dir, data_dir):
    result = invoke("unet", "--data", data_dir, "-o", run_dir)
    assert result.exit_code == 2
    assert "give --resume" in result.stderr


def test_a_stage_is_known_by_its_earlier_name_too_with_a_warning(run_dir, data_dir):
    result = invoke("warmstart", "--data", data_dir, "-o", run_dir)
    assert result.exit_code == 2
    warning, sentence = result.stderr.splitlines()
    assert warning.startswith("warning: the stage 'warmstart' is now 'unet'")
    assert f"{run_dir / 'unet' / 'checkpoint.safetensors'} exists" in sentence


def test_folders_may_follow_one_another(run_dir, data_dir, tmp_path):
    result = invoke("unet", "--data", tmp_path, data_dir, "-o", run_dir, "--resume",
                    "--config", run_dir / "unet.json")  # fmt: skip
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing",), "expected one of unet, conditional, error"),
        (("unet",), "no NIfTI file"),
        (("denoiser", "--data", "DATA"), "prior train autoencoder"),
        (("error", "--data", "DATA"), "prior train unet"),
        (("unet", "--config", "none.toml"), "missing"),
        (("export",), "no trained stage"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    data_dir, tmp_path, arguments, sentence
):
    known = [data_dir if a == "DATA" else a for a in arguments]
    result = invoke(*known, "-o", tmp_path / "runs")
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_minutes_of_the_command_line_win():
    request = TrainingRequest("autoencoder", (), None, SETTINGS["autoencoder"], minutes=2.5)
    assert config_of(request).schedule.minutes == 2.5
    assert config_of(request).schedule.n_warm_up == 1


def test_a_checkpoint_tells_the_size_of_its_network(run_dir):
    found = {
        stage: arguments_of(STAGES[stage].network, averaged_weights(run_dir / stage))
        for stage in SETTINGS
    }
    assert found["unet"] == SETTINGS["unet"]["shape"]
    assert found["error"] == SETTINGS["error"]["shape"]
    assert found["autoencoder"] == SETTINGS["autoencoder"]["shape"]
    assert found["denoiser"] == {"channels": 9, **SETTINGS["denoiser"]["shape"]}


def test_export_writes_a_prior_that_loads_and_computes(run_dir, data_dir):
    file = run_dir / "export.toml"
    file.write_text('name = "mine"\nlicence = "CC0-1.0"\nheld_out = ["sub-02"]\n')
    result = invoke("export", "--data", data_dir, "--config", file, "-o", run_dir)
    assert result.exit_code == 0, result.output
    prior = load_prior(run_dir / "prior", dtype=torch.float32, shape=(16, 24, 8))
    assert (prior.card.name, prior.card.licence) == ("mine", "CC0-1.0")
    assert set(prior.card.networks) == set(SETTINGS)
    z = prior.sample(2, torch.Generator().manual_seed(0))
    assert prior.decode(z).shape == (16, 24, 8)
    assert 0.0 < prior.card.reconstruction_rmse < 1.0


def test_training_may_start_from_the_network_of_a_prior(run_dir, data_dir, tmp_path):
    prior_dir = tmp_path / "prior"
    export_prior(run_dir, (data_dir,), ExportConfig(name="mine"), prior_dir)
    schedule = {**SCHEDULE, "n_steps": 1, "learning_rate": 0.0}
    settings = {**SETTINGS["unet"], "schedule": schedule}
    request = TrainingRequest("unet", (data_dir,), tmp_path, settings, start=str(prior_dir))
    train_stage(request)
    shipped = load_tensors(prior_dir / "unet.safetensors")
    for name, tensor in averaged_weights(tmp_path / "unet").items():
        assert torch.equal(tensor, shipped[name].float()), name


def test_a_prior_without_the_network_is_no_start(run_dir, data_dir, tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "unet").symlink_to(run_dir / "unet")
    prior_dir = tmp_path / "prior"
    export_prior(tmp_path / "part", (data_dir,), ExportConfig(name="mine"), prior_dir)
    result = invoke("autoencoder", "--start", prior_dir, "--data", data_dir, "-o", tmp_path)
    assert result.exit_code == 2
    assert "has no autoencoder; it has unet" in result.stderr


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("autoencoder", "autoencoder is trained on the processor; --device cuda is for unet"),
        ("unet", "no CUDA device is usable here: leave out --device"),
    ],
)
def test_a_device_that_cannot_be_used_is_refused_in_a_sentence(monkeypatch, stage, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=sentence):
        config_of(TrainingRequest(stage, (), None, SETTINGS[stage], device="cuda"))


@pytest.mark.parametrize(("stage", "device"), [("unet", "cuda"), ("autoencoder", "cpu")])
def test_auto_takes_a_gpu_where_there_is_one_and_the_stage_can_use_it(monkeypatch, stage, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of(TrainingRequest(stage, (), None, {})) == torch.device(device)
    assert device_of(TrainingRequest(stage, (), None, {}, device="cpu")).type == "cpu"


def test_a_prior_is_trained_from_a_pack_as_from_its_folder(data_dir, tmp_path):
    pack = tmp_path / "train.pack"
    result = CliRunner().invoke(
        app, ["prior", "pack", "--data", str(data_dir), "-o", str(pack), "--bits", "8"]
    )
    assert result.exit_code == 0, result.output
    assert "train.pack: 2 scans" in result.stdout
    both = [
        train_stage(TrainingRequest("unet", (data,), tmp_path / name, SETTINGS["unet"]))
        for name, data in (("folder", data_dir), ("pack", pack))
    ]
    first, second = (averaged_weights(folder) for folder in both)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.gpu
@pytest.mark.parametrize("stage", ["unet", "conditional"])
def test_a_stage_is_trained_on_a_gpu_and_goes_on_from_its_checkpoint(data_dir, tmp_path, stage):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    request = TrainingRequest(stage, (data_dir,), tmp_path, SETTINGS[stage], device="cuda")
    train_stage(request)
    more = {**SETTINGS[stage], "schedule": {**SCHEDULE, "n_steps": 8}}
    folder = train_stage(replace(request, settings=more, resume=True))
    assert all(bool(t.isfinite().all()) for t in averaged_weights(folder).values())
