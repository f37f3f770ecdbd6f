from dataclasses import replace

import nibabel
import numpy as np
import pytest

from inversesr.acquisition.content import check_content, kind_of_labels, read_scans
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume


def grids():
    return np.meshgrid(*[np.linspace(-1, 1, n) for n in (40, 44, 12)], indexing="ij")


def labels(names=(0, 2, 3, 41, 1035)):
    """Shells around a common centre, one label each."""
    x, y, z = grids()
    shell = np.clip((1.2 - np.sqrt(x**2 + y**2 + z**2)) * 5, 0, len(names) - 1).astype(int)
    return np.array(names, np.float32)[shell]


def head(n_levels=None):
    x, y, z = grids()
    image = np.clip(1.2 - x**2 - y**2 - z**2, 0, 1) * (1 + 0.3 * np.sin(9 * x) * np.sin(7 * y))
    rough = 700 * image / image.max()
    return np.round(rough if n_levels is None else rough / 700 * n_levels).astype(np.float32)


def scan_of(data, name="scan", sidecar=None):
    volume = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 5.0, 1.0])))
    return replace(Scan.made_here(volume), name=name, sidecar=sidecar or {})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(labels(), id="FreeSurfer"),
        pytest.param(labels((0, 1, 2)), id="tissues"),
        pytest.param(labels(tuple(range(5))) + 500, id="all above zero"),
    ],
)
@pytest.mark.parametrize("name", ["scan", "sub-01_dseg", "sub-01_T1w"])
def test_a_label_map_is_refused_whatever_its_name(data, name):
    with pytest.raises(InputError, match="is a label map, no scan"):
        check_content(scan_of(data, name))


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("name", ["scan", "lesion", "sub-01_T1w_brainmask"])
def test_a_mask_is_refused_whatever_its_name(value, name):
    with pytest.raises(InputError, match="is a mask, no scan"):
        check_content(scan_of(np.float32(value) * (head() > 200), name))


def test_a_probability_is_refused_by_its_name():
    share = head() / 700
    with pytest.raises(InputError, match="is a mask"):
        check_content(scan_of(share, "sub-01_label-GM_probseg"))
    check_content(scan_of(share, "sub-01_T1w"))


@pytest.mark.parametrize("n_levels", [None, 255, 60, 20])
@pytest.mark.parametrize("name", ["scan", "sub-01_T1w", "head_seg"])
def test_intensities_are_no_labels_however_coarse(n_levels, name):
    check_content(scan_of(head(n_levels), name))


def test_a_phantom_of_two_intensities_is_no_mask_unless_it_is_called_one():
    box = np.float32(500) * (head() > 200)
    assert kind_of_labels(box) == ""
    assert kind_of_labels(box, is_named=True) == "a mask"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("sub-01_part-phase_T2w", "phase"),
        ("sub-01_part-real_T2w", "real part"),
        ("sub-01_part-imag_T2w", "imaginary part"),
        ("sub-01_phasediff", "phase"),
        ("head_3d_ph", "phase"),
        ("head_3d_imaginary", "imaginary part"),
    ],
)
def test_another_part_of_a_complex_image_is_refused_by_its_name(name, part):
    with pytest.raises(InputError, match=f"is the {part} of a complex image.*part-mag"):
        check_content(scan_of(head(), name))


@pytest.mark.parametrize(
    "name", ["sub-01_part-mag_T2w", "liver_arterial_phase", "part-phases", "real", "ph_head"]
)
def test_magnitudes_are_taken(name):
    check_content(scan_of(head(), name))


@pytest.mark.parametrize(
    ("image_type", "part"),
    [
        (["ORIGINAL", "PRIMARY", "P", "ND"], "phase"),
        (["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"], "phase"),
        (["ORIGINAL", "PRIMARY", "OTHER", "IMAGINARY"], "imaginary part"),
        (["ORIGINAL", "PRIMARY", "M", "ND", "P2D"], None),
        (["DERIVED", "SECONDARY", 3, None], None),
        ("P", None),
        (None, None),
    ],
)
def test_the_sidecar_knows_the_phase_too(image_type, part):
    scan = scan_of(head(), sidecar={"ImageType": image_type})
    if part is None:
        check_content(scan)
        return
    with pytest.raises(InputError, match=f"is the {part}"):
        check_content(scan)


def test_scans_are_read_and_judged_together(tmp_path):
    for name, data in {"a": head(), "b": head()[::-1], "c": labels()}.items():
        image = nibabel.Nifti1Image(data.astype(np.int16), np.diag([1.0, 1.0, 5.0, 1.0]))
        nibabel.save(image, tmp_path / f"{name}.nii")
    first, second = read_scans([tmp_path / "a.nii", tmp_path / "b.nii"])
    assert (first.name, second.name) == ("a", "b")
    with pytest.raises(InputError, match="c is a label map"):
        read_scans([tmp_path / "a.nii", tmp_path / "c.nii"])


def test_other_people_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="of different subjects"):
        read_scans([tmp_path / "sub-01_T1w.nii", tmp_path / "sub-02_T1w.nii"])
