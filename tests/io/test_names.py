from pathlib import Path

import pytest

from inversesr.errors import InputError
from inversesr.io.names import check_one_subject, entities_of, is_named_labels, part_of


@pytest.mark.parametrize(
    ("name", "entities"),
    [
        ("sub-01_T1w", {"sub": "01", "suffix": "T1w"}),
        ("sub-a_ses-b-c_T2w", {"sub": "a", "ses": "b-c", "suffix": "T2w"}),
        ("T1w", {"suffix": "T1w"}),
        ("sub-01", None),
        ("sub-01_", None),
        ("head_sub-01_T1w x", None),
        ("dataset_description", None),
        ("", None),
    ],
)
def test_entities_are_read_from_names_of_bids_only(name, entities):
    assert entities_of(name) == entities


@pytest.mark.parametrize(
    "name",
    [
        "mask", "sub-01_mask", "sub-01_desc-brain_mask", "head_seg", "T1_brainmask", "lesion-mask",
        "sub-01_dseg", "sub-01_label-GM_probseg", "aparc+aseg", "wmparc", "Segmentation", "t1.seg",
        "sub-01_defacemask", "tumour_roi", "labels", "sub-01_desc-srT1w_surprise",
    ],
)  # fmt: skip
def test_masks_and_label_maps_are_known_by_their_names(name):
    assert is_named_labels(name)


@pytest.mark.parametrize(
    "name", ["T1_masked", "sub-01_T1w", "mask_T1w", "segmented_T1", "sub-seg_T1w", "head", "3"]
)
def test_scans_are_not_called_masks(name):
    assert not is_named_labels(name)


@pytest.mark.parametrize("name", ["sub-01_part-phase_bold", "a_ph", "sub-01_phase1"])
def test_phase_is_known_by_its_name(name):
    assert part_of(name) == "phase"


@pytest.mark.parametrize("name", ["sub-01_part-mag_T1w", "late_phase", "a_b", "sub-ph_T1w", ""])
def test_magnitude_is_what_says_nothing_else(name):
    assert part_of(name) is None


# who is in it


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz"], "subjects (sub-01, sub-02)"),
        (["a_sub-01_x.nii", "b_sub-1.nii"], "subjects (sub-01, sub-1)"),
        (["sub-01_T2w.nii", "head.nii", "sub-03_T2w.nii"], "subjects (sub-01, sub-03)"),
        (["sub-01_ses-1_T2w.nii", "sub-01_ses-2_T2w.nii"], "sessions (ses-1, ses-2)"),
        (["ds/sub-01/anat/T2.nii", "ds/sub-02/anat/T2.nii"], "subjects (sub-01, sub-02)"),
        (["sub-01/ses-a/T2.nii", "sub-01/ses-b/T2.nii"], "sessions (ses-a, ses-b)"),
        (["sub-02/sub-01_T2w.nii", "sub-02/T2w.nii"], "subjects (sub-01, sub-02)"),
    ],
)
def test_different_labels_are_refused_and_batch_is_named(names, words):
    with pytest.raises(InputError, match="inversesr batch") as caught:
        check_one_subject([Path(name) for name in names])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ["sub-01_T2w.nii"],
        ["sub-01_run-1_T2w.nii", "sub-01_run-2_T2w.nii"],
        ["sub-01_acq-ax_T2w.nii", "sub-01_acq-cor_T2w.nii", "sub-01/T2w.nii"],
        ["a.nii", "b.nii"],
        ["sub-01_T2w.nii", "b.nii"],
        ["sub-02/sub-01_T2w.nii", "sub-03/sub-01_T2w.nii"],
        ["sub-01_ses-1_T2w.nii", "sub-01_T2w.nii"],
    ],
    ids=str,
)
def test_labels_that_agree_or_are_missing_are_taken(names):
    check_one_subject([Path(name) for name in names])
