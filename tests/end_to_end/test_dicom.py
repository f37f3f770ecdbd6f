"""From a scanner's files to files of a result, as somebody at a shell does it."""

import json
import os
import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.io.dicom.privacy import identity_of
from inversesr.io.dicom.taking import taken_in
from inversesr.io.nifti import read_scan
from inversesr.workflows.executors import alone
from tests.support.dicom import affine_of, header, slices, write
from tests.support.heads import head_volume

AFFINE = affine_of(spacing=(3.6, 3.6, 15.0), turn=(0.1, 0.0, -0.1))


def head(**facts):
    """Return the files of a head that looks like one."""
    data = np.round(head_volume((48, 52, 12)).data).astype(np.int16)
    return slices(data, AFFINE, thickness=12.0, **facts)


def run(*arguments):
    return invoke(*arguments, "--solver", "spline")


def invoke(*arguments):
    return CliRunner().invoke(app, ["run", *map(str, arguments), "--spacing", "3.6"])


def test_a_folder_is_restored_beside_it_and_recorded_without_its_patient(tmp_path):
    folder = write(tmp_path / "Roentgen" / "scan", head())
    told = run(folder, "--json")
    assert told.exit_code == 0, told.output
    image = nibabel.load(folder.parent / "scan_series-4_desc-sr.nii.gz")
    assert image.shape[2] == 50
    record = json.loads((folder.parent / "scan_series-4_desc-sr.json").read_text())
    assert record["inputs"][0]["dicom"]["instances"] == 12
    assert record["scans"][0]["acquisition"]["thickness_mm"] == 12.0
    assert record["dicom"][0]["MagneticFieldStrength"] == 1.5
    report = (folder.parent / "scan_series-4_report.html").read_text()
    written = json.dumps(record).lower() + report.lower()
    found = [word for word in identity_of(header()) if len(word) > 5 and word in written]
    assert not found


def test_a_refusal_is_one_sentence_and_nothing_is_written(tmp_path):
    made = head()
    folder = write(tmp_path / "scan", [*made[:4], *made[7:]])
    before = sorted(tmp_path.rglob("*"))
    told = run(folder)
    assert told.exit_code == 2
    assert told.stderr.count("\n") == 1
    assert "lacks 3 slices, between the slices 4 and 5" in told.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("without_pictures")
def test_several_series_are_listed_and_one_is_chosen(tmp_path):
    folder = write(tmp_path / "scan", head())
    write(folder / "other", head(series="2", number=5, description="FLAIR"))
    told = run(folder)
    assert told.exit_code == 2
    assert "--series 4 or --series 5" in told.stderr
    assert len(told.stderr.splitlines()) == 4
    assert run(folder, "--series", "flair").exit_code == 0
    assert (tmp_path / "scan_series-5_desc-sr.nii.gz").is_file()


@pytest.mark.usefixtures("without_pictures")
def test_two_series_of_one_archive_are_fused(tmp_path):
    folder = write(tmp_path / "scan", head())
    write(folder / "other", head(series="2", number=5))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for n, file in enumerate(folder.rglob("*.dcm")):
            archive.write(file, str(n))
    told = invoke(f"{tmp_path}/a.zip::4", f"{tmp_path}/a.zip::5")
    assert told.exit_code == 0, told.output
    record = json.loads((tmp_path / "a_series-4_desc-sr.json").read_text())
    assert [facts["name"] for facts in record["inputs"]] == ["a_series-4", "a_series-5"]


def test_a_plan_names_where_results_would_go(tmp_path):
    folder = write(tmp_path / "scan", head())
    told = run(folder, "--explain")
    assert told.exit_code == 0, told.output
    assert f"{tmp_path}/scan_series-4_desc-sr.nii.gz" in told.output


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged"])
def test_a_broken_archive_is_one_sentence(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    told = run(tmp_path / "a.zip")
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)


