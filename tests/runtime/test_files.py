import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture(params=["links", "no links"])
def disk(request, monkeypatch):
    """With hard links, and as a file system without them."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


def test_a_new_file(tmp_path, disk):
    with whole(tmp_path / "a", new=True) as file:
        file.write(b"new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"new" and (tmp_path / "a").stat().st_nlink == 1
    assert names(tmp_path) == ["a"]


def test_a_new_file_replaces_nothing(tmp_path, disk):
    with pytest.raises(FileExistsError), whole(tmp_path / "a", new=True) as file:
        file.write(b"new")
        (tmp_path / "a").write_bytes(b"another's")
    assert (tmp_path / "a").read_bytes() == b"another's"
    assert names(tmp_path) == ["a"]


def test_one_of_many_writes_a_new_file(tmp_path, disk):
    count = 8
    barrier = threading.Barrier(count)

    def write(number):
        try:
            with whole(tmp_path / "a", new=True) as file:
                file.write(bytes([number]) * 1000)
                barrier.wait()
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(count) as pool:
        won = [number for number in pool.map(write, range(count)) if number is not None]
    assert (tmp_path / "a").read_bytes() == bytes(won * 1000) and len(won) == 1
    assert names(tmp_path) == ["a"]


def test_a_name_that_is_taken_in_vain_is_given_back(tmp_path, monkeypatch):
    def fail(*_):
        raise FULL

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError), whole(tmp_path / "a", new=True) as file:
        file.write(b"new")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be synchronised")
@pytest.mark.parametrize("new", [False, True])
def test_the_name_is_on_the_disk_too(tmp_path, monkeypatch, new):
    synchronised, fsync = [], os.fsync

    def note(descriptor):
        synchronised.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), names(tmp_path) == ["a"]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "link", os.rename)  # so that nothing else is in the folder
    with whole(tmp_path / "a", new=new):
        pass
    assert synchronised == [(False, False), (True, True)]


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError), whole(tmp_path / "missing" / "a"):
        pass
    assert names(tmp_path) == []
