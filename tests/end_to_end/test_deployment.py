"""What lies beside the image: an indexed Job, an archive with a node, an array of jobs."""

import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.nodes import (
    HERE,
    free_port,
    is_open,
    node,
    send,
    small_head,
    status_of,
    wait_for,
)
from tests.support.orthanc import Orthanc, needs_orthanc

DOCKER = Path(__file__).parents[2] / "docker"
JOB, GROUP = yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text())
SERVICES = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
ORTHANC = json.loads((DOCKER / "orthanc" / "orthanc.json").read_text())
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a shell of POSIX")


@pytest.fixture
def noting(tmp_path):
    """Give a folder with a program `inversesr` that only notes its words, one call a line."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "inversesr"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    return tmp_path


def subjects_of(noting, n_subjects, commands):
    """Run commands beside a dataset; return the labels of subjects that they were given."""
    for k in range(n_subjects):
        (noting / "raw" / f"sub-{k:02d}").mkdir(parents=True)
    path = f"{noting / 'bin'}:{os.environ['PATH']}"
    for words, variables in commands:
        environment = {**os.environ, "PATH": path, **variables}
        subprocess.run(words, cwd=noting, env=environment, check=True)
    calls = (noting / "calls").read_text().split()
    return sorted(word for word in calls if word.startswith("sub-"))


@pytest.mark.parametrize("job", [JOB, GROUP], ids=["job", "group"])
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_the_jobs_are_what_kubernetes_accepts(job, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(job, version, strict=True)
    job["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, version, strict=True)
    del job["spec"]["template"]["spec"]["containers"][0]["imagePolicy"]


@POSIX
@pytest.mark.parametrize(("n_subjects", "pods"), [(23, 4), (3, 7), (12, 12)])
def test_the_pods_take_every_subject_once(noting, n_subjects, pods):
    container = JOB["spec"]["template"]["spec"]["containers"][0]
    words = [*container["command"], *container["args"]]
    commands = [(words, {"JOB_COMPLETION_INDEX": str(i), "PODS": str(pods)}) for i in range(pods)]
    labels = subjects_of(noting, n_subjects, commands)
    assert labels == [f"sub-{k:02d}" for k in range(n_subjects)]


def test_the_job_has_as_many_pods_as_it_says():
    variables = {
        one["name"]: one["value"]
        for one in JOB["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert JOB["spec"]["completions"] == JOB["spec"]["parallelism"] == int(variables["PODS"])


@POSIX
def test_the_array_of_jobs_takes_every_subject_once(noting):
    words = ["bash", str(DOCKER / "bids.sbatch"), "raw", "out"]
    commands = [(words, {"SLURM_ARRAY_TASK_ID": str(i + 1)}) for i in range(5)]
    assert subjects_of(noting, 5, commands) == [f"sub-{k:02d}" for k in range(5)]


def test_archive_and_node_know_each_other():
    words = SERVICES["node"]["command"]
    told = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
    title, host, port = ORTHANC["DicomModalities"]["inversesr"]
    assert SERVICES[host] is SERVICES["node"]
    assert (title, port) == ("INVERSESR", 11112)
    assert told["allow"] == ORTHANC["DicomAet"]
    assert told["forward"] == f"{ORTHANC['DicomAet']}@orthanc:{ORTHANC['DicomPort']}"
    assert f"queue:{told['queue']}" in SERVICES["node"]["volumes"]


@contextmanager
def archive(folder, node_port):
    """Give the Orthanc of the compose file, with this computer's ports and folders."""
    port, http = free_port(), free_port()
    choices = ORTHANC | {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "StableAge": 1,
        "LuaScripts": [str(DOCKER / "orthanc" / "route.lua")], "DicomPort": port, "HttpPort": http,
        "RemoteAccessAllowed": False, "Plugins": [],
        "DicomModalities": {"inversesr": ["INVERSESR", HERE, node_port]},
    }  # fmt: skip
    folder.mkdir()
    (folder / "orthanc.json").write_text(json.dumps(choices))
    process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")])
    try:
        assert wait_for(lambda: is_open(port) and is_open(http), 30)
        yield Orthanc(port, http)
    finally:
        process.terminate()
        process.wait(20)


@needs_orthanc
@pytest.mark.slow
@pytest.mark.usefixtures("sockets")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_series_goes_from_the_archive_to_the_node_and_its_result_comes_back(tmp_path):
    node_port = free_port()
    with archive(tmp_path / "archive", node_port) as orthanc:
        options = {"allow": ["ORTHANC"], "forward": orthanc.told, "port": node_port}
        with node(tmp_path / "queue", log=tmp_path / "log", **options):
            assert set(send(orthanc.port, small_head(), called="ORTHANC")) == {0}
            assert wait_for(lambda: set(orthanc.series().values()) == {6, 12}, 150)
            (derived,) = [name for name in orthanc.series() if "NOT FOR DIAGNOSIS" in name]
            assert orthanc.series()[derived] == 12
            # a derived series that the archive sends back would be one of the queue's
            time.sleep(5)
            states = status_of(tmp_path / "queue")[0]["series"]
    assert {name: n for name, n in states.items() if n} == {"done": 1}
