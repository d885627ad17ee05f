import os
from pathlib import Path

import pytest

import runtime.files
from codec import files
from codec.errors import OutputExists, UnwritableOutput


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_outputs_stand_beside_their_inputs():
    made = files.outputs([Path("a.png"), Path("x/b.jpeg"), Path("c")], None, ".lmc")
    assert made == [Path("a.lmc"), Path("x/b.lmc"), Path("c.lmc")]


def test_one_input_may_name_its_output():
    assert files.outputs([Path("a.png")], "z", ".lmc") == [Path("z")]


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_takes_the_names(tmp_path, ending):
    assert files.outputs([Path("x/a.png")], f"{tmp_path}{ending}", ".lmc") == [tmp_path / "a.lmc"]
    new = tmp_path / "new"
    assert files.outputs([Path("x/a.png")], f"{new}/", ".lmc") == [new / "a.lmc"]
    assert files.outputs([Path("a.png"), Path("b.png")], str(new), ".lmc") == [new / "a.lmc", new / "b.lmc"]


def test_two_inputs_never_share_an_output():
    with pytest.raises(ValueError, match="a.png and a.jpg would both be written to a.lmc"):
        files.outputs([Path("a.png"), Path("a.jpg")], None, ".lmc")
    with pytest.raises(ValueError, match="both"):
        files.outputs([Path("x/a.png"), Path("y/a.png")], "out", ".lmc")
    with pytest.raises(ValueError, match="both"):
        files.outputs([Path("a.png"), Path("a.png")], None, ".lmc")


def test_an_input_is_never_an_output():
    with pytest.raises(ValueError, match="overwrite"):
        files.outputs([Path("a.png")], "a.png", ".lmc")
    with pytest.raises(ValueError, match="overwrite"):
        files.outputs([Path("a.png"), Path("x/../a.lmc")], None, ".lmc")


@pytest.mark.parametrize("how", ["symbolic", "hard", "folder"])
def test_an_input_is_never_an_output_by_another_name(tmp_path, how):
    picture, other = tmp_path / "a.png", tmp_path / "out.lmc"
    picture.write_bytes(b"picture")
    (tmp_path / "b.png").write_bytes(b"another")
    if how == "symbolic":
        other.symlink_to("a.png")
    elif how == "hard":
        other.hardlink_to(picture)
    else:
        (tmp_path / "link").symlink_to(tmp_path)
        other = tmp_path / "link" / "a.png"
    with pytest.raises(ValueError, match="the result of .* would overwrite .*a.png"):
        files.outputs([picture], str(other), ".lmc")
    other.rename(tmp_path / "b.lmc") if how != "folder" else (tmp_path / "b.lmc").symlink_to(other)
    with pytest.raises(ValueError, match="the result of .*b.png would overwrite .*a.png"):
        files.outputs([picture, tmp_path / "b.png"], None, ".lmc")


def test_an_input_that_is_a_link_is_no_output_either(tmp_path):
    (tmp_path / "a.lmc").write_bytes(b"picture")
    (tmp_path / "a.png").symlink_to("a.lmc")
    with pytest.raises(ValueError, match="overwrite"):
        files.outputs([tmp_path / "a.png"], None, ".lmc")


@pytest.mark.parametrize(("one", "other"), [("A.png", "a.png"), ("x.PNG", "X.jpg"), ("\xe4.png", "a\u0308.png")])
def test_outputs_that_are_one_file_on_other_disks(tmp_path, one, other):
    for output in (None, str(tmp_path), str(tmp_path / "new")):
        with pytest.raises(ValueError, match="would both be written to .* and .*, one file on many disks"):
            files.outputs([Path(one), Path(other)], output, ".lmc")
    (tmp_path / "X").mkdir()
    (tmp_path / "x").mkdir(exist_ok=True)
    if not os.path.samefile(tmp_path / "X", tmp_path / "x"):
        assert files.outputs([tmp_path / "X" / "a.png", tmp_path / "x" / "a.png"], None, ".lmc")


def test_two_outputs_are_never_one_file(tmp_path):
    (tmp_path / "old").write_bytes(b"")
    for name in ("a.lmc", "b.lmc"):
        (tmp_path / name).symlink_to("old")
    with pytest.raises(ValueError, match="both"):
        files.outputs([tmp_path / "a.png", tmp_path / "b.png"], None, ".lmc")


def test_a_file_is_written_whole(tmp_path):
    files.write_atomically(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


def test_the_usual_permissions_are_given(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    files.write_atomically(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_nothing_is_overwritten_without_force(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OutputExists, match="--force"):
        files.check_output(path)
    with pytest.raises(OutputExists, match="--force"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    files.write_atomically(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("a")
    files.write_atomically(tmp_path / "link", b"new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, broken, error):
    def fail(*_):
        raise error

    if broken == "write":
        monkeypatch.setattr(runtime.files, "open", lambda *_: Failing(fail, *_), raising=False)
    else:
        monkeypatch.setattr(os, broken, fail)
    (tmp_path / "a").write_bytes(b"old")
    expected = UnwritableOutput if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        files.write_atomically(tmp_path / "a", b"new", force=True)
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


class Failing:
    """A file that can be opened but not written."""

    def __init__(self, fail, path, mode):
        self.stream = open(path, mode)  # closed by __exit__
        self.write = fail

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()


def test_what_another_process_writes_meanwhile_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "check_output", lambda path, force: path.write_bytes(b"the other's"))
    with pytest.raises(OutputExists, match="a exists: overwrite it with --force"):
        files.write_atomically(tmp_path / "a", b"ours")
    assert (tmp_path / "a").read_bytes() == b"the other's"
    files.write_atomically(tmp_path / "a", b"ours", force=True)
    assert (tmp_path / "a").read_bytes() == b"ours" and names(tmp_path) == ["a"]


def test_a_full_disk_is_a_clear_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableOutput, match=r"a \(No space left on device\): choose another output"):
        files.write_atomically(tmp_path / "a", b"new")
    assert names(tmp_path) == []


def test_a_folder_that_is_none_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "a", tmp_path / "missing" / "a"):
        with pytest.raises(UnwritableOutput, match="no folder that exists"):
            files.check_output(path)
        with pytest.raises(UnwritableOutput):
            files.write_atomically(path, b"", force=True)
    assert names(tmp_path) == ["file"]


def test_what_is_no_file_is_never_replaced(tmp_path):
    with pytest.raises(UnwritableOutput, match="is a folder"):
        files.check_output(tmp_path, force=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnwritableOutput, match="no regular file"):
        files.write_atomically(tmp_path / "pipe", b"", force=True)


def test_a_name_that_the_system_refuses_is_an_error_of_ours(tmp_path):
    with pytest.raises(UnwritableOutput, match="File name too long"):
        files.write_atomically(tmp_path / ("n" * 300), b"")
    assert names(tmp_path) == []


def test_make_folder(tmp_path):
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableOutput, match="cannot make the folder"):
        files.make_folder(tmp_path / "file" / "b")
