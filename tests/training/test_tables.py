from inversesr.training.tables import append_row, drop_rows_after


def test_the_first_row_brings_the_header(tmp_path):
    for step in (1, 2):
        append_row(tmp_path / "losses.csv", {"step": step, "loss": 0.5})
    assert (tmp_path / "losses.csv").read_text().splitlines() == ["step,loss", "1,0.5", "2,0.5"]


def test_rows_after_a_checkpoint_are_dropped_and_the_header_stays(tmp_path):
    file = tmp_path / "losses.csv"
    for step in (1, 2, 10):
        append_row(file, {"step": step, "loss": 0.5})
    drop_rows_after(file, 2)
    assert file.read_text().splitlines() == ["step,loss", "1,0.5", "2,0.5"]
    drop_rows_after(file, 0)
    assert file.read_text().splitlines() == ["step,loss"]


def test_a_table_that_is_not_there_has_no_rows_to_drop(tmp_path):
    drop_rows_after(tmp_path / "losses.csv", 0)
    assert not list(tmp_path.iterdir())
