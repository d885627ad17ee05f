"""Bundles that are damaged, forged or of another kind: one BundleError each, and nothing else."""

import io
import json
import struct
import zipfile
from dataclasses import asdict, replace

import numpy as np
import onnx
import pytest

import runtime
from export.exact.tables import distribution_tables
from runtime import bundle, rules
from runtime.bundle import LIMITS, BundleError
from runtime.least_squares import Settings
from runtime.tables import _MOST_NEIGHBOURS, check_distribution
from tests import bundles

MEMBERS = list(LIMITS)
TENSOR_FILES = [bundles.WEIGHTS, bundles.TABLES]


@pytest.fixture(scope="module")
def original(tiny_bundle):
    """(manifest, members) of the tiny model."""
    return bundle.read_manifest(tiny_bundle), bundles.members(tiny_bundle)


def archive(path, parts, compression=zipfile.ZIP_STORED):
    """A zip of {name: bytes}; None leaves a member out."""
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in parts.items():
            if data is not None:
                target.writestr(name, data)
    return path


def parts_of(original):
    manifest, members = original
    return {"manifest.json": manifest.to_json().encode(), **members}


def refused(path, match):
    with pytest.raises(BundleError, match=match) as caught:
        runtime.load(path)
    assert "\n" not in str(caught.value)


def test_the_original_loads_from_a_zip_of_other_making(original, tmp_path):
    """The tests below alter one thing; unaltered it works."""
    model = runtime.load(archive(tmp_path / "same.lmconv", parts_of(original)))
    assert model.manifest == original[0]


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_member(original, tmp_path, name):
    refused(archive(tmp_path / "x.lmconv", parts_of(original) | {name: None}), f"{name} is missing or damaged")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_compressed_member(original, tmp_path, name):
    path = archive(tmp_path / "x.lmconv", parts_of(original) | {name: None})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr(name, parts_of(original)[name])
    refused(path, f"{name} is compressed")


@pytest.mark.parametrize("name", MEMBERS)
def test_an_oversize_member(original, tmp_path, name, monkeypatch):
    size = len(parts_of(original)[name])
    monkeypatch.setitem(LIMITS, name, size - 1)
    refused(archive(tmp_path / "x.lmconv", parts_of(original)), f"{name} is compressed or over {size - 1} bytes")
    monkeypatch.setitem(LIMITS, name, size)
    runtime.load(tmp_path / "x.lmconv")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_size_that_is_claimed_only(original, tmp_path, name):
    """A central directory that claims 4 GB: refused by the claim, before anything of that size is allocated."""
    path = archive(tmp_path / "x.lmconv", parts_of(original))
    data = bytearray(path.read_bytes())
    at = data.rindex(name.encode()) - 46  # the member's entry in the central directory
    assert data[at : at + 4] == b"PK\1\2"
    data[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(data)
    refused(path, f"{name} is compressed or over")


@pytest.mark.parametrize("name", MEMBERS[1:])
@pytest.mark.parametrize("at", [0, 0.5, -1])
def test_a_damaged_member_in_a_sound_zip(original, tmp_path, name, at):
    data = bytearray(original[1][name])
    data[int(at * len(data)) if at >= 0 else -1] ^= 1
    refused(archive(tmp_path / "x.lmconv", parts_of(original) | {name: bytes(data)}), f"{name} is damaged")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_damaged_byte_of_the_zip_is_found_by_its_checksum(tiny_bundle, original, tmp_path, name):
    data = bytearray(tiny_bundle.read_bytes())
    at = data.index(parts_of(original)[name]) + len(parts_of(original)[name]) // 2
    data[at] ^= 0x20
    (tmp_path / "x.lmconv").write_bytes(data)
    refused(tmp_path / "x.lmconv", f"{name} is missing or damaged")


@pytest.mark.parametrize("name", TENSOR_FILES)
@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{}tail", b"\0\0\0\0\1\0\0\0{}"], ids=str)
def test_a_tensor_file_that_is_none(original, tmp_path, name, data):
    manifest = replace(original[0], members=original[0].members | {name: bundle.hashlib.sha256(data).hexdigest()})
    parts = {"manifest.json": manifest.to_json().encode(), **original[1], name: data}
    refused(archive(tmp_path / "x.lmconv", parts), "a tensor file of the bundle cannot be read")


TABLE_CHANGES = {
    "missing": lambda table: None,
    "short": lambda table: table[..., :-1],
    "flat": lambda table: table.reshape(-1, 1, 1),
    "type": lambda table: table.astype(np.float32),
}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (table, change)
        for table in (
            "codes",
            "logistic",
            "exponential",
            "inverse_scale",
            "deviation",
            "probe.inputs",
            "probe.taps",
            "probe.slots",
            "probe.cache",
            "probe.parameters",
        )
        for change in TABLE_CHANGES
        if (table, change) != ("probe.parameters", "type")
    ],
)  # equal in any type: as good
def test_tables_that_do_not_fit_are_refused(tiny_bundle, original, tmp_path, table, change):
    """Compiled code looks tables up without checking bounds, so a bundle that hashes right must fit, too."""
    tables = bundles.tensors(original[1][bundles.TABLES])
    tables[table] = TABLE_CHANGES[change](tables[table])
    tables = {name: array for name, array in tables.items() if array is not None}
    path = bundles.forge(tmp_path / "x.lmconv", tiny_bundle, {bundles.TABLES: bundles.packed(tables)})
    refused(path, "do not fit|does not reproduce" if table.startswith("probe.") else f"x.lmconv: table {table} is ")


