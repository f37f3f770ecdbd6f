from pathlib import Path

import pytest

from inversesr.workflows.outputs import output_names


@pytest.mark.parametrize(
    ("name", "image", "report"),
    [
        ("scan.nii.gz", "scan_desc-sr.nii.gz", "scan_report.html"),
        ("scan.nii", "scan_desc-sr.nii.gz", "scan_report.html"),
        ("a.b.mgz", "a.b_desc-sr.nii.gz", "a.b_report.html"),
        ("sub-01_T1w.nii.gz", "sub-01_desc-sr_T1w.nii.gz", "sub-01_T1w_report.html"),
        (
            "sub-01_ses-2_acq-tse_T2w.nii.gz",
            "sub-01_ses-2_acq-tse_desc-sr_T2w.nii.gz",
            "sub-01_ses-2_acq-tse_T2w_report.html",
        ),
        ("sub-01.nii.gz", "sub-01_desc-sr.nii.gz", "sub-01_report.html"),
        ("sub-01_run-2.nii.gz", "sub-01_run-2_desc-sr.nii.gz", "sub-01_run-2_report.html"),
    ],
)
def test_outputs_are_named_after_the_scan_with_the_bids_entity_in_its_place(name, image, report):
    outputs = output_names(Path("in") / name, None)
    assert outputs.image == Path("in") / image
    assert outputs.sidecar == Path("in") / image.replace(".nii.gz", ".json")
    assert outputs.report == Path("in") / report
    assert output_names(Path("in") / name, Path("out")).image == Path("out") / image


def test_maps_are_named_like_the_image_beside_them():
    names = output_names(Path("in/scan.nii.gz"), Path("out/thin.nii.gz")).names
    assert names["sd"] == "thin_desc-srsd.nii.gz"
    named = output_names(Path("scan.nii.gz"), Path("sub-1_desc-thin_T1w.nii.gz")).names
    assert named["sd"] == "sub-1_desc-thinsrsd_T1w.nii.gz"
    assert len(set(names.values())) == len(names)


def test_two_contrasts_of_one_subject_share_no_file():
    t1, t2 = (output_names(Path(f"sub-01_{c}.nii.gz"), None).files for c in ("T1w", "T2w"))
    assert not set(t1.values()) & set(t2.values())


def test_a_name_has_one_description():
    found = output_names(Path("sub-01_desc-preproc_T1w.nii.gz"), None)
    assert found.image.name == "sub-01_desc-preprocsr_T1w.nii.gz"
    assert all(
        path.name.count("desc-") == 1 for path in found.files.values() if path != found.report
    )
