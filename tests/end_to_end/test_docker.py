"""What can be checked of the image without building it."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
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


def test_every_version_is_that_of_the_tests():
    installs = [rest for _, rest in instructions() if "pip install" in rest]
    assert len(installs) == 2
    assert all("-c constraints.txt" in rest for rest in installs)


def test_it_runs_the_command_line_as_no_root_and_ends_at_an_interrupt():
    last_stage = instructions()
    last_stage = last_stage[max(i for i, (name, _) in enumerate(last_stage) if name == "FROM") :]
    told = dict(last_stage)
    assert told["ENTRYPOINT"] == '["inversesr"]'
    assert told["USER"] not in ("root", "0")
    assert told["STOPSIGNAL"] == "SIGINT"
