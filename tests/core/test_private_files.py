"""Files that other users of the machine could read, or make us write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ap_connectors.core import files

STRANGER = 54321


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user's")
def test_a_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    mine, link = tmp_path / "mine", tmp_path / "link"
    mine.write_bytes(b"mine")
    link.symlink_to(mine)
    files.replace(link, b"by my own link")
    assert (link.is_symlink(), mine.read_bytes()) == (True, b"by my own link")
    os.lchown(link, STRANGER, STRANGER)
    with pytest.raises(OSError, match="a link that another user made"):
        files.replace(link, b"lost")
    assert mine.read_bytes() == b"by my own link"
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "new")
    os.lchown(dangling, STRANGER, STRANGER)
    with pytest.raises(OSError, match="a link that another user made"):
        files.replace(dangling, b"lost")
    assert not (tmp_path / "new").exists()


def test_devices_and_files_are_written_as_they_were(tmp_path: Path) -> None:
    files.check_link(Path("/dev/stderr"))
    files.check_link(tmp_path / "nowhere/at/all")
    files.check_link(Path("/dev/null/below"))
    files.replace(tmp_path / "new/a.json", b"{}")
    assert (tmp_path / "new/a.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_who_may_read(tmp_path: Path, mode: int, is_open: bool) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    with path.open() as file:
        assert files.is_open_to_others(file.fileno()) == is_open
    with Path("/dev/null").open() as file:
        assert not files.is_open_to_others(file.fileno())