@pytest.mark.usefixtures("without_pictures")
def test_a_result_is_written_as_a_series_that_is_no_scan_to_restore(tmp_path):
    folder = write(tmp_path / "scan", head())
    told = run(folder, "--dicom", "-o", tmp_path / "out")
    assert told.exit_code == 0, told.output
    series = tmp_path / "out" / "scan_series-4_desc-sr_dicom"
    assert len(list(series.iterdir())) == 50
    record = json.loads((tmp_path / "out" / "scan_series-4_desc-sr.json").read_text())
    assert record["dicom_series"] == {"image": {"folder": series.name, "instances": 50}}
    again = run(series)
    assert again.exit_code == 2
    assert "is a result of this program" in again.stderr
    # with its source in one folder the source is taken
    shutil.copytree(series, folder / "thin")
    assert run(folder, "-o", tmp_path / "again").exit_code == 0


@pytest.mark.usefixtures("without_pictures")
def test_series_of_results_are_replaced_and_removed_with_the_result(tmp_path):
    folder, out = write(tmp_path / "scan", head()), tmp_path / "out"
    assert run(folder, "--dicom", "-o", out).exit_code == 0
    series = out / "scan_series-4_desc-sr_dicom"
    (series / "extra.dcm").write_text("of an earlier result")
    assert "--force" in run(folder, "--dicom", "-o", out).stderr
    assert run(folder, "--dicom", "-o", out, "--force").exit_code == 0
    assert len(list(series.iterdir())) == 50
    assert run(folder, "-o", out, "--force").exit_code == 0
    assert not series.exists()
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_a_series_from_an_image_file_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 5)), np.eye(4)), tmp_path / "a.nii")
    told = run(tmp_path / "a.nii", "--dicom")
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert "--dicom needs a DICOM series" in told.stderr


def batch(folder, output, *arguments):
    options = ["-o", str(output), "--solver", "spline", "--spacing", "3.6", *arguments]
    return CliRunner().invoke(app, ["batch", str(folder), *options])


