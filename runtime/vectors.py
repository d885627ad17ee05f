"""Vectors of sixteen int16: what the mixer spends its time on.

Emitted as LLVM vector instructions on integers, so every processor computes the same. A row's length is a multiple of
LANES.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_LANE, _WIDE_LANE = ir.IntType(16), ir.IntType(32)
_VECTOR, _WIDE, _HALVES = (
    ir.VectorType(_LANE, LANES),
    ir.VectorType(_WIDE_LANE, LANES),
    ir.VectorType(_WIDE_LANE, LANES // 2),
)
_ALIGN = 2  # bytes: arrays of NumPy promise no more for int16


def _row(context, builder, array_type, array, row):
    """Pointer to the vectors of a row of a C-contiguous int16 array of two dimensions, and how many there are."""
    made = context.make_array(array_type)(context, builder, array)
    width = cgutils.unpack_tuple(builder, made.shape)[-1]
    first = builder.gep(made.data, [builder.mul(row, width)])
    return builder.bitcast(first, _VECTOR.as_pointer()), builder.udiv(width, ir.Constant(width.type, LANES))


def _splat(vector: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


@intrinsic
def dot(typing, weights, row, inputs):
    """The sum over pairs of lanes of (weights[row, i] * inputs[i] + weights[row, i + 1] * inputs[i + 1]) >> 8, int64.

    For inputs within +-32752: no sum then leaves 32 bits, whatever the weights, up to 2^9 lanes.
    """

    def emit(context, builder, signature, args):
        left, count = _row(context, builder, signature.args[0], args[0], args[1])
        zero = ir.Constant(args[1].type, 0)
        data = context.make_array(signature.args[2])(context, builder, args[2]).data
        right = builder.bitcast(builder.gep(data, [zero]), _VECTOR.as_pointer())
        total = cgutils.alloca_once_value(builder, _splat(_HALVES, 0))
        lanes = ir.VectorType(ir.IntType(32), LANES // 2)
        even, odd = (ir.Constant(lanes, list(range(start, LANES, 2))) for start in (0, 1))
        with cgutils.for_range(builder, count) as loop:
            pair = [builder.load(builder.gep(side, [loop.index]), align=_ALIGN) for side in (left, right)]
            a, b = (builder.sext(vector, _WIDE) for vector in pair)
            products = builder.mul(a, b)
            pairs = [builder.shuffle_vector(products, products, places) for places in (even, odd)]
            added = builder.ashr(builder.add(*pairs), _splat(_HALVES, 8))
            builder.store(builder.add(builder.load(total), added), total)
        found, last = builder.load(total), None
        for lane in range(LANES // 2):
            element = builder.extract_element(found, ir.Constant(ir.IntType(32), lane))
            last = element if last is None else builder.add(last, element)
        return builder.sext(last, ir.IntType(64))

    return types.int64(weights, types.int64, inputs), emit


@intrinsic
def nudge(typing, weights, row, inputs, step):
    """weights[row, i] += ((inputs[i] * step >> 16) + 1) >> 1, held within int16; |step| below 2^15."""

    def emit(context, builder, signature, args):
        left, count = _row(context, builder, signature.args[0], args[0], args[1])
        zero = ir.Constant(args[1].type, 0)
        data = context.make_array(signature.args[2])(context, builder, args[2]).data
        right = builder.bitcast(builder.gep(data, [zero]), _VECTOR.as_pointer())
        first, lane = ir.Constant(ir.IntType(32), 0), ir.IntType(32)
        one = builder.insert_element(_splat(_VECTOR, 0), builder.trunc(args[3], _LANE), first)
        steps = builder.sext(
            builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(lane, LANES), [0] * LANES)), _WIDE
        )
        adding = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR])
        saturated = cgutils.get_or_insert_function(builder.module, adding, f"llvm.sadd.sat.v{LANES}i16")
        with cgutils.for_range(builder, count) as loop:
            here = builder.gep(left, [loop.index])
            x = builder.sext(builder.load(builder.gep(right, [loop.index]), align=_ALIGN), _WIDE)
            high = builder.trunc(builder.ashr(builder.mul(x, steps), _splat(_WIDE, 16)), _VECTOR)
            change = builder.ashr(builder.add(high, _splat(_VECTOR, 1)), _splat(_VECTOR, 1))
            added = builder.call(saturated, [builder.load(here, align=_ALIGN), change])
            builder.store(added, here, align=_ALIGN)
        return context.get_dummy_value()

    return types.void(weights, types.int64, inputs, types.int64), emit


@intrinsic
def product(typing, out, factors, inputs):
    """out[i] = the sum over t of inputs[t] * factors[t, i], int16 that wrap."""

    def emit(context, builder, signature, args):
        out, factors, inputs = (
            context.make_array(kind)(context, builder, arg) for kind, arg in zip(signature.args, args)
        )
        width = cgutils.unpack_tuple(builder, factors.shape)[-1]
        zero, places = ir.Constant(width.type, 0), ir.Constant(ir.VectorType(_WIDE_LANE, LANES), [0] * LANES)
        lanes = ir.Constant(width.type, LANES)
        with cgutils.for_range_slice(builder, zero, width, lanes) as (first, _):
            total = cgutils.alloca_once(builder, _VECTOR)
            builder.store(_splat(_VECTOR, 0), total)
            with cgutils.for_range(builder, cgutils.unpack_tuple(builder, inputs.shape)[0]) as loop:
                one = builder.load(builder.gep(inputs.data, [loop.index]))
                one = builder.insert_element(_splat(_VECTOR, 0), one, ir.Constant(_WIDE_LANE, 0))
                each = builder.shuffle_vector(one, one, places)
                at = builder.gep(factors.data, [builder.add(builder.mul(loop.index, width), first)])
                row = builder.load(builder.bitcast(at, _VECTOR.as_pointer()), align=_ALIGN)
                builder.store(builder.add(builder.load(total), builder.mul(each, row)), total)
            here = builder.bitcast(builder.gep(out.data, [first]), _VECTOR.as_pointer())
            builder.store(builder.load(total), here, align=_ALIGN)
        return context.get_dummy_value()

    return types.void(out, factors, inputs), emit


@intrinsic
def add(typing, target, at, source, start, count):
    """target[at + i] += source[start + i] for i < 16 count, of flat uint16 arrays."""

    def emit(context, builder, signature, args):
        into = _flat(context, builder, signature.args[0], args[0], args[1])
        out_of = _flat(context, builder, signature.args[2], args[2], args[3])
        with cgutils.for_range(builder, args[4]) as loop:
            here = builder.gep(into, [loop.index])
            more = builder.load(builder.gep(out_of, [loop.index]), align=_ALIGN)
            builder.store(builder.add(builder.load(here, align=_ALIGN), more), here, align=_ALIGN)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), emit


@intrinsic
def halve(typing, target, at, count):
    """target[at + i] >>= 1 for i < 16 count, of a flat uint16 array."""

    def emit(context, builder, signature, args):
        into = _flat(context, builder, signature.args[0], args[0], args[1])
        with cgutils.for_range(builder, args[2]) as loop:
            here = builder.gep(into, [loop.index])
            builder.store(builder.lshr(builder.load(here, align=_ALIGN), _splat(_VECTOR, 1)), here, align=_ALIGN)
        return context.get_dummy_value()

    return types.void(target, types.int64, types.int64), emit


def _flat(context, builder, array_type, array, index):
    """Pointer to the vectors of a flat array from an index on."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def bits_of(typing, x):
    """The bits of a float32, int32."""

    def emit(context, builder, signature, args):
        return builder.bitcast(args[0], _WIDE_LANE)

    return types.int32(types.float32), emit
