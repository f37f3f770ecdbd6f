import json

import nibabel
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.priors.card import parse_card, read_card
from inversesr.priors.tensors import load_tensors
from inversesr.training.packed import names_in
from tests.cli.test_app import contents
from tests.priors.test_latent_diffusion import local_card
from tests.support import problems
from tests.support.problems import one_thread, random_tensors  # noqa: F401  (a fixture)
from tests.training.test_export import made_up_run

CARD = local_card()


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path):
    return problems.write_prior(tmp_path / "source", CARD, random_tensors(CARD))


def prior(*arguments):
    return CliRunner().invoke(app, ["prior", *map(str, arguments)])


def done(*arguments):
    result = prior(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments):
    """Run a command that must end with one sentence and status 2; return the sentence."""
    result = prior(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    return sentence.removeprefix("inversesr: ")


def listed():
    return {p["name"]: p for p in json.loads(done("list", "--json"))["priors"]}


def test_the_list_says_in_words_what_it_says_as_json():
    lines = done("list").splitlines()
    for line, entry in zip(lines, listed().values(), strict=True):
        name, mark, note = line.split(maxsplit=2)
        assert (name, mark == "usable", note) == (entry["name"], entry["usable"], entry["note"])
    assert listed()["builtin"]["usable"]
    assert not listed()["brain-ldm"]["usable"]


def test_an_imported_prior_is_listed_described_and_verified_under_its_new_name(folder, own_home):
    assert "mine" not in listed()
    assert done("import", folder, "--name", "mine").startswith(f"installed {CARD.name} ")
    assert listed()["mine"]["usable"]
    described = json.loads(done("info", "mine"))
    assert described.pop("folder") == str(own_home / "priors" / "mine")
    assert parse_card(described) == read_card(own_home / "priors" / "mine")
    assert done("verify", "mine").count("as expected") == 2 * len(CARD.networks)


def test_importing_leaves_the_source_as_it_was_and_copies_every_value(folder, own_home):
    before = contents(folder)
    done("import", folder, "--name", "mine")
    assert contents(folder) == before
    for network in CARD.networks.values():
        ours = load_tensors(folder / network.file)
        theirs = load_tensors(own_home / "priors" / "mine" / network.file)
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_an_installed_prior_is_replaced_only_by_force(folder, own_home):
    done("import", folder, "--name", "mine")
    before = contents(own_home)
    assert "--force" in refused("import", folder, "--name", "mine")
    assert contents(own_home) == before
    done("import", folder, "--name", "mine", "--force")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("info", "unicorn"), "prior 'unicorn' is not installed"),
        (("verify", "unicorn"), "run `inversesr prior fetch unicorn`"),
        (("show", "unicorn", "-o", "out", "--samples", "0"), "prior 'unicorn' is not installed"),
        (("import", "nowhere"), "is no folder and no zip file"),
        (("import", "SOURCE", "--name", "../up"), "expected letters, digits"),
        (("import", "SOURCE", "--as", "unicorn"), "expected one of brain-ldm, brlp, nv-generate"),
        (("import", "SOURCE", "--as", "brlp"), "expected weights of AutoencoderKL"),
        (("fetch", "unicorn"), "expected one of brain-ldm"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_refused_in_one_sentence(
    folder, tmp_path, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).uniform(1, 9, (12, 12, 12)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "head.nii.gz")
    before = contents(tmp_path)
    known = [folder if a == "SOURCE" else a for a in arguments]
    if "show" in known:
        known += ["--image", "head.nii.gz"]
    assert sentence in refused(*known)
    assert contents(tmp_path) == before


def test_a_damaged_file_is_refused_by_name(folder):
    file = folder / "denoiser.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "denoiser.safetensors has SHA-256" in refused("verify", folder)


@pytest.mark.parametrize("name", ["reconstruction.png", "samples.png"])
def test_pictures_that_are_there_are_kept_unless_forced(folder, tmp_path, name):
    (tmp_path / name).write_text("precious")
    assert "--force" in refused("show", folder, "-o", tmp_path)
    assert (tmp_path / name).read_text() == "precious"


def test_a_picture_is_drawn_and_the_error_told(folder, tmp_path):
    image = np.random.default_rng(0).uniform(1, 9, (12, 10, 9)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "head.nii.gz")
    out = tmp_path / "out"
    # an older picture of samples is in nobody's way
    out.mkdir()
    (out / "samples.png").write_text("older")
    picture, error = done(
        "show", folder, "-o", out, "--image", tmp_path / "head.nii.gz", "--samples", "0"
    ).splitlines()
    assert picture == f"picture: {out / 'reconstruction.png'}"
    assert (out / "reconstruction.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "samples.png").read_text() == "older"
    assert float(error.removeprefix("reconstruction error (rms, of 1): ")) > 0.0


def test_export_tells_where_the_prior_is_and_what_was_not_measured(tmp_path):
    made_up_run(tmp_path / "run", "unet", "autoencoder")
    (tmp_path / "export.json").write_text('{"name": "mine"}')
    first, second = done(
        "train", "export", "--config", tmp_path / "export.json", "-o", tmp_path / "run"
    ).splitlines()
    assert first == f"prior 'mine' of unet, autoencoder: {tmp_path / 'run' / 'prior'}"
    size = sum(path.stat().st_size for path in (tmp_path / "run" / "prior").glob("*.safetensors"))
    assert second == f"{size / 1e6:.1f} MB, reconstruction error (rms, of 1) not measured"


def test_a_setting_that_a_stage_does_not_have_is_refused(tmp_path):
    (tmp_path / "export.toml").write_text('colour = "red"\n')
    sentence = refused("train", "export", "--config", tmp_path / "export.toml", "-o", tmp_path)
    assert "export has no setting 'colour'" in sentence


def test_the_earlier_name_of_a_stage_goes_on_working_with_a_warning(tmp_path):
    (tmp_path / "unet.toml").write_text('colour = "red"\n')
    told = prior("train", "warmstart", "--config", tmp_path / "unet.toml", "-o", tmp_path)
    assert told.exit_code == 2
    warning, refusal = told.stderr.splitlines()
    assert "the stage 'warmstart' is now 'unet'; the old name will not be known" in warning
    assert "unet has no setting 'colour'" in refusal


def test_scans_are_packed_into_one_file_whose_size_is_told(tmp_path):
    voxels = np.random.default_rng(0).uniform(1, 9, (12, 12, 12)).astype(np.float32)
    for name in ("a_T1w", "b_T1w"):
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / f"{name}.nii.gz")
    file = tmp_path / "train.pack"
    told = done("pack", "--data", tmp_path, "-o", file)
    assert told == f"{file}: 2 scans, {file.stat().st_size / 1e6:.1f} MB\n"
    assert names_in(file) == ["a_T1w", "b_T1w"]


@pytest.mark.parametrize("arguments", [(), ("fly",), ("show", "builtin"), ("train",)], ids=str)
def test_wrong_usage_is_status_2_without_a_traceback(arguments):
    result = prior(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
