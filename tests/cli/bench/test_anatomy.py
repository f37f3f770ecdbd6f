from inversesr.benchmarks.anatomy import ADULT, OTHER, AnatomyRow


def test_each_image_is_a_line_and_the_area_follows(bench, monkeypatch, desk):
    seen = []

    def measure(adults, others, tell):
        seen.append((list(adults), others))
        rows = [
            AnatomyRow("head", ADULT, "4 mm R", 0.5, 0.98, is_strange=False, seconds=0.3),
            AnatomyRow("ball", OTHER, "as it is", 0.1, 0.7, is_strange=True, seconds=1.0),
        ]
        for row in rows:
            tell(row)
        return rows

    monkeypatch.setattr("inversesr.benchmarks.anatomy.measure_anatomy", measure)
    head = desk / "head.nii.gz"
    result = bench("anatomy", str(head), "--other", str(head))
    assert result.exit_code == 0, result.output
    assert "fit 0.500" in result.stdout
    assert "other: prior not used for 1 of 1" in result.stdout
    assert "area under the ROC curve 1.000" in result.stdout
    assert seen == [([head], [head])]