WRONG_VALUES = [
    ("exponential", 0, 0, "goes from 0 to 0, not from 4194304 to 0"),
    ("exponential", 0, -1, "holds -1, which is not within 0 to 4194304"),
    ("exponential", 5, 1 << 40, "holds 1099511627776, "),
    ("exponential", 1023, 1, "goes from 4194304 to 1, not"),
    ("exponential", 9, 1, "goes from 1 to 3587578 on its way from 4194304 to 0"),
    ("inverse_scale", 320, 0, "holds 0, which is not within 1 to 536870912"),
    ("inverse_scale", 7, -5, "holds -5, "),
    ("inverse_scale", 0, 1 << 50, "holds 1125899906842624, "),
    ("deviation", 3, -1, "holds -1, which is not within 0 to 65536"),
    ("deviation", 3, np.iinfo(np.int64).max, "holds 9223372036854775807, "),
    ("logistic", 0, -(1 << 30), "holds -1073741824, which is not within 0 to 4194304"),
    ("logistic", 4096, 1 << 23, "holds 8388608, "),
    ("logistic", 4096, 1 << 22, None),
    ("logistic", 4095, (1 << 22) + 1, "holds 4194305, "),
    ("logistic", 2048, 0, "goes from 2088960 to 0 on its way from 0 to 4194304"),
    ("mixing.quick.weights", 0, -128, "holds -128, which is not within -127 to 127"),
    ("mixing.quick.weights", 0, -127, None),
    ("mixing.quick.final", 1, -32768, "holds -32768, which is not within -32767 to 32767"),
    ("mixing.quick.final", 1, 32767, None),
]


@pytest.mark.parametrize(("table", "at", "value", "words"), WRONG_VALUES, ids=str)
def test_values_that_compiled_code_could_not_take_are_refused(tiny_bundle, original, tmp_path, table, at, value, words):
    start = {"mixing.quick.weights": np.zeros(4, np.int8), "mixing.quick.final": np.zeros(4, np.int16)}
    tables = bundles.tensors(original[1][bundles.TABLES]) | start
    tables[table][at] = value
    path = bundles.forge(tmp_path / "x.lmconv", tiny_bundle, {bundles.TABLES: bundles.packed(tables)})
    if words:
        refused(path, f"x.lmconv: table {table} {words}")
    else:
        runtime.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quick.weights": np.int16}, "quick.weights is int16"),
        ({"quick.final": np.float32}, "quick.final is float32"),
        ({"quick.final": np.int8}, "quick.final is int8"),
        ({"full.final": None}, "full.final is missing"),
        ({"full.weights": None, "full.final": None}, None),
        ({"weights": np.int16}, "final is missing"),  # an older version's
        ({"scales": np.uint8}, "scales is uint8"),
        ({}, None),
    ],
    ids=str,
)
def test_start_weights_that_mixing_could_not_take(tiny_bundle, original, tmp_path, changes, words):
    kinds = {"weights": np.int8, "final": np.int16}
    types = {f"{recipe}.{name}": kind for recipe in ("quick", "full") for name, kind in kinds.items()} | changes
    added = {f"mixing.{name}": np.zeros((2, 2), dtype) for name, dtype in types.items() if dtype}
    tables = bundles.tensors(original[1][bundles.TABLES]) | added
    path = bundles.forge(tmp_path / "x.lmconv", tiny_bundle, {bundles.TABLES: bundles.packed(tables)})
    if words:
        refused(path, f"table mixing.{words}")
    else:
        runtime.load(path)


