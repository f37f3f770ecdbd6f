from inversesr.training.curves import read_table, write_curves


def test_columns_are_read_as_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("step,loss\n1,0.5\n2,0.25\n")
    assert read_table(tmp_path / "t.csv") == {"step": [1.0, 2.0], "loss": [0.5, 0.25]}
    assert read_table(tmp_path / "none.csv") == {}


def test_losses_alone_are_drawn(tmp_path):
    (tmp_path / "losses.csv").write_text("step,loss\n1,0.5\n2,0.25\n")
    write_curves(tmp_path)
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.part"))


def test_a_run_without_rows_has_no_picture(tmp_path):
    write_curves(tmp_path)
    assert not list(tmp_path.iterdir())
