import hashlib
import json
import os
import random
import signal
import sys
import time
from multiprocessing import forkserver

import nibabel
import numpy as np
import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.workflows.estimate import files_of
from inversesr.workflows.outputs import output_names
from inversesr.workflows.prepare import prepare
from inversesr.workflows.record import file_facts, provenance
from inversesr.workflows.run import run_job, shortened
from inversesr.workflows.worker import prepared_process
from tests.support import problems
from tests.support.problems import free_card, one_thread, random_tensors  # noqa: F401  (a fixture)
from tests.support.whole_priors import QUICK, write_whole_prior

SECRET = "SECRET^PATIENT"
SPLINE = Config(solver="spline")
N_KILLS = 12


@pytest.fixture
def scan(tmp_path):
    """A small thick-slice scan with text in its header, in a folder of its own."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = np.random.default_rng(0).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    image = nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 4.0, 1.0]))
    image.set_qform(image.affine, 1)
    for name in ("descrip", "aux_file", "db_name", "intent_name"):
        image.header[name] = SECRET.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", SECRET.encode()))
    nibabel.save(image, folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def is_whole(path):
    return np.isfinite(nibabel.load(path).get_fdata()).all()


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".NII.GZ"])
@pytest.mark.parametrize("name", ["thin", "new/thin", "sub-01_desc-mine_T1w"])
def test_an_image_is_written_by_the_name_that_was_given(scan, tmp_path, name, ending):
    place = tmp_path / f"{name}{ending}"
    result, outputs = run_job([scan], SPLINE, place)
    assert outputs.image == place
    stem = place.name.removesuffix(ending)
    names = {place.name, f"{stem}.json", f"{stem}_report.html"}
    assert {path.name for path in place.parent.iterdir() if path.is_file()} == names
    back = nibabel.load(place)
    np.testing.assert_array_equal(back.get_fdata(dtype=np.float32), result.volume.data)
    record = json.loads((place.parent / f"{stem}.json").read_text())
    assert record["files"]["image"] == place.name


@pytest.mark.usefixtures("without_pictures")
def test_a_folder_may_be_called_like_an_image(scan, tmp_path):
    (tmp_path / "out.nii.gz").mkdir()
    _, outputs = run_job([scan], SPLINE, tmp_path / "out.nii.gz")
    assert outputs.image == tmp_path / "out.nii.gz" / "scan_desc-sr.nii.gz"


@pytest.mark.parametrize("name", ["thin.mgz", "thin.nrrd", "thin.img", "thin.dcm", "thin.MGH"])
def test_an_image_of_another_format_is_not_written_and_no_folder_made(scan, tmp_path, name):
    with pytest.raises(InputError, match=r"end it in .nii.gz or .nii, or give a folder"):
        run_job([scan], SPLINE, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_the_sidecar_of_the_scan_is_never_replaced(scan):
    scan.with_name("scan.json").write_text('{"SliceThickness": 3}')
    for place in (scan.with_name("scan.nii"), scan):
        with pytest.raises(InputError, match="is an input and would be replaced"):
            run_job([scan], SPLINE, place, force=True)
    assert scan.with_name("scan.json").read_text() == '{"SliceThickness": 3}'


def test_a_run_writes_image_record_and_report_and_nothing_else(scan, tmp_path):
    result, outputs = run_job([scan], SPLINE, tmp_path / "out")
    names = {"scan_desc-sr.nii.gz", "scan_desc-sr.json", "scan_report.html"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    back = nibabel.load(outputs.image)
    np.testing.assert_array_equal(back.get_fdata(dtype=np.float32), result.volume.data)
    np.testing.assert_allclose(back.affine, result.volume.grid.affine, atol=1e-5)


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    card = free_card()
    folder = tmp_path_factory.mktemp("priors") / "tiny"
    return str(problems.write_prior(folder, card, random_tensors(card)))


def sampling(prior, **changes):
    settings = ("solver.n_levels=1", "solver.n_denoiser_steps=1")
    return Config(solver="split-gibbs", prior=prior, settings=settings, **changes)


MAPS = {
    "sd": "scan_desc-srsd.nii.gz",
    "low": "scan_desc-srq05.nii.gz",
    "high": "scan_desc-srq95.nii.gz",
    "prior_mask": "scan_desc-srprior_mask.nii.gz",
    "surprise": "scan_desc-sr_surprise.nii.gz",
    "unprotected": "scan_desc-srunprotected.nii.gz",
}


def test_samples_are_written_as_deviation_and_quantiles_with_all_other_maps(scan, prior, tmp_path):
    result, outputs = run_job([scan], sampling(prior, samples=3, keep_unprotected=True), tmp_path)
    files = {role: nibabel.load(tmp_path / name) for role, name in MAPS.items()}
    assert {f.shape for f in files.values()} == {result.volume.data.shape}
    assert {f.get_data_dtype() for f in files.values()} == {np.dtype(np.float32)}
    low, high, sd = (files[role].get_fdata() for role in ("low", "high", "sd"))
    image = nibabel.load(outputs.image).get_fdata()
    assert ((low <= image) & (image <= high)).all()
    np.testing.assert_allclose(high - image, image - low, atol=1e-3)
    assert sd.min() >= 0.0
    assert sd.max() > 0.0
    record = json.loads(outputs.sidecar.read_text())
    assert record["files"].items() >= MAPS.items()
    assert record["solver"]["sd_factor"] == 1.0
    assert MAPS["surprise"] in outputs.report.read_text()
    prepared = prepare(read_scan(scan), result.config)
    planned = files_of(output_names(scan, tmp_path), result.config, prepared)
    assert set(planned) == {file for file in tmp_path.iterdir() if file.is_file()}


@pytest.mark.usefixtures("without_pictures")
def test_maps_of_an_earlier_run_go_when_the_image_is_replaced(scan, prior, tmp_path):
    run_job([scan], sampling(prior, samples=2), tmp_path)
    _, outputs = run_job([scan], SPLINE, tmp_path, force=True)
    assert not [name for name in MAPS.values() if (tmp_path / name).exists()]
    assert set(outputs.names) == {"image", "sidecar", "report"}


@pytest.mark.usefixtures("without_pictures")
def test_one_sample_has_no_deviation_and_a_warning_says_so(scan, prior, tmp_path):
    result, outputs = run_job([scan], sampling(prior, samples=1), tmp_path)
    assert "sd" not in outputs.maps
    assert any("one sample" in warning for warning in result.warnings)


@pytest.mark.usefixtures("without_pictures")
def test_a_scan_of_freesurfer_is_run_and_recorded_too(tmp_path):
    data = np.random.default_rng(0).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    nibabel.save(nibabel.MGHImage(data, np.diag([1.0, 1.0, 4.0, 1.0])), tmp_path / "scan.mgz")
    _, outputs = run_job([tmp_path / "scan.mgz"], SPLINE)
    assert json.loads(outputs.sidecar.read_text())["scans"][0]["shape"] == [12, 11, 6]
    assert is_whole(outputs.image)


@pytest.mark.usefixtures("without_pictures")
def test_a_run_is_repeated_from_its_record_and_another_seed_gives_another_image(tmp_path):
    name = write_whole_prior(tmp_path / "whole")
    data = np.random.default_rng(0).uniform(50, 100, (33, 34, 9)).astype(np.float32)
    scan = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, np.diag([1, 1, 4, 1.0])), scan)
    chosen = Config(prior=name, settings=QUICK, seed=5, threads=1)
    first, outputs = run_job([scan], chosen, tmp_path / "a")
    # what is random is drawn: the network was trained on the scan
    assert "adapted to the scan" in first.status
    record = json.loads(outputs.sidecar.read_text())
    for seed, is_same in ((record["config"]["seed"], True), (6, False)):
        config = Config(**{**record["config"], "seed": seed})
        found, _ = run_job([scan], config, tmp_path / str(seed))
        assert np.array_equal(found.volume.data, first.volume.data) is is_same


@pytest.mark.usefixtures("without_pictures")
def test_a_run_does_not_change_its_input(scan):
    before = file_facts(scan)
    run_job([scan], SPLINE)
    assert file_facts(scan) == before
    assert before["sha256"] == hashlib.sha256(scan.read_bytes()).hexdigest()


@pytest.mark.usefixtures("without_pictures")
def test_the_record_is_plain_json_and_says_how_to_repeat_the_run(scan, tmp_path):
    result, outputs = run_job([scan], SPLINE, tmp_path)
    text = outputs.sidecar.read_text()
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert Config(**record["config"]) == SPLINE
    assert record["inputs"] == [file_facts(scan)]
    assert record["GeneratedBy"][0]["Name"] == "inversesr"
    assert record["SkullStripped"] is False
    assert record["output"]["shape"] == list(result.volume.grid.shape)
    assert record["seconds"]["total"] > 0
    assert json.dumps(provenance(result, []), allow_nan=False)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_existing_output_is_refused_before_the_scan_is_even_read(scan, tmp_path, position):
    outputs = output_names(scan, tmp_path)
    existing = list(outputs.files.values())[position]
    existing.write_text("precious")
    scan.write_bytes(b"unreadable")
    with pytest.raises(InputError, match="exists already: give --force"):
        run_job([scan], SPLINE, tmp_path)
    assert existing.read_text() == "precious"


@pytest.mark.usefixtures("without_pictures")
def test_force_replaces_existing_outputs(scan, tmp_path):
    outputs = output_names(scan, tmp_path)
    for path in outputs.files.values():
        path.write_text("old")
    run_job([scan], SPLINE, tmp_path, force=True)
    assert is_whole(outputs.image)
    assert "old" not in outputs.sidecar.read_text().split()


@pytest.mark.parametrize("below", ["", "sub", "sub/sub"])
def test_a_file_in_the_place_of_the_output_folder_is_refused(scan, tmp_path, below):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(InputError, match="is a file, not a folder"):
        run_job([scan], SPLINE, tmp_path / "out" / below)
    assert (tmp_path / "out").read_text() == "precious"


def test_a_folder_in_the_place_of_an_output_is_refused_even_with_force(scan, tmp_path):
    output_names(scan, tmp_path).image.mkdir()
    with pytest.raises(InputError, match="is a folder where a file"):
        run_job([scan], SPLINE, tmp_path, force=True)


def test_the_same_scan_twice_is_refused(scan, tmp_path):
    with pytest.raises(InputError, match="named twice"):
        run_job([scan, scan.parent / "." / scan.name], Config(), tmp_path / "out")


def test_the_same_scan_by_two_names_is_refused(scan, tmp_path):
    (tmp_path / "alias.nii.gz").symlink_to(scan)
    with pytest.raises(InputError, match="named twice"):
        run_job([scan, tmp_path / "alias.nii.gz"], Config(), tmp_path / "out")


@pytest.mark.parametrize("role", ["scan", "mask"])
def test_an_output_never_takes_the_place_of_an_input_even_with_force(scan, role):
    other = scan.with_name("scan_desc-sr.nii.gz")
    other.write_bytes(scan.read_bytes())
    scans, mask = ([scan, other], None) if role == "scan" else ([scan], other)
    with pytest.raises(InputError, match="is an input and would be replaced"):
        run_job(scans, Config(), mask=mask, force=True)
    assert other.read_bytes() == scan.read_bytes()


def test_refusing_a_scan_creates_no_folder(scan, tmp_path):
    scan.write_bytes(b"unreadable")
    with pytest.raises(InputError):
        run_job([scan], SPLINE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_text_of_the_header_reaches_an_output(scan, tmp_path):
    _, outputs = run_job([scan], Config(solver="spline", output_type="input"), tmp_path)
    image = nibabel.load(outputs.image)
    assert SECRET.encode() not in image.to_bytes()
    for path in (outputs.sidecar, outputs.report):
        assert "SECRET" not in path.read_text()


def restore_by_default(scan, folder):
    """Do what the command does, in a process that has loaded all libraries."""
    run_job([scan], Config(), folder)


def killed_run(scan, folder, seconds):
    """Kill a run after a time."""
    with prepared_process(restore_by_default) as process:
        pid = process.submit(os.getpid).result()
        future = process.submit(restore_by_default, scan, folder)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        future.exception()


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_no_image_or_a_whole_one(scan, tmp_path):
    before = file_facts(scan)
    # what is copied has loaded what a run needs, whatever other tests did
    forkserver._forkserver._stop()
    with prepared_process(restore_by_default) as process:
        process.submit(os.getpid).result()
        start = time.monotonic()
        process.submit(restore_by_default, scan, tmp_path / "whole").result()
        duration = time.monotonic() - start
    expected = nibabel.load(tmp_path / "whole" / "scan_desc-sr.nii.gz").get_fdata()
    rng = random.Random(0)
    n_whole = 0
    for k in range(N_KILLS):
        folder = tmp_path / f"out{k}"
        # most moments near the end, when files are written
        killed_run(scan, folder, duration * (1.1 * (k + rng.random()) / N_KILLS) ** 0.5)
        image = folder / "scan_desc-sr.nii.gz"
        if image.exists():
            n_whole += 1
            np.testing.assert_array_equal(nibabel.load(image).get_fdata(), expected)
            assert json.loads((folder / "scan_desc-sr.json").read_text())
            assert (folder / "scan_report.html").read_text().rstrip().endswith("</html>")
        assert file_facts(scan) == before
    assert n_whole < N_KILLS


def test_shortened_numbers_keep_three_digits_and_are_fewer():
    data = np.random.default_rng(0).gamma(2.0, 30.0, 50_000).astype(np.float32)
    data[0] = 0.0
    found = shortened(data)
    assert found[0] == 0.0
    np.testing.assert_allclose(found, data, rtol=1e-3)
    assert len(np.unique(found)) < len(np.unique(data)) / 5


@pytest.mark.usefixtures("without_pictures")
def test_masks_are_recorded_with_their_hash(scan, tmp_path):
    data = np.ones(nibabel.load(scan).shape, np.uint8)
    nibabel.save(nibabel.Nifti1Image(data, nibabel.load(scan).affine), tmp_path / "mask.nii.gz")
    _, outputs = run_job([scan], SPLINE, tmp_path, tmp_path / "mask.nii.gz")
    record = json.loads(outputs.sidecar.read_text())
    assert record["masks"] == {"mask": file_facts(tmp_path / "mask.nii.gz")}
    assert record["prior_card"] is None


@pytest.mark.parametrize("package", ["jinja2", "matplotlib.figure"])
def test_no_report_is_missing_in_silence(scan, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=package):
        run_job([scan], SPLINE, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*_desc-sr*"))


@pytest.mark.usefixtures("without_pictures")
def test_agreement_is_that_of_the_voxels_as_they_are_written(scan, tmp_path):
    image = nibabel.load(scan)
    coarse = (image.get_fdata() / image.get_fdata().max() * 255).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(coarse, image.affine), tmp_path / "coarse.nii.gz")
    config = Config(solver="tv", output_type="input")
    result, outputs = run_job([tmp_path / "coarse.nii.gz"], config, tmp_path)
    back = nibabel.load(outputs.image)
    assert back.get_data_dtype() == np.uint8
    np.testing.assert_allclose(back.get_fdata(dtype=np.float32), result.volume.data, rtol=1e-5)
    assert result.sources[0].agreement.largest_share > 1e-4


def test_a_pair_named_by_both_its_files_is_named_twice(tmp_path):
    data = np.random.default_rng(0).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Pair(data, np.diag([1.0, 1.0, 4.0, 1.0])), tmp_path / "a.img")
    with pytest.raises(InputError, match="named twice"):
        run_job([tmp_path / "a.hdr", tmp_path / "a.img"], Config())