def test_every_shipped_and_made_table_passes(original):
    made = distribution_tables()
    check_distribution(made)
    for name, table in made.items():
        with pytest.raises(BundleError, match=f"table {name} holds"):
            check_distribution(made | {name: table * 4})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"components": 4}, "do not fit"),
        ({"kernel": 5}, "do not fit"),
        ({"first_offsets": ((0, -1),)}, "do not fit"),
        ({"order": "raster"}, "order is 'raster'"),
        ({"components": 0}, "components is 0, not an integer within 1 to 256"),
        ({"components": "3"}, "components is '3'"),
        ({"components": 3.0}, "components is 3.0"),
        ({"components": True}, "components is True"),
        ({"kernel": 4}, "kernel is 4, not an odd number"),
        ({"kernel": 0}, "kernel is 0"),
        ({"kernel": 10**6}, "kernel is 1000000"),
        ({"kernel": None}, "kernel is None"),
        ({"kernel": 3.0}, "kernel is 3.0"),
        ({"first_offsets": ()}, "first_offsets are none"),
        ({"first_offsets": ((0, -1),) * 22 + ((0, -(10**7)),)}, "of first_offsets is -10000000, not an integer"),
    ],
    ids=str,
)
def test_a_layout_that_does_not_fit_is_refused(tiny_bundle, tmp_path, change, words):
    refused(bundles.forge(tmp_path / "x.lmconv", tiny_bundle, {}, **change), words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ridge": (16.0, 0.0, 3.0)}, "ridge of the predictor is 0.0, not a number within 0.1 to 1000000.0"),
        ({"ridge": (16.0, 3.0, float("nan"))}, "ridge of the predictor is nan"),
        ({"ridge": (-1.0, 3.0, 3.0)}, "ridge of the predictor is -1.0"),
        ({"ridge": (16.0, 3.0)}, "not three for each"),
        ({"ridge": ("a", 3.0, 3.0)}, "ridge of the predictor is 'a'"),
        ({"decay": 1.5}, "decay of the predictor is 1.5"),
        ({"decay": float("nan")}, "decay of the predictor is nan"),
        ({"decay": -0.1}, "decay of the predictor is -0.1"),
        ({"decay": None}, "decay of the predictor is None"),
        ({"row_decay": float("inf")}, "row_decay .* is inf"),
        ({"sizes": ((16, 2, 2),)}, "not three for each"),
        ({"sizes": ((16, 2),) * 3}, "not three for each"),
        ({"sizes": ((0, 2, 2), (10, 8, 2), (10, 8, 6))}, "a size of the predictor is 0, not an integer within 1 to 16"),
        ({"sizes": ((16, 8, 2), (10, 8, 2), (10, 8, 6))}, "a size of the predictor is 8, not an integer within 0 to 7"),
        ({"sizes": ((16, 2, -2), (10, 8, 2), (10, 8, 6))}, "a size of the predictor is -2"),
        ({"sizes": ((16, 2, 2.0), (10, 8, 2), (10, 8, 6))}, "a size of the predictor is 2.0"),
    ],
    ids=str,
)
def test_a_predictor_that_could_not_run_is_refused(tiny_bundle, original, tmp_path, change, words):
    predictor = replace(original[0].layout.predictor, **change)
    refused(bundles.forge(tmp_path / "x.lmconv", tiny_bundle, {}, predictor=predictor), words)


def test_the_predictor_has_neighbours_for_the_largest_sizes():
    for plane, most in enumerate(_MOST_NEIGHBOURS):
        sizes = [(1, 0, 0)] * 3
        sizes[plane] = most
        assert len(Settings(tuple(sizes)).taps(plane)) == sum(most)


FIELDS = [
    ("order", "raster"),
    ("components", 4),
    ("kernel", 5),
    ("rules", rules.VERSION + 0.0),
    ("model_id", "0" * 64),
    ("first_offsets", [[0, -1]]),
    ("predictor", {"decay": 0.93}),
    ("predictor", {"row_decay": 0.81}),
    ("predictor", {"ridge": [16.0, 3.0, 3.5]}),
    ("predictor", {"sizes": [[16, 2, 2], [10, 8, 2], [10, 8, 5]]}),
]


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=str)
def test_an_altered_manifest_is_another_identity(original, tmp_path, field, value):
    fields = json.loads(original[0].to_json())
    held = fields["layout"] if field in fields["layout"] else fields
    held[field] = held[field] | value if isinstance(value, dict) else value
    path = archive(tmp_path / "x.lmconv", parts_of(original) | {"manifest.json": json.dumps(fields)})
    refused(path, "identity does not match|bundle format")


