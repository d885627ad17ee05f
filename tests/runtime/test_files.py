import os

import pytest

from runtime.files import whole

FULL = OSError(28, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_name_is_taken_at_the_end(tmp_path):
    with whole(tmp_path / "a") as file:
        file.write(b"new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("elsewhere/a")
    with whole(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["elsewhere", "link"] and names(tmp_path / "elsewhere") == ["a"]


@pytest.mark.parametrize("broken", ["block", "fsync", "replace"])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, broken, error):
    def fail(*_):
        raise error

    if broken != "block":
        monkeypatch.setattr(os, broken, fail)
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(type(error)), whole(tmp_path / "a") as file:
        file.write(b"new")
        if broken == "block":
            fail()
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError), whole(tmp_path / "missing" / "a"):
        pass
    assert names(tmp_path) == []
