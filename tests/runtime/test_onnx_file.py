"""Graphs that refer to other files: found wherever a tensor can be, however it is written."""

import onnx
import pytest
from onnx import TensorProto, helper

from runtime import onnx_file
from runtime.onnx_file import refers_outside


def outside(name: str = "w") -> onnx.TensorProto:
    tensor = helper.make_tensor(name, TensorProto.UINT8, [1], b"\1", raw=True)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="there")
    return tensor


def inside() -> onnx.TensorProto:
    return helper.make_tensor("w", TensorProto.UINT8, [3], b"\1\2\3", raw=True)


def graph(tensor: onnx.TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "g", [], [], [tensor])


def model(of: onnx.GraphProto, **more) -> onnx.ModelProto:
    return helper.make_model(of, **more)


def attributes(tensor: onnx.TensorProto) -> list[onnx.AttributeProto]:
    sparse = onnx.SparseTensorProto(values=tensor, indices=inside())
    swapped = onnx.SparseTensorProto(values=inside(), indices=tensor)
    values = tensor, [tensor], graph(tensor), [graph(tensor)], sparse, [swapped]
    return [helper.make_attribute("a", value) for value in values]


def places(tensor: onnx.TensorProto):
    """Models that have a tensor in every place where one can be."""
    plain = graph(inside())
    yield model(graph(tensor))
    for attribute in attributes(tensor):
        node = helper.make_node("Constant", [], ["y"])
        node.attribute.append(attribute)
        yield model(helper.make_graph([node], "g", [], []))
        made = model(plain)
        made.functions.add(name="f").node.append(node)
        yield made
        made = model(plain)
        made.functions.add(name="f").attribute_proto.append(attribute)
        yield made
    made = model(plain)
    made.graph.sparse_initializer.add(values=tensor)
    yield made
    for field in ("initialization", "algorithm"):
        made = model(plain)
        getattr(made.training_info.add(), field).CopyFrom(graph(tensor))
        yield made


def test_every_place_is_looked_at():
    for whole, other in zip(places(inside()), places(outside()), strict=True):
        assert not refers_outside(whole.SerializeToString())
        assert refers_outside(other.SerializeToString())


def test_the_places_are_those_of_onnx():
    """All ways from a model to a tensor, by onnx's own description of its messages."""
    found, todo = {}, [onnx.ModelProto.DESCRIPTOR]

    def name(message) -> str:
        return message.name.removesuffix("Proto")

    def holds(message, seen: tuple = ()) -> bool:
        if message.name == "TensorProto":
            return True
        inner = [each.message_type for each in message.fields if each.message_type and each.message_type not in seen]
        return any(holds(each, (*seen, message)) for each in inner)

    while todo:
        message = todo.pop()
        if name(message) in found:
            continue
        held = [each for each in message.fields if each.message_type and holds(each.message_type)]
        found[name(message)] = {each.number: name(each.message_type) for each in held}
        todo += [each.message_type for each in held]
    assert found == onnx_file._HOLDERS
    numbers = {each.name: each.number for each in onnx.TensorProto.DESCRIPTOR.fields}
    assert onnx_file._EXTERNAL == (numbers["external_data"], numbers["data_location"])


def field(number: int, data: bytes, longer: int = 0) -> bytes:
    """A field of bytes, its key and its length written in `longer` bytes more than they need."""

    def varint(value: int) -> bytes:
        digits = [value & 0x7F]
        while value := value >> 7:
            digits.append(value & 0x7F)
        digits += [0] * longer
        return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])

    return varint(number << 3 | 2) + varint(len(data)) + data


@pytest.mark.parametrize("longer", [0, 1, 3])
def test_numbers_may_be_written_longer_than_they_need(longer):
    """protobuf reads them so, too."""
    entry = field(13, field(1, b"location", longer) + field(2, b"there", longer), longer)
    data = field(7, field(5, entry, longer), longer)
    (tensor,) = onnx.load_from_string(data).graph.initializer
    assert tensor.external_data[0].key == "location" and refers_outside(data)


@pytest.mark.parametrize(
    "data",
    [b"\x3a", b"\x3a\x05ab", b"\x3a\xff", b"\x3b", b"\x80" * 11, b"\x09\0\0", b"\x0d\0", field(7, b"\x0b")],
    ids=str,
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ValueError):
        refers_outside(data)


def test_messages_nested_too_deeply_are_refused():
    data = b""
    for _ in range(40):  # subgraphs of nodes
        data = field(1, field(5, field(6, data)))
    with pytest.raises(ValueError, match="nested too deeply"):
        refers_outside(field(7, data))
