import json

from inversesr.benchmarks.autoencoder import Reconstruction


def test_each_image_is_a_line(bench, monkeypatch):
    seen = []

    def measure(images, prior, progress):
        seen.append(([path.name for path in images], prior))
        rows = [Reconstruction("head", 34.5, 1.0, 1.5, 5_000_000)]
        progress(rows[0])
        return rows

    monkeypatch.setattr("inversesr.benchmarks.autoencoder.measure_reconstruction", measure)
    result = bench("autoencoder", "head.nii.gz", "--prior", "mine")
    assert result.exit_code == 0, result.output
    assert "head" in result.stdout
    assert "34.50 dB" in result.stdout
    (row,) = json.loads(bench("autoencoder", "head.nii.gz", "--json").stdout)["rows"]
    assert row["psnr_db"] == 34.5
    assert seen == [(["head.nii.gz"], "mine"), (["head.nii.gz"], "builtin")]
