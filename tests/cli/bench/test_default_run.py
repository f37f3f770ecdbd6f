from inversesr.benchmarks.default_run import Phase


def test_each_phase_is_a_line_and_options_reach_the_solver(bench, monkeypatch):
    seen = []

    def measure(settings):
        seen.append(settings)
        return [Phase("solve", 2.0), Phase("total", 3.0, 1.5, "the prior was refused")]

    monkeypatch.setattr("inversesr.benchmarks.default_run.measure_default_run", measure)
    result = bench("default-run", "--set", "solver.n_steps=3")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first.split() == ["solve", "2.0", "s"]
    assert second.endswith("peak 1.5 GiB  (the prior was refused)")
    assert seen == [("solver.n_steps=3",)]


def test_an_unknown_option_is_refused_before_any_work(refused):
    assert "expected solver.NAME=VALUE" in refused("default-run", "--set", "solver.magic=1")
