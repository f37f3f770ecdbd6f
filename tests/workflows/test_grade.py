import csv
import json

import numpy as np
import pytest

from inversesr.dwi import grade
from inversesr.errors import InputError
from inversesr.workflows.grade import card_text, predict_grade, read_model, train_grade

pytest.importorskip("sklearn")


def write_table(path, n=40, *, grades=True, columns=("a", "b")):
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", *(["grade"] if grades else []), *columns])
        for k in range(n):
            second = k % 2 == 1
            values = [f"{rng.normal() + 3 * second:.4f}" for _ in columns]
            writer.writerow(
                [f"case{k}", *((["IV"] if second else ["II"]) if grades else []), *values]
            )
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grade")
    table = write_table(folder / "table.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grade, "STRENGTHS", (0.1, 1.0))
        train_grade(table, folder / "model.json", 0, 0, force=False)
    return folder / "model.json"


def test_the_model_is_plain_json_with_a_card(model):
    record = json.loads(model.read_text())
    assert record["use"].startswith("research only")
    assert record["training"]["n_cases"] == 40
    assert len(record["model"]["weights"]) == 2
    card = (model.parent / "model_card.txt").read_text()
    assert card == card_text(record)
    assert "research only" in card


def test_grades_of_new_cases_are_predicted(model, tmp_path):
    table = write_table(tmp_path / "new.csv", 10, grades=False, columns=("b", "x", "a"))
    rows = predict_grade(model, table, tmp_path / "out.csv", force=False)
    right = [row["predicted"] == ("IV" if k % 2 else "II") for k, row in enumerate(rows)]
    assert sum(right) >= 9
    with (tmp_path / "out.csv").open() as file:
        assert next(iter(csv.DictReader(file)))["case"] == "case0"


def test_a_table_without_a_feature_of_the_model_is_refused(model, tmp_path):
    table = write_table(tmp_path / "new.csv", 3, grades=False, columns=("a",))
    with pytest.raises(InputError, match="lacks 1 features of the model, such as b"):
        predict_grade(model, table, tmp_path / "out.csv", force=False)


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other"}', "[1]", "\x80\x04cos\nsystem"])
def test_what_is_no_grade_model_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(InputError, match="not a grade model"):
        read_model(tmp_path / "m.json")


def test_few_cases_words_and_one_grade_are_refused(tmp_path):
    out = tmp_path / "m.json"
    with pytest.raises(InputError, match="12 cases; expected at least 30"):
        train_grade(write_table(tmp_path / "few.csv", 12), out, 0, 0, force=False)
    (tmp_path / "word.csv").write_text("case,grade,a\n1,II,high\n2,IV,3\n")
    with pytest.raises(InputError, match="'high' in column a of case 1"):
        train_grade(tmp_path / "word.csv", out, 0, 0, force=False)
    (tmp_path / "one.csv").write_text("case,grade,a\n1,II,1\n2,II,3\n")
    with pytest.raises(InputError, match="two different grades"):
        train_grade(tmp_path / "one.csv", out, 0, 0, force=False)
    assert not out.exists()
