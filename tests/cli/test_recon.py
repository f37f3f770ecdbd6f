import json

import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.io.kspace.write import write_kspace
from tests.support.mri import scanned
from tests.support.raw_data import header, readout, save_ismrmrd


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def kspace_file(tmp_path):
    write_kspace(tmp_path / "k.npz", scanned(acceleration=2.0).kspace)
    return tmp_path / "k.npz"


def test_it_prints_what_it_wrote(kspace_file):
    result = invoke("recon", kspace_file, "--solver", "cg-sense")
    assert result.exit_code == 0, result.output
    assert "magnitude: " in result.stdout
    result = invoke("recon", kspace_file, "--solver", "cg-sense", "--force", "--json")
    assert json.loads(result.stdout)["data"]["coils"] == 4


def faulty(folder):
    """Files that cannot be reconstructed, with what must be said."""
    good = scanned(acceleration=1.0).kspace.samples[..., 0]
    nan, bare = good.copy(), good.copy()
    nan[0, 3, 3] = np.nan
    bare[:, :, 1::2] = 0
    np.save(folder / "good.npy", good)
    np.save(folder / "nan.npy", nan)
    np.save(folder / "bare.npy", bare)
    np.save(folder / "short.npy", np.ones(7))
    np.save(folder / "other.npy", good[:2])
    spiral = [readout(good[:, :, 0])]
    save_ismrmrd(folder / "spiral.h5", header(trajectory="spiral"), spiral)
    return {
        "nan": (["nan.npy"], "NaN"),
        "no calibration": (["bare.npy"], "calibration region"),
        "mask": (["good.npy", "--mask", "short.npy"], "does not fit"),
        "coils": (["good.npy", "--maps", "other.npy"], "coil maps"),
        "trajectory": (["spiral.h5"], "BART"),
    }


@pytest.mark.parametrize("case", ["nan", "no calibration", "mask", "coils", "trajectory"])
def test_unusable_input_is_one_sentence_and_status_2(tmp_path, case):
    arguments, words = faulty(tmp_path)[case]
    before = sorted(tmp_path.iterdir())
    places = [tmp_path / a if a.endswith((".npy", ".h5")) else a for a in arguments]
    result = invoke("recon", *places, "--solver", "zero-filling")
    assert result.exit_code == 2, result.output
    (sentence,) = result.stderr.splitlines()
    assert words in sentence
    assert sorted(tmp_path.iterdir()) == before
