import json

from typer.testing import CliRunner

from inversesr.benchmarks import executor_load
from inversesr.benchmarks.executor_load import Cost, Load
from inversesr.cli.app import app

COST = Cost(70, 5, 70, 1, 12.5, 10.0, 0.5, 1.5, 80.0, 90.0)


def test_the_load_is_what_was_asked_for_and_its_cost_is_told(monkeypatch):
    asked = []
    monkeypatch.setattr(executor_load, "measure_load", lambda load: asked.append(load) or COST)
    words = ["bench", "executors", "--scans", "70", "--workers", "5", "--seconds", "0.5"]
    told = CliRunner().invoke(app, [*words, "--deaths", "0.1"])
    assert asked == [Load(70, 5, 0.5, 0.1)]
    assert "told once   70, 1 of them set aside" in told.stdout
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["scheduler_mib"] == 80.0
