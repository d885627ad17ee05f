import os
from pathlib import Path

import pytest

import runtime.files
from codec import files
from codec.errors import OutputExists, UnreadableImage, UnwritableOutput


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def short(path: Path) -> str:
    return f"{path.stem}.lmc"


def longer(path: Path) -> str:
    return f"{path.name}.lmc"


def placed(inputs, output=None, mirror=None, longer=None):
    """Where results of x.png go, which are named x.lmc; in place of what forbids one its text."""
    targets = files.outputs(list(map(Path, inputs)), short, files.Place(output, mirror), longer)
    return [str(target) for target in targets]


def test_outputs_stand_beside_their_inputs():
    assert placed(["a.png", "x/b.jpeg", "c"]) == ["a.lmc", "x/b.lmc", "c.lmc"]


def test_one_input_may_name_its_output():
    assert placed(["a.png"], "z") == ["z"]


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_takes_the_names(tmp_path, ending):
    assert placed(["x/a.png"], f"{tmp_path}{ending}") == [f"{tmp_path}/a.lmc"]
    new = f"{tmp_path}/new"
    assert placed(["x/a.png"], f"{new}/") == [f"{new}/a.lmc"]
    assert placed(["a.png", "b.png"], new) == [f"{new}/a.lmc", f"{new}/b.lmc"]


def test_a_mirror_has_the_folders_of_the_inputs():
    inputs = ["a.png", "x/y/a.png", "./z/a.png", "/x/y/a.png", "../a.png"]
    *found, outside = placed(inputs, mirror=Path("m"))
    assert found[:3] == ["m/a.lmc", "m/x/y/a.lmc", "m/z/a.lmc"]
    assert found[3] == "x/y/a.png and /x/y/a.png would both be written to m/x/y/a.lmc: use two folders"
    assert outside == "../a.png has no place below m: name it without .."


def test_stdin_goes_to_stdout_or_to_a_file(tmp_path):
    assert placed(["-"]) == ["-"] and placed(["-"], "-") == ["-"] and placed(["-"], "z") == ["z"]
    assert "no name" in placed(["-"], f"{tmp_path}/")[0]
    assert "both" in placed(["-", "-"])[1]
    assert placed(["a.png"], "-") == ["-"]


def test_two_inputs_never_share_an_output():
    assert placed(["a.png", "a.jpg"]) == ["a.lmc", "a.png and a.jpg would both be written to a.lmc: use two folders"]
    assert "both" in placed(["x/a.png", "y/a.png"], "out")[1]
    assert "both" in placed(["a.png", "a.png"])[1]


def test_longer_names_tell_them_apart():
    inputs = ["a.png", "b.png", "a.jpg", "x/a.tif"]
    assert placed(inputs, longer=longer) == ["a.png.lmc", "b.lmc", "a.jpg.lmc", "x/a.lmc"]
    assert placed(["a.png", "a.png"], longer=longer)[0] == "a.lmc"
    assert placed(["A.png", "a.tif"], longer=longer) == ["A.png.lmc", "a.tif.lmc"]
    first, second, third = placed(["a.png", "a.jpg", "x/a.png"], "out", longer=longer)
    assert (first, second) == ("out/a.png.lmc", "out/a.jpg.lmc") and "both" in third


def test_an_input_is_never_an_output():
    assert "overwrite" in placed(["a.png"], "a.png")[0]
    assert placed(["a.png", "x/../a.lmc"])[0] == "its result would overwrite x/../a.lmc: choose another output"


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
    forbidden = f"its result would overwrite {picture}: choose another output"
    assert placed([picture], str(other)) == [forbidden]
    other.rename(tmp_path / "b.lmc") if how != "folder" else (tmp_path / "b.lmc").symlink_to(other)
    assert placed([picture, tmp_path / "b.png"])[1] == forbidden


def test_an_input_that_is_a_link_is_no_output_either(tmp_path):
    (tmp_path / "a.lmc").write_bytes(b"picture")
    (tmp_path / "a.png").symlink_to("a.lmc")
    assert "overwrite" in placed([tmp_path / "a.png"])[0]


@pytest.mark.parametrize(("one", "other"), [("A.png", "a.png"), ("x.PNG", "X.jpg"), ("\xe4.png", "a\u0308.png")])
def test_outputs_that_are_one_file_on_other_disks(tmp_path, one, other):
    for output in (None, str(tmp_path), str(tmp_path / "new")):
        first, second = placed([one, other], output)
        assert "would both be written to" in second and "one file on many disks" in second
        assert Path(first).name == Path(one).stem + ".lmc"
    (tmp_path / "X").mkdir()
    (tmp_path / "x").mkdir(exist_ok=True)
    if not os.path.samefile(tmp_path / "X", tmp_path / "x"):
        inputs = [tmp_path / "X" / "a.png", tmp_path / "x" / "a.png"]
        assert placed(inputs) == [f"{tmp_path}/X/a.lmc", f"{tmp_path}/x/a.lmc"]


def test_two_outputs_are_never_one_file(tmp_path):
    (tmp_path / "old").write_bytes(b"")
    for name in ("a.lmc", "b.lmc"):
        (tmp_path / name).symlink_to("old")
    assert "both" in placed([tmp_path / "a.png", tmp_path / "b.png"])[1]


def test_folders_stand_for_the_files_below_them(tmp_path):
    for name in ("b.PNG", "a.png", "x/c.jpg", "x/y/d.png", "x/text", "x/e.lmc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "x" / "y" / "again").symlink_to(tmp_path)
    found = files.found([tmp_path, Path("text"), Path("-")], {".png", ".jpg"}, recursive=True)
    assert [str(path) for path in found] == [
        *(f"{tmp_path}/{name}" for name in ("a.png", "b.PNG", "x/c.jpg", "x/y/d.png")),
        "text",
        "-",
    ]
    assert files.found([tmp_path], {".png"}) == [tmp_path]
    with pytest.raises(UnreadableImage, match="-r"), files.opened(tmp_path):
        pass
    with pytest.raises(UnreadableImage, match=r"no file below .* ends with .bmp, .gif"):
        files.found([tmp_path], {".gif", ".bmp"}, recursive=True)


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
