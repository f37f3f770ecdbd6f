import pickle
import sys
import types
from pathlib import Path

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.conversion.unpickling import read_checkpoint


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_a_missing_checkpoint_is_named(tmp_path, name):
    with pytest.raises(InputError, match=f"{name} is missing"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_read_and_nested_ones_are_flattened(tmp_path, zipped):
    path = tmp_path / "x.pt"
    state = {"epoch": 3, "state_dict": {"a.weight": torch.ones(2)}}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_checkpoint(path)["state_dict.a.weight"], torch.ones(2))


def save_pickled_module(path, *, zipped=True):
    """Save a whole module of a package that no longer exists when the file is read."""
    package = types.ModuleType("vanished")
    exec(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.first = torch.nn.Conv3d(1, 2, 1)\n"
        "        self.rest = torch.nn.ModuleList([torch.nn.Linear(2, 2, bias=False)])\n"
        "        self.register_buffer('betas', torch.arange(3.0))\n",
        vars(package),
    )
    sys.modules["vanished"] = package
    package.Net.__module__ = "vanished"
    net = package.Net()
    torch.save(net, path, _use_new_zipfile_serialization=zipped)
    del sys.modules["vanished"]
    return net.state_dict()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_pickled_module_is_read_without_its_classes_only_when_trusted(tmp_path, zipped):
    path = tmp_path / "model.pth"
    expected = save_pickled_module(path, zipped=zipped)
    with pytest.raises(InputError, match="--trust-pickle"):
        read_checkpoint(path)
    found = read_checkpoint(path, trust_pickle=True)
    assert set(found) == set(expected)
    assert all(torch.equal(found[k], v) for k, v in expected.items())


class Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_a_trusted_pickle_still_runs_nothing(tmp_path):
    path, target = tmp_path / "model.pth", tmp_path / "touched"
    torch.save({"a": torch.ones(1), "b": Attack(target)}, path)
    assert set(read_checkpoint(path, trust_pickle=True)) == {"a"}
    assert not target.exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(pickle.dumps([1])[:3])
    with pytest.raises(InputError, match=r"x\.pt"):
        read_checkpoint(path)
