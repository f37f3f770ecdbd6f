import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_process_is_as_many_workers_as_it_was_asked_for():
    distributed = pytest.importorskip("distributed")
    local = {"n_workers": 0, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(protocol="tcp://", host="127.0.0.1", **local) as cluster,
        distributed.Client(cluster) as client,
    ):
        command = ["-m", "inversesr.benchmarks.many_workers", cluster.scheduler_address, "3"]
        host = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
        try:
            client.wait_for_workers(3, timeout=60)
            assert set(client.nthreads().values()) == {1}
            assert client.gather(client.map(abs, [-1, -2])) == [1, 2]
        finally:
            host.kill()
            host.wait()
