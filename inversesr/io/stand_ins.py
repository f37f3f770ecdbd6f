"""Files that only stand for an image: links without content, pointers, web pages, nothing at all.

A version control system for data, or a failed download, leaves such a file under the name of the
image. Each is told by its first bytes, with what fetches the image.
"""

from pathlib import Path

from inversesr.errors import InputError

FIRST_BYTES = 512
ANNEX_FOLDER = ".git/annex/objects"
LFS_POINTER = b"version https://git-lfs"
ANNEX_POINTER = b"/annex/objects/"
WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error")


def check_link(path: Path) -> None:
    """Refuse a link that leads nowhere.

    Raises:
        InputError: the path is such a link.
    """
    if not path.is_symlink() or path.exists():
        return
    target = path.readlink()
    if ANNEX_FOLDER in target.as_posix():
        message = (
            f"{path.name} is a git-annex link whose content is not on this machine: fetch it "
            f"with `datalad get {path}` or `git annex get {path}`"
        )
        raise InputError(message)
    message = f"{path.name} is a link to {target}, which does not exist: mend the link"
    raise InputError(message)


def check_content(first: bytes, path: Path) -> None:
    """Refuse a file that begins as no image does.

    Args:
        first: First bytes of the file.
        path: The file.

    Raises:
        InputError: the file is empty, a pointer or a web page.
    """
    found = _stand_in(first, path)
    if found:
        message = f"{path.name} {found}"
        raise InputError(message)


def _stand_in(first: bytes, path: Path) -> str:
    """Return what stands in the place of the image, and what fetches it; empty if nothing does."""
    if not first:
        return "is empty (0 bytes): copy or download it again"
    # voxels of a pair may be zero; every other format begins with letters or sizes
    if not first.strip(b"\0") and path.suffix.lower() != ".img":
        return "begins with zeros only: an interrupted copy leaves such a file; copy it again"
    start = first.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(LFS_POINTER):
        return f"is a Git LFS pointer, not the image: fetch it with `git lfs pull -I {path.name}`"
    if start.startswith(ANNEX_POINTER):
        return (
            "is a git-annex pointer, not the image: fetch it with "
            f"`datalad get {path}` or `git annex get {path}`"
        )
    if start.startswith(WEB_PAGE):
        return (
            "is a web page (HTML or XML), not an image: the download failed, or asked to log in; "
            "download it again"
        )
    return ""
