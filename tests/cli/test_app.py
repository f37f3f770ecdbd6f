import json
import subprocess
import sys
from dataclasses import fields

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.app import app
from inversesr.config import Config
from inversesr.errors import InverseSRError

SECRET = b"SECRET^PATIENT"
AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def save(path, data=None, affine=AFFINE):
    if data is None:
        data = np.random.default_rng(0).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    image = nibabel.Nifti1Image(data, affine)
    image.header["descrip"] = SECRET
    nibabel.save(image, path)
    return path


@pytest.fixture
def scan(tmp_path):
    return save(tmp_path / "scan.nii.gz")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse(folder, *arguments):
    """Run a command that must end with one sentence and status 2, and write nothing."""
    before = contents(folder)
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("inversesr: ")
    assert "Traceback" not in sentence
    assert contents(folder) == before
    return sentence


# what it takes

KSPACE = {f.name for f in fields(KSpaceSimulation)}


def flags(command):
    found = typer.main.get_command(app).commands[command].params
    return {p.name: p for p in found if p.param_type_name == "option"}


@pytest.mark.parametrize(
    ("command", "config", "own"),
    [
        ("run", Config, {"output", "mask", "explain", "force", "as_json"}),
        (
            "simulate",
            SimulateConfig,
            {"output", "force", "as_json", "kspace"} | KSPACE - {"noise", "seed"},
        ),
    ],
)
def test_every_field_of_a_config_is_one_flag_with_its_name_default_and_help(command, config, own):
    found = flags(command)
    assert set(found) == {f.name for f in fields(config)} | own
    for choice in fields(config):
        flag = found[choice.name]
        expected = choice.metadata.get("flag", "--" + choice.name.replace("_", "-"))
        assert flag.opts == [expected]
        assert flag.help == choice.metadata["help"]
        default = getattr(flag.default, "value", flag.default)
        assert default == choice.default
        if "choices" in choice.metadata:
            shown = "".join(invoke(command, "--help").stdout.split())
            assert f"{expected}<{'|'.join(choice.metadata['choices'])}>" in shown


