import os
import zipfile
from pathlib import Path

import pytest

from inversesr.errors import AccessError, InputError
from inversesr.io.dicom import files
from inversesr.io.dicom.files import is_dicom, read_place, unpack
from tests.support.dicom import affine_of, slices, stack, write


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "scans", slices(stack(), affine_of()), suffix="")


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_this_room_reads_is_known(folder, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(b"\x89PNG" + bytes(200))
    (tmp_path / "c.ZIP").write_bytes(b"")
    known = [folder, folder / "IM0000", tmp_path / "c.ZIP"]
    assert all(map(is_dicom, known))
    assert not any(map(is_dicom, [tmp_path / "a.nii.gz", tmp_path / "b.png", tmp_path / "none"]))


def test_a_folder_is_read_with_all_below_it_but_what_is_hidden(folder, scratch):
    write(folder / "deep" / "er", slices(stack(), affine_of(), series="2"))
    write(folder / ".hidden", slices(stack(), affine_of(), series="3"))
    (folder / "notes.txt").write_text("not an image")
    (folder / "odd").write_text("not an image either")
    assert len(read_place(folder, scratch)) == 12


def test_a_file_stands_for_its_series(folder, scratch):
    for n, made in enumerate(slices(stack(), affine_of(), series="2")):
        made.save_as(folder / f"other{n}", enforce_file_format=True)
    found = read_place(folder / "IM0003", scratch)
    assert [one.path.name for one in found] == [f"IM000{n}" for n in range(6)]


def test_an_index_stands_for_its_folder(folder, scratch):
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert len(read_place(folder / "DICOMDIR", scratch)) == 6


def test_a_folder_that_leads_back_to_itself_is_read_once(folder, scratch):
    (folder / "loop").symlink_to(folder)
    assert len(read_place(folder, scratch)) == 6


def test_a_place_without_dicom_is_refused(tmp_path, scratch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.dcm").write_text("no image")
    for place, told in (
        (tmp_path / "empty", "holds no DICOM"),
        (tmp_path / "a.dcm", "is no DICOM"),
    ):
        with pytest.raises(InputError, match=told):
            read_place(place, scratch)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_fault_of_access(folder, scratch):
    (folder / "IM0002").chmod(0)
    with pytest.raises(AccessError, match="no permission"):
        read_place(folder, scratch)


def test_an_archive_is_read_like_its_folder(folder, scratch, tmp_path):
    members = {f"a/b/{name}": content for name, content in contents(folder).items()}
    archive = zipped(tmp_path / "a.zip", members | {"a/readme.txt": b"x", "a/note": b"no image"})
    assert len(read_place(archive, scratch)) == 6
    assert len(list(scratch.iterdir())) == 6


def test_names_in_an_archive_lead_nowhere(folder, scratch, tmp_path):
    content = (folder / "IM0000").read_bytes()
    before = set(tmp_path.rglob("*"))
    unpack(zipped(tmp_path / "a.zip", {"../../evil": content, "/etc/evil": content}), scratch)
    after = set(tmp_path.rglob("*")) - before - {tmp_path / "a.zip"}
    assert {path.parent for path in after} == {scratch}
    assert not Path("/etc/evil").exists()


def test_a_bomb_is_refused_by_what_it_says(tmp_path, scratch):
    archive = zipped(tmp_path / "a.zip", {f"a{n}": bytes(64 << 20) for n in range(5)})
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="unpacks to more"):
        unpack(archive, scratch)
    assert not list(scratch.iterdir())


def test_a_bomb_that_lies_is_stopped(tmp_path, scratch, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"a": bytes(4 << 20)})
    monkeypatch.setattr(files, "_check_members", lambda *_: None)
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 20)
    with pytest.raises(InputError, match="unpacks to more"):
        unpack(archive, scratch)
    assert sum(file.stat().st_size for file in scratch.iterdir()) <= 1 << 20


def test_too_many_files_are_refused(tmp_path, scratch, monkeypatch):
    monkeypatch.setattr(files, "MOST_FILES", 3)
    with pytest.raises(InputError, match="unpacks to more"):
        unpack(zipped(tmp_path / "a.zip", {f"a{n}": b"x" for n in range(4)}), scratch)


def test_archives_within_an_archive_stay_packed(folder, tmp_path, scratch):
    inner = zipped(tmp_path / "b.zip", contents(folder)).read_bytes()
    with pytest.raises(InputError, match="holds no DICOM"):
        read_place(zipped(tmp_path / "a.zip", {"b.zip": inner}), scratch)


def test_damaged_and_encrypted_archives_are_refused(folder, tmp_path, scratch):
    whole = zipped(tmp_path / "a.zip", contents(folder)).read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[200] ^= 0xFF
    (tmp_path / "c.zip").write_bytes(damaged)
    marked = bytearray(whole)
    at = marked.rfind(b"PK\x01\x02")
    marked[at + 8] |= 1
    (tmp_path / "d.zip").write_bytes(marked)
    for name, told in (("b.zip", "damaged"), ("c.zip", "damaged"), ("d.zip", "encrypted")):
        with pytest.raises(InputError, match=told):
            unpack(tmp_path / name, scratch)
