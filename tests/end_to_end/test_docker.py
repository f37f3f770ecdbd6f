"""The image: what can be checked without building it, and one that was built, if it is named."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
DOCKER = TOP / "docker"
IMAGE = os.environ.get("INVERSESR_TEST_IMAGE")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a shell of POSIX")
DOCKERFILE = TOP / "docker" / "Dockerfile"
IGNORED = TOP / "docker" / "Dockerfile.dockerignore"


def instructions():
    """Return (instruction, rest) of each, continued lines joined."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def test_whatever_is_copied_exists_and_is_let_through():
    let_through = [line[1:] for line in IGNORED.read_text().splitlines() if line.startswith("!")]
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (TOP / source).exists()
                assert source in let_through


def test_the_package_finds_in_the_image_what_it_is_built_from():
    copied = " ".join(rest for name, rest in instructions() if name == "COPY")
    text = (TOP / "pyproject.toml").read_text()
    for named in re.findall(r'^(?:readme = |license-files = \[)"([^"]+)"', text, re.MULTILINE):
        assert named in copied.split()


def programs(folder, **texts):
    """Write programs, and return an environment in which they are found first."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text("#!/bin/sh\n" + text)
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def installed(tmp_path, variant, package, chosen):
    """Run the step that installs a package, with a pip that only notes how it was called."""
    pip = f"""echo "$PIP_CONSTRAINT $*" >> {tmp_path}/calls
    case "$*" in *--report*) echo '{{"name": "{chosen}"}}' > /tmp/chosen.json ;; esac
    """
    options = {"PIP_OPTIONS": "--no-index", "TORCH_OPTIONS": "--index-url=there"}
    ended = subprocess.run(
        [DOCKER / "packages", variant, package],
        env=programs(tmp_path / "bin", pip=pip) | options,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, (tmp_path / "calls").read_text().splitlines()


@POSIX
@pytest.mark.parametrize("package", ["torch", ".[node]"])
def test_every_version_is_that_of_the_tests(tmp_path, package):
    assert not any("pip install" in rest for _, rest in instructions())
    ended, calls = installed(tmp_path, "cpu", package, "torch")
    assert ended.returncode == 0
    assert calls[-1].endswith(package)
    for call in calls:
        assert call.startswith("constraints.txt install ")
        assert ("--no-compile" in call) == ("--dry-run" not in call)
        assert "--no-index" in call
        assert ("--index-url=there" in call) == (package == "torch")


@POSIX
def test_an_image_for_processors_never_loads_cuda(tmp_path):
    ended, calls = installed(tmp_path, "cpu", "torch", "nvidia-cublas")
    assert ended.returncode == 1
    assert "TORCH_OPTIONS" in ended.stderr
    assert ["--dry-run" in call for call in calls] == [True]


@POSIX
def test_an_image_with_cuda_installs_what_pip_chooses(tmp_path):
    ended, calls = installed(tmp_path, "cuda", "torch", "nvidia-cublas")
    assert ended.returncode == 0
    assert ["--dry-run" in call for call in calls] == [False]


@POSIX
def test_what_no_run_needs_is_left_out_and_nothing_else(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    kept = [
        "torch/bin/torch_shm_manager", "torch/lib/libtorch.so", "torch/testing/_comparison.py",
        "numpy/core.py", "pydicom/data/dicts.json", "tests/of_no_package.py",
    ]  # fmt: skip
    dropped = [
        "torch/bin/protoc", "torch/include/a.h", "torch/lib/libtorchbind_test.so",
        "numpy/tests/test_core.py", "scipy/stats/tests/data/big.npy", "pydicom/data/test_files/a",
    ]  # fmt: skip
    for name in kept + dropped:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("")
    environment = programs(tmp_path / "bin", python=f'echo "$@" >> {tmp_path}/calls\n', strip="")
    subprocess.run([DOCKER / "slim", tmp_path], check=True, env=environment)
    found = {path.relative_to(packages).as_posix() for path in packages.rglob("*")}
    assert found.issuperset(kept)
    assert found.isdisjoint(dropped)
    uninstalled, compiled, _ = (tmp_path / "calls").read_text().splitlines()
    assert uninstalled == "-m pip uninstall -q -y pip"
    assert "-f --invalidation-mode unchecked-hash" in compiled


@POSIX
def test_an_image_with_files_that_are_compiled_at_each_start_is_not_made(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages" / "torch"
    for name in ("bin", "lib", "__pycache__"):
        (packages / name).mkdir(parents=True)
    real = f'case "$1" in -m) ;; *) exec {sys.executable} "$@" ;; esac\n'
    environment = programs(tmp_path / "bin", python=real, strip="")
    command = [DOCKER / "slim", tmp_path]
    compiled = packages / "__pycache__" / "a.cpython-311.pyc"
    for flags, status in ((1, 0), (0, 1)):
        compiled.write_bytes(b"abcd" + flags.to_bytes(4, "little") + bytes(8))
        ended = subprocess.run(command, check=False, env=environment, capture_output=True)
        assert ended.returncode == status, ended.stderr


@POSIX
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--variant", "rocm"], "--variant is cpu or cuda, not rocm"),
        (["--colour", "red"], "no option --colour"),
        (["--tag"], "--tag needs a value"),
    ],
)
def test_a_build_that_cannot_be_made_is_refused_in_one_sentence(words, told):
    ended = subprocess.run([DOCKER / "build", *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1


@POSIX
def test_the_help_of_the_build_names_every_option():
    text = (DOCKER / "build").read_text()
    options = re.findall(r"^ {8}(--[a-z-]+)\)", text, re.MULTILINE)
    told = subprocess.run([DOCKER / "build", "--help"], capture_output=True, text=True, check=True)
    assert len(options) > 8
    assert all(re.search(rf"^  {option} ", told.stdout, re.MULTILINE) for option in options)


@pytest.mark.container
@pytest.mark.slow
@pytest.mark.skipif(IMAGE is None, reason="set INVERSESR_TEST_IMAGE to an image that was built")
def test_an_image_works_for_an_unknown_user_with_everything_read_only(tmp_path):
    subprocess.run([DOCKER / "exercise", IMAGE, tmp_path / "made"], check=True, timeout=3000)


def test_it_runs_the_command_line_as_no_root_and_ends_at_an_interrupt():
    last_stage = instructions()
    last_stage = last_stage[max(i for i, (name, _) in enumerate(last_stage) if name == "FROM") :]
    told = dict(last_stage)
    assert told["ENTRYPOINT"] == '["inversesr"]'
    assert told["USER"] not in ("root", "0")
    assert told["STOPSIGNAL"] == "SIGINT"
