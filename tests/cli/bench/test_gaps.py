from inversesr.benchmarks.gaps import GapRow


def test_each_row_is_a_line_and_options_arrive(bench, monkeypatch, desk):
    seen = []

    def measure(_truths, solvers, task, crop, tell):
        seen.append((solvers, task.thickness_mm, crop))
        row = GapRow("head.nii.gz", "every second", "tv", 21.5, 3.0, 0.9)
        tell(row)
        return [row]

    monkeypatch.setattr("inversesr.benchmarks.gaps.measure_gaps", measure)
    result = bench("gaps", str(desk / "head.nii.gz"), "--solver", "tv", "--crop", "20")
    assert result.exit_code == 0, result.output
    assert "every second" in result.stdout
    assert "21.50 dB" in result.stdout
    assert "holds 90 %" in result.stdout
    assert seen == [(["tv"], 5.0, 20)]


def test_an_unknown_solver_is_refused(refused):
    assert "solver is magic" in refused("gaps", "--solver", "magic")