@pytest.mark.parametrize(
    ("arguments", "fulfilled"),
    [
        (["--solver", "spline"], lambda r: r["solver"]["used"] == "spline"),
        (["--spacing", "2"], lambda r: r["output"]["shape"] == [12, 11, 12]),
        (
            ["--spacing", "1,0.5,2"],
            lambda r: (
                np.allclose(r["output"]["spacing_mm"], [1, 0.5, 2])
                and r["config"]["spacing_mm"] == [1, 0.5, 2]
                and r["scans"][0]["agreement"]["largest_share"] < 1e-5
            ),
        ),
        (["--thickness", "3"], lambda r: r["scans"][0]["acquisition"]["thickness_mm"] == 3.0),
        (["--gap", "1.5"], lambda r: r["scans"][0]["acquisition"]["thickness_mm"] == 2.5),
        (["--profile", "slr"], lambda r: r["scans"][0]["acquisition"]["profile"] == "slr"),
        (["--noise", "2.5"], lambda r: r["scans"][0]["noise"] == 2.5),
        (
            ["--consistency", "off"],
            lambda r: r["consistency"] == "off" and r["config"]["consistency"] == "off",
        ),
        (["--consistency", "noise"], lambda r: r["consistency"] == "noise"),
        ([], lambda r: r["consistency"] == "exact" and r["config"]["consistency"] == "auto"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("without_pictures")
def test_an_option_reaches_the_run(scan, arguments, fulfilled):
    result = invoke("run", scan, "--json", "--threads", 1, *arguments)
    assert result.exit_code == 0, result.output
    assert fulfilled(json.loads(result.stdout))


# what it prints


@pytest.mark.usefixtures("without_pictures")
def test_json_prints_one_object_on_standard_output_and_warnings_on_standard_error(scan, tmp_path):
    result = invoke("run", scan, "--solver", "spline", "--json", "-o", tmp_path / "out")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    record = json.loads(line)
    assert all((tmp_path / "out" / path).exists() for path in record["outputs"].values())
    assert result.stderr.startswith("warning: slice thickness is not stated")


def test_a_run_names_its_outputs_and_no_text_of_the_header(scan):
    result = invoke("run", scan, "--solver", "spline")
    assert result.exit_code == 0
    assert "scan_desc-sr.nii.gz" in result.stdout
    assert "SECRET" not in result.stdout + result.stderr


@pytest.mark.usefixtures("without_pictures")
def test_what_was_simulated_can_be_run_and_evaluated(tmp_path):
    x, y, z = np.meshgrid(*[np.linspace(0, 3, n) for n in (16, 14, 24)], indexing="ij")
    data = (100 * (2 + np.sin(2 * x) + np.cos(3 * y + z))).astype(np.float32)
    truth = save(tmp_path / "truth.nii.gz", data, np.eye(4))
    thick = tmp_path / "thick.nii.gz"
    made = invoke("simulate", truth, "-o", thick, "--thickness", "3", "--json")
    assert json.loads(made.stdout)["config"]["thickness_mm"] == 3.0
    ran = json.loads(invoke("run", thick, "--json", "--threads", 1).stdout)
    assert all("less than a brain" in warning for warning in ran["warnings"])
    scores = invoke("evaluate", ran["outputs"]["image"], truth, "--json")
    assert json.loads(scores.stdout)["psnr_db"] > 20
    plain = invoke("evaluate", ran["outputs"]["image"], truth)
    assert [line.split()[0] for line in plain.stdout.splitlines()[:3]] == ["PSNR", "SSIM", "NMSE"]


def test_doctor_prints_its_checks(monkeypatch):
    monkeypatch.setattr("inversesr.workflows.doctor.available_memory_bytes", lambda: 2**40)
    result = invoke("doctor", "--json")
    assert {"python", "torch", "device"} <= {
        c["name"] for c in json.loads(result.stdout)["checks"]
    }
    assert result.exit_code == 0


def test_doctor_fails_where_something_is_missing(monkeypatch):
    monkeypatch.setattr("inversesr.workflows.doctor.available_memory_bytes", lambda: 1)
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "BAD free memory" in result.stdout


# what it refuses


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--thickness", "0"], "thickness is 0.0 mm; expected"),
        (["--thickness", "nan"], "thickness is nan; expected"),
        (["--thickness", "-3"], "thickness is -3.0 mm; expected"),
        (["--thickness", "5", "--gap", "1"], "they must add up"),
        (["--thickness", "3", "--gap", "3"], "contradict the image"),
        (["--gap", "4"], "leaves no slice"),
        (["--thickness", "30", "--gap", "-26"], "overlap more than"),
        (["--spacing", "0"], "spacing is 0; expected a length, or three, of at least 0.05 mm"),
        (["--spacing", "4"], "nothing to refine"),
        (["--spacing", "4,4,5"], "not coarser than the wanted 4 x 4 x 5 mm"),
        (["--spacing", "1,2"], "spacing is 1,2; expected a length, or three, of"),
        (["--spacing", "0.05"], "give a coarser --spacing"),
        (["--noise", "-1"], "noise is -1.0; expected"),
        (["--volume", "1"], "has no volume 1"),
        (["--threads", "0"], "threads is 0; expected"),
        (["--mask", "nothing.nii.gz"], "does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_cannot_be_used_is_refused(
    scan, tmp_path, monkeypatch, arguments, sentence
):
    monkeypatch.setattr("inversesr.acquisition.geometry.available_memory_bytes", lambda: 10**7)
    assert sentence in refuse(tmp_path, "run", scan, "-o", tmp_path / "out", *arguments)


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["plain", "json"])
@pytest.mark.parametrize(
    ("shape", "affine", "sentence"),
    [
        ((8, 8, 8), np.eye(4), "already isotropic"),
        ((8, 8), AFFINE, "2D"),
        ((8, 8, 4, 3), AFFINE, "--volume"),
        ((8, 8, 2), AFFINE, "at least 3 slices"),
    ],
    ids=["isotropic", "2D", "4D", "two slices"],
)
def test_an_image_that_cannot_be_used_is_refused(tmp_path, shape, affine, sentence, json_too):
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = save(tmp_path / "a.nii.gz", data, affine)
    assert sentence in refuse(tmp_path, "run", path, "-o", tmp_path / "out", *json_too)


@pytest.mark.usefixtures("without_pictures")
def test_a_missing_scan_a_folder_and_an_existing_output_are_refused(scan, tmp_path):
    assert "does not exist" in refuse(tmp_path, "run", tmp_path / "none.nii.gz")
    assert "holds no DICOM" in refuse(tmp_path, "run", tmp_path)
    (tmp_path / "scan_desc-sr.nii.gz").write_text("precious")
    assert "--force" in refuse(tmp_path, "run", scan)
    assert invoke("run", scan, "--solver", "spline", "--force").exit_code == 0


def test_the_spline_does_not_fuse_several_scans(scan, tmp_path):
    second = save(tmp_path / "second.nii.gz")
    sentence = refuse(tmp_path, "run", scan, second, "--solver", "spline", "-o", tmp_path / "out")
    assert "only tv, unet and diffusion fuse several" in sentence


def test_unusable_files_of_simulate_and_evaluate_are_refused(scan, tmp_path):
    refuse(tmp_path, "simulate", scan, "-o", tmp_path / "a.nii.gz", "--thickness", "0")
    refuse(tmp_path, "simulate", tmp_path / "none.nii", "-o", tmp_path / "a.nii.gz")
    refuse(tmp_path, "evaluate", scan, tmp_path / "none.nii")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "a.nii", "--solver", "magic"],
        ["run", "a.nii", "--spacing", "x"],
        ["run", "a.nii", "--sharpen"],
        ["restore"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_without_a_traceback(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InverseSRError("the solver gave up: try tv"), "the solver gave up: try tv"),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "/out"), "No space left on device: /out"),
    ],
    ids=["failure", "memory", "disk"],
)
def test_a_failure_while_working_is_status_1_and_one_sentence(scan, monkeypatch, error, sentence):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("inversesr.workflows.run.restore", fail)
    result = invoke("run", scan)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert sentence in line
    assert [path.name for path in scan.parent.iterdir()] == ["scan.nii.gz"]