@pytest.mark.parametrize(("field", "value"), [("format", 2), ("format", None), ("rules", 2), ("rules", "3")], ids=str)
def test_other_versions_say_what_is_read(original, tmp_path, field, value):
    fields = json.loads(original[0].to_json()) | {field: value}
    path = archive(tmp_path / "x.lmconv", parts_of(original) | {"manifest.json": json.dumps(fields)})
    with pytest.raises(BundleError, match=f"this version reads 1 and {rules.VERSION}"):
        runtime.read_manifest(path)
    refused(path, f"{value}.*this version reads 1 and {rules.VERSION}")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"format": 1, "rules": 3}',
        b'{"format": 1, "rules": 3, "kind": "x", "layout": 3}',
        b'{"format": 1, "rules": 3, "kind": "photo", "layout": 3}',
        b'{"format": 1, "rules": 3, "kind": "pixelcnn", "layout": {"orders": []}}',
        b'{"format": 1, "rules": 3, "kind": "photo", "layout": {"predictor": {}}}',
    ],
    ids=range(14),
)
def test_manifests_that_are_none(original, tmp_path, text):
    path = archive(tmp_path / "x.lmconv", parts_of(original) | {"manifest.json": text})
    with pytest.raises(BundleError):
        runtime.read_manifest(path)
    refused(path, "the manifest cannot be read|bundle format")


@pytest.mark.parametrize(
    "change",
    [
        {"first_offsets": [[0]]},
        {"first_offsets": 3},
        {"first_offsets": [["a", "b"]]},
        {"predictor": None},
        {"predictor": {"decay": 1}},
        {"something": 1},
        {"name": ...},
        {"layout": ...},
        {"kind": None},
        {"name": [3]},
        {"model_id": 7},
        {"members": 3},
        {"members": None},
        {"card": "text"},
        {"parameters": "many"},
    ],
    ids=str,
)
def test_manifests_with_wrong_fields(original, tmp_path, change):
    fields = json.loads(original[0].to_json())
    (fields["layout"] if change.keys() <= fields["layout"].keys() else fields).update(change)
    fields = {name: value for name, value in fields.items() if value is not ...}
    path = archive(tmp_path / "x.lmconv", parts_of(original) | {"manifest.json": json.dumps(fields)})
    refused(path, "the manifest cannot be read")


@pytest.mark.parametrize("kind", ["integer", "float32"])
def test_a_graph_that_refers_to_other_files_is_refused(tiny_bundle, original, tmp_path, kind):
    """Even one that names a file which is there."""
    graph = onnx.load_from_string(original[1][f"step_{kind}.onnx"])
    (tensor,) = (tensor for tensor in graph.graph.initializer if tensor.name == "head.weight")
    (tmp_path / "head.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(tmp_path / "head.bin"))
    part = {f"step_{kind}.onnx": graph.SerializeToString()}
    refused(
        bundles.forge(tmp_path / "x.lmconv", tiny_bundle, part),
        f"the graph of {kind} products refers to data outside the bundle",
    )


@pytest.mark.parametrize("data", [b"", b"PK", b"a text file\n", b"\x89LMC" + bytes(60), b"PK\5\6" + bytes(18)], ids=str)
def test_files_that_are_no_bundle(tmp_path, data):
    (tmp_path / "x.lmconv").write_bytes(data)
    refused(tmp_path / "x.lmconv", "is not a model bundle|manifest.json is missing")


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "x.lmconv", "there is no model .*x.lmconv")


def test_a_folder(tmp_path):
    refused(tmp_path, "is not a model bundle")


def test_truncation_anywhere(tiny_bundle, tmp_path):
    data, path = tiny_bundle.read_bytes(), tmp_path / "x.lmconv"
    cuts = [*range(0, len(data), 1999), *range(len(data) - 400, len(data))]
    for cut in cuts:
        path.write_bytes(data[:cut])
        refused(path, "not a model bundle|missing or damaged")


