"""What an ONNX file may not have: tensors that lie in other files, which onnxruntime would go and read.

An ONNX file is a protobuf message, read here field by field as far as tensors can be: by the numbers of onnx.proto,
however long its numbers are written, in graphs, functions and the subgraphs of nodes.
"""

from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # how a field's value is written
_DEEPEST = 100  # messages in messages, protobuf's own limit
_EXTERNAL = (13, 14)  # of a TensorProto: external_data, data_location

# Which fields of a message are messages that hold tensors.
_HOLDERS = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}


def refers_outside(model: bytes) -> bool:
    """Whether a tensor of an ONNX model, given its bytes, may lie in another file. Raises ValueError for bytes that are
    no protobuf message."""
    return _refers(memoryview(model), "Model", 0)


def _refers(data: memoryview, message: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("its messages are nested too deeply")
    for number, kind, value in _fields(data):
        if message == "Tensor" and number in _EXTERNAL:
            return True
        inner = _HOLDERS[message].get(number)
        if inner and kind == _BYTES and _refers(value, inner, depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """(number, kind, bytes) of each field of a message; of varints the bytes are empty."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            size, at = 0, _varint(data, at)[1]
        elif kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field is written in way {kind}, which ONNX does not use")
        if size > len(data) - at:
            raise ValueError("it ends within a field")
        yield number, kind, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where the next field begins."""
    value = 0
    for i in range(10):
        if at + i == len(data):
            raise ValueError("it ends within a number")
        value |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return value & (1 << 64) - 1, at + i + 1
    raise ValueError("a number is longer than ten bytes")