def test_a_bug_is_not_hidden(scan, monkeypatch):
    def fail(*_args, **_kwargs):
        message = "a bug"
        raise ValueError(message)

    monkeypatch.setattr("inversesr.workflows.run.restore", fail)
    assert isinstance(invoke("run", scan).exception, ValueError)


# how it starts

NOTHING_SLOW = (
    "assert not {'torch', 'numpy', 'nibabel', 'monai', 'scipy'} & set(__import__('sys').modules)"
)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["simulate", "--help"]])
def test_help_imports_nothing_slow(arguments):
    code = (
        f"import sys; sys.argv = ['inversesr', *{arguments!r}]\n"
        "from inversesr.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n" + NOTHING_SLOW
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: inversesr" in done.stdout


def test_importing_the_package_imports_nothing_slow():
    subprocess.run([sys.executable, "-c", f"import inversesr\n{NOTHING_SLOW}"], check=True)


def test_the_module_can_be_run_and_ends_with_a_sentence_in_a_real_process(tmp_path):
    command = [sys.executable, "-m", "inversesr", "run", str(tmp_path / "none.nii.gz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.endswith("does not exist: check the name")


@pytest.mark.parametrize(
    ("typed", "word", "expected"),
    [("inversesr pri", "1", "prior"), ("inversesr run --so", "2", "--solver")],
)
def test_the_tab_key_completes_commands_and_options(typed, word, expected):
    environment = {
        "_INVERSESR_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": word,
    }
    found = CliRunner().invoke(app, [], prog_name="inversesr", env=environment)
    assert found.output.split() == [expected]
