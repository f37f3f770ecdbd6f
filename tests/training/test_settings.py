import json

import pytest
import torch

from inversesr.errors import InputError
from inversesr.training.autoencoder import AutoencoderConfig
from inversesr.training.denoiser_config import DenoiserConfig
from inversesr.training.settings import configure, read_settings


def test_what_is_not_named_keeps_its_default():
    config = configure(AutoencoderConfig(), {"patches": {"n_patches": 3}}, "autoencoder")
    assert config.patches.n_patches == 3
    assert config.patches.shape == AutoencoderConfig().patches.shape
    assert config.schedule == AutoencoderConfig().schedule


def test_lists_become_tuples_and_names_become_types():
    settings = {"shape": {"widths": [4, 6]}, "dtype": "bfloat16", "held_out": ["sub-09"]}
    config = configure(AutoencoderConfig(), settings, "autoencoder")
    assert config.shape.widths == (4, 6)
    assert config.dtype == torch.bfloat16
    assert config.held_out == ("sub-09",)


def test_the_noise_levels_can_be_chosen():
    noise = {"kind": "cosine", "arguments": {}}
    config = configure(DenoiserConfig(), {"noise": noise}, "denoiser")
    assert (config.noise.kind, config.noise.prediction) == ("cosine", "v")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"learning": 1}, "autoencoder has no setting 'learning'; expected one of shape"),
        ({"shape": {"width": [1]}}, "autoencoder.shape has no setting 'width'"),
        ({"shape": {"widths": [1]}}, r"autoencoder.shape.widths is \[1\]; expected a list of 2"),
        ({"schedule": {"n_steps": "many"}}, "n_steps is 'many'; expected a whole number"),
        ({"dtype": "int8"}, "dtype is 'int8'; expected one of float32, bfloat16"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        configure(AutoencoderConfig(), settings, "autoencoder")


def test_json_and_toml_say_the_same(tmp_path):
    expected = {"schedule": {"n_steps": 7}, "held_out": ["a"]}
    (tmp_path / "c.json").write_text(json.dumps(expected))
    (tmp_path / "c.toml").write_text('held_out = ["a"]\n[schedule]\nn_steps = 7\n')
    assert read_settings(tmp_path / "c.json") == read_settings(tmp_path / "c.toml") == expected


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [("c.toml", "a = ", "not TOML"), ("c.json", "{", "not JSON"), ("d.json", "[1]", "holds list")],
)
def test_a_file_of_something_else_is_refused(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_settings(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_settings(tmp_path / "none.toml")
