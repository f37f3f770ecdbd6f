from inversesr.benchmarks.noise import NoiseRow


def test_each_row_is_a_line_and_options_arrive(bench, monkeypatch, desk):
    seen = []

    def measure(_truths, levels, task, crop, tell):
        seen.append((levels, task.thickness_mm, task.axis, crop))
        row = NoiseRow("head", "masked", 2.0, 2.1, 0.04)
        tell(row)
        return [row]

    monkeypatch.setattr("inversesr.benchmarks.noise.measure_noise", measure)
    result = bench("noise", str(desk / "head.nii.gz"), "--noise", "2", "--axis", "R")
    assert result.exit_code == 0, result.output
    assert "ratio 1.050" in result.stdout
    assert seen == [([2.0], 4.0, "R", None)]