def test_a_batch_restores_every_series_and_names_those_at_fault(tmp_path):
    folder, made = tmp_path / "in", head(study="c")
    write(folder / "a", head(study="a"))
    write(folder / "b" / "bad", [*made[:4], *made[7:]])
    write(folder / "scouts", head(study="a", series="2", number=1, description="localizer"))
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        for n, one in enumerate(head(study="z")):
            one.save_as(tmp_path / "one", enforce_file_format=True)
            archive.write(tmp_path / "one", str(n))
    told = batch(folder, tmp_path / "out", "--json")
    assert told.exit_code == 1, told.output
    rows = {row["scan"]: row for row in json.loads(told.stdout)["scans"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a/::4": "done", "b/bad/::4": "refused", "z.zip/::4": "done",
    }  # fmt: skip
    assert "lacks 3 slices" in rows["b/bad/::4"]["reason"]
    assert (tmp_path / "out" / "a_series-4_desc-sr.nii.gz").is_file()
    again = batch(folder, tmp_path / "out", "--json")
    assert sorted(row["status"] for row in json.loads(again.stdout)["scans"]) == [
        "kept", "kept", "refused",
    ]  # fmt: skip


@pytest.mark.usefixtures("without_pictures")
def test_a_batch_of_one_folder_with_series_and_images_takes_both(tmp_path, monkeypatch):
    monkeypatch.setattr(alone, "prepared_process", lambda _work: ThreadPoolExecutor(1))
    folder = write(tmp_path / "in", head())
    volume = head_volume((48, 52, 12))
    nibabel.save(nibabel.Nifti1Image(volume.data, volume.grid.affine), folder / "b.nii.gz")
    told = batch(folder, tmp_path / "out", "--json", "--dicom", "--pattern", "b.nii.gz")
    assert [row["status"] for row in json.loads(told.stdout)["scans"]] == ["refused"]
    told = batch(folder, tmp_path / "out", "--json")
    assert [row["scan"] for row in json.loads(told.stdout)["scans"]] == ["b.nii.gz", "::4"]
    assert told.exit_code == 0


def cut(made):
    made[3].PixelData = made[3].PixelData[:-100]


def each(**values):
    """Return a change of every file of a series."""

    def change(made):
        for one in made:
            for keyword, value in values.items():
                setattr(one, keyword, value)

    return change


def tilted(made):
    for k, one in enumerate(made):
        place, shift = np.array(one.ImagePositionPatient, dtype=float), np.array([0, 3.0 * k, 0])
        one.ImagePositionPatient = [float(f"{v:.4f}") for v in place + shift]


def uneven(made):
    made[5].ImagePositionPatient = [*made[5].ImagePositionPatient[:2], 3.0]


def doubled(made):
    made[5].ImagePositionPatient = made[4].ImagePositionPatient


def resized(made):
    made[5].Rows, made[5].PixelData = 51, made[5].PixelData[: 51 * 48 * 2]


def unplaced(made):
    for one in made:
        del one.ImagePositionPatient


def empty(made):
    for one in made:
        del one.PixelData


ODD = {
    "cut short": cut, "tilted": tilted, "uneven": uneven, "doubled": doubled, "resized": resized,
    "unplaced": unplaced, "no voxels": empty, "CT": each(Modality="CT"),
    "phase": each(ImageType=["ORIGINAL", "PRIMARY", "P"]),
    "field map": each(ImageType=["DERIVED", "PRIMARY", "B0 MAP"]),
    "screenshot": each(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
    "scout": each(SeriesDescription="localizer of Roentgen"),
    "no size": each(PixelSpacing=[0.0, 0.0]), "nowhere": each(ImageOrientationPatient=[0.0] * 6),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_series_are_refused_in_a_sentence_that_tells_no_patient(tmp_path, name):
    made = head(description="T2 of Roentgen")
    ODD[name](made)
    folder = write(tmp_path / "Roentgen" / "scan", made)
    before = sorted(tmp_path.rglob("*"))
    told = run(folder)
    assert told.exit_code == 2, told.output
    assert told.stderr.count("\n") == 1
    assert not identity_of(header()) & set(re.findall(r"\w+", told.stderr.lower()))
    assert sorted(tmp_path.rglob("*")) == before


DATA = os.environ.get("INVERSESR_TEST_DATA")


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="set INVERSESR_TEST_DATA to the folder of real scans")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("siemens_t1_fl2d_sag_4mm_HFS", ""),
        ("siemens_t1_fl2d_sag_4mm_HFP", ""),
        ("ge_signa_clinical_pd_5mm", ""),
        ("d2n_philips_enh_anat", ""),
        ("d2n_j2k", "already isotropic"),
        ("siemens_xa30_enh_t1w_2mm", "already isotropic"),
        ("siemens_trio_mosaic_ax", "--volume"),
        ("uih_dti_tra_dir16_PA", "--volume"),
        ("d2n_FAIL_slicecount", "has 2 slices"),
        ("d2n_single_slice", "has one slice"),
    ],
)
def test_every_real_series_is_restored_or_refused_in_a_sentence(tmp_path, name, told):
    options = ["-o", str(tmp_path), "--solver", "spline", *([] if told else ["--dicom"])]
    ended = CliRunner().invoke(app, ["run", f"{DATA}/dicom/{name}", *options])
    if told:
        assert (ended.exit_code, ended.stderr.count("\n")) == (2, 1)
        assert told in ended.stderr
        assert not list(tmp_path.iterdir())
        return
    assert ended.exit_code == 0, ended.output
    (image,) = tmp_path.glob("*_desc-sr.nii.gz")
    (series,) = tmp_path.glob("*_dicom")
    with taken_in([series], "thin") as (one,):
        back, result = read_scan(one.path), read_scan(image)
    step = np.ptp([0.0, *result.volume.data.flat]) / 65534
    place = np.linalg.inv(result.volume.grid.affine) @ back.volume.grid.affine
    index = np.stack(np.meshgrid(*map(np.arange, back.volume.grid.shape), indexing="ij"), -1)
    own = index.reshape(-1, 3) @ place[:3, :3].T + place[:3, 3]
    nearest = np.round(own).astype(int)
    assert np.abs((own - nearest) * result.volume.grid.spacing_mm).max() < 0.01
    expected = result.volume.data[tuple(nearest.T)]
    assert np.abs(back.volume.data.reshape(-1) - expected).max() < 0.51 * step


def test_a_series_that_lacks_a_slice_is_restored_and_says_so(tmp_path):
    made = head()
    del made[5]
    told = run(write(tmp_path / "scan", made), "--json")
    assert told.exit_code == 0, told.output
    record = json.loads(told.stdout)
    (missing,) = record["scans"][0]["acquisition"]["missing"]
    assert missing in (5, len(made) - 5)  # the file may count from the other end
    assert f"slice {missing} (counted from 0) is missing" in record["warnings"][0]
    assert nibabel.load(record["outputs"]["generated"]).get_fdata().max() == 1.0
