"""Many arrays as one argument: what kernels take is kept in the form in which machine code has it.

numba takes a NamedTuple of arrays apart at every call, array by array, which for a hundred of them costs more than
some kernels do, with Python's lock held. `Kept` does it once; kernels then take the result in a microsecond, and see
the same NamedTuple. (The mechanism is numba's own for extension types.)
"""

import ctypes
from typing import Any

import numba
from numba import types
from numba.core.datamodel import models
from numba.core.registry import cpu_target
from numba.extending import NativeValue, intrinsic, register_model, unbox

from runtime.kernels import kernel


class Kept:
    """A NamedTuple, `value`, for kernels. Its arrays must stay what they are; their numbers may change.

    Raises TypeError for anything else.
    """

    def __init__(self, value: Any) -> None:
        inner = numba.typeof(value)
        if not isinstance(inner, types.NamedTuple):
            raise TypeError(f"{type(value).__name__} is no NamedTuple of several types of values")
        context = cpu_target.target_context
        self.value = value  # keeps the arrays alive
        self._memory = ctypes.create_string_buffer(context.get_abi_sizeof(context.get_value_type(inner)))
        self.address = ctypes.addressof(self._memory)
        self._numba_type_ = _KeptType(inner)
        _store(value, self.address)


class _KeptType(types.NamedTuple):
    """The same type of values, but other objects."""

    def __init__(self, inner: types.NamedTuple) -> None:
        super().__init__(inner.types, inner.instance_class)
        self.name = f"kept {inner.name}"


register_model(_KeptType)(models.TupleModel)


@unbox(_KeptType)
def _take(kept, thing, c):
    number = c.pyapi.object_getattr_string(thing, "address")
    pointer = c.pyapi.long_as_voidptr(number)
    c.pyapi.decref(number)
    return NativeValue(c.builder.load(c.builder.bitcast(pointer, c.context.get_value_type(kept).as_pointer())))


@intrinsic
def _store_at(typing, value, address):
    def emit(context, builder, signature, args):
        builder.store(args[0], builder.inttoptr(args[1], args[0].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(value, types.intp), emit


@kernel
def _store(value, address):
    _store_at(value, address)
