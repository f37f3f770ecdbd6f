import pytest
import torch

from inversesr.acquisition.coil_maps import EspiritConfig, calibration_region, espirit
from inversesr.acquisition.kspace_simulation import ring_of_coils
from inversesr.errors import InputError
from inversesr.operators.fourier import Fourier


def disc(n, radius):
    place = torch.arange(n) - n / 2 + 0.5
    return (place[:, None] ** 2 + place[None] ** 2).sqrt() < radius


@pytest.fixture(scope="module")
def scanned():
    """K-space of a textured disc under six coils, the coils and the disc."""
    n = 48
    maps = ring_of_coils(6, (n, n, 1))[..., 0]
    head = disc(n, 18)
    texture = torch.rand((n, n), generator=torch.Generator().manual_seed(0))
    kspace = Fourier((6, n, n), (-2, -1))(maps * head * (0.5 + texture))
    return kspace, maps, head


def test_sensitivities_are_found_up_to_a_phase(scanned):
    kspace, maps, _ = scanned
    found, eigenvalues = espirit(kspace[:, 12:36, 12:36], (48, 48))
    inner = disc(48, 15)
    agreement = (found.conj() * maps).sum(0).abs()
    assert agreement[inner].min() > 0.995
    assert eigenvalues[inner].min() > 0.98
    assert eigenvalues.max() < 1.0 + 1e-3


def test_there_are_no_sensitivities_where_there_is_no_signal(scanned):
    kspace, _, _ = scanned
    found, _ = espirit(kspace[:, 12:36, 12:36], (48, 48), EspiritConfig(crop=0.95))
    sizes = found.abs().square().sum(0)
    assert set(sizes.round(decimals=3).unique().tolist()) == {0.0, 1.0}
    assert sizes[0, 0] == 0.0


def test_phases_are_smooth_over_the_head(scanned):
    kspace, _, _ = scanned
    found, _ = espirit(kspace[:, 12:36, 12:36], (48, 48))
    inner = disc(48, 14)
    beside = (found[:, 1:] * found[:, :-1].conj()).sum(0).angle()
    assert beside[inner[1:] & inner[:-1]].abs().max() < 0.2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_maps_are_those_of_sigpy(scanned):
    mri = pytest.importorskip("sigpy.mri")
    kspace, _, head = scanned
    ours, _ = espirit(kspace[:, 12:36, 12:36], (48, 48))
    app = mri.app.EspiritCalib(kspace.numpy(), calib_width=24, crop=0.8, show_pbar=False)
    theirs = torch.from_numpy(app.run())
    assert ((ours.abs().sum(0) > 0) == (theirs.abs().sum(0) > 0)).float().mean() > 0.99
    both = head & (theirs.abs().sum(0) > 0)
    assert (ours.conj() * theirs).sum(0).abs()[both].min() > 0.999


def test_the_region_is_the_largest_box_about_the_middle():
    measured = torch.zeros((20, 32, 1), dtype=torch.bool)
    measured[:, ::4] = True
    measured[:, 11:21] = True
    assert calibration_region(measured, (0, 1), 12) == (
        slice(4, 16),
        slice(11, 21),
        slice(0, 1),
    )


def test_k_space_without_a_region_is_refused_with_a_remedy():
    measured = torch.zeros((32, 32, 1), dtype=torch.bool)
    measured[:, ::4] = True
    with pytest.raises(InputError, match=r"no calibration region.*--maps"):
        calibration_region(measured, (0, 1), 24)