def test_altered_bytes_of_the_zip_itself(tiny_bundle, original, tmp_path):
    """Headers and directory: either a BundleError, or the same model (a time or an attribute was altered)."""
    data, path = tiny_bundle.read_bytes(), tmp_path / "x.lmconv"
    inside = np.zeros(len(data), bool)
    for part in parts_of(original).values():
        start = data.index(part)
        inside[start : start + len(part)] = True
    outside = np.flatnonzero(~inside)
    assert 300 < len(outside) < 2000
    outcomes = set()
    for at in outside:
        for bits in (0x01, 0x40, 0xFF):
            altered = bytearray(data)
            altered[at] ^= bits
            path.write_bytes(altered)
            try:
                found = runtime.read_manifest(path)
                with bundle._open(path) as opened:
                    same = all(bundle._member(opened, name, path) == part for name, part in original[1].items())
            except BundleError:
                outcomes.add("refused")
            else:
                assert found == original[0] and same
                outcomes.add("the same")
    assert outcomes == {"refused", "the same"}


def test_identity_changes_with_every_tensor(original):
    manifest, members = original
    weights, tables = (bundles.tensors(members[name]) for name in TENSOR_FILES)
    assert bundle.identity(manifest, members[bundles.WEIGHTS], members[bundles.TABLES]) == manifest.model_id
    seen = {manifest.model_id}
    for tensors in (weights, tables):
        for tensor in tensors.values():
            flat = tensor.reshape(-1)
            for at in {0, flat.size // 2, flat.size - 1}:
                flat[at] ^= 1
                seen.add(bundle.identity(manifest, bundles.packed(weights), bundles.packed(tables)))
                flat[at] ^= 1
    count = sum(len({0, t.size // 2, t.size - 1}) for tensors in (weights, tables) for t in tensors.values())
    assert len(seen) == 1 + count


def test_identity_is_of_names_shapes_types_and_values_not_of_the_file(original):
    manifest, members = original
    weights, tables = (bundles.tensors(members[name]) for name in TENSOR_FILES)

    def identity(changed):
        return bundle.identity(manifest, bundles.packed(changed), members[bundles.TABLES])

    from safetensors.numpy import save

    reordered = save(dict(reversed(weights.items())), metadata={"note": "a longer header"})
    assert reordered != members[bundles.WEIGHTS]
    assert bundle.identity(manifest, reordered, members[bundles.TABLES]) == manifest.model_id
    name, tensor = "head.weight", weights["head.weight"]
    others = [
        weights | {name: tensor.reshape(-1)},
        weights | {name: tensor.astype(np.int16)},
        {**{n: t for n, t in weights.items() if n != name}, "head.weights": tensor},
    ]
    assert manifest.model_id not in {identity(other) for other in others}


def test_name_and_card_are_not_part_of_the_identity(original, tiny_bundle, tmp_path):
    path = bundles.forge(tmp_path / "x.lmconv", tiny_bundle, {}, name="renamed", card={"note": "ü"})
    assert runtime.load(path).manifest.model_id == original[0].model_id
    assert runtime.read_manifest(path).name == "renamed" and runtime.read_manifest(path).card == {"note": "ü"}


def test_a_manifest_survives_writing_and_reading(original, tmp_path):
    manifest, members = original
    bundle.write(tmp_path / "x.lmconv", manifest, members)
    assert runtime.read_manifest(tmp_path / "x.lmconv") == manifest
    assert json.loads(manifest.to_json())["layout"] == json.loads(json.dumps(asdict(manifest.layout)))


def test_writing_is_reproducible_and_leaves_one_file(original, tiny_bundle, tmp_path):
    manifest, members = original
    bundle.write(tmp_path / "x.lmconv", manifest, members)
    assert (tmp_path / "x.lmconv").read_bytes() == tiny_bundle.read_bytes()
    assert [child.name for child in tmp_path.iterdir()] == ["x.lmconv"]


def test_duplicate_names_in_a_zip_do_not_mix(original, tmp_path):
    """The last entry of a name counts, for the hash as for the use."""
    path, parts = tmp_path / "x.lmconv", parts_of(original)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as target:
        target.writestr("step_integer.onnx", b"another")
        for name, data in parts.items():
            target.writestr(name, data)
    assert runtime.load(path).manifest == original[0]
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as target:
        target.writestr("step_integer.onnx", b"another")
    refused(path, "step_integer.onnx is damaged")


def test_nothing_is_unpickled(original, tmp_path):
    """A pickle in a tensor file's place is just a damaged member."""
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(archive(tmp_path / "x.lmconv", parts_of(original) | {bundles.WEIGHTS: stream.getvalue()}), "is damaged")


def test_threads_are_kept_and_default_to_all(tiny_bundle):
    import os

    assert runtime.load(tiny_bundle, threads=3).threads == 3
    assert runtime.load(tiny_bundle).threads == os.cpu_count()
