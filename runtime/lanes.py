"""Eight float64 systems side by side: the vector operations of the least-squares solver.

A *lane array* is float64 [M, 8], C-contiguous: element m of eight independent systems. Each operation below is
emitted as one LLVM vector instruction per element, without fast-math flags: every lane computes exactly the IEEE
operations written here, in this order, whatever the processor's vector width (no reduction, no fused multiply-add).
Symmetric matrices of size n with one augmented column are packed by rows: row i holds columns i..n.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_index = types.uint64


def _at(context, builder, array_type, array, row):
    """Pointer to the eight lanes of element `row` of a lane array."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(data, [first]), _VECTOR.as_pointer())


def _load(builder, pointer):
    return builder.load(pointer, align=8)


@intrinsic
def reciprocal(typing, out, a, i):
    """out[0] = 1 / a[i]"""

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[2].type, 0)
        value = _load(builder, _at(context, builder, signature.args[1], args[1], args[2]))
        one = ir.Constant(_VECTOR, [1.0] * LANES)
        builder.store(builder.fdiv(one, value), _at(context, builder, signature.args[0], args[0], zero), align=8)
        return context.get_dummy_value()

    return types.void(out, a, _index), emit


@intrinsic
def eliminate(typing, a, row, pivot, inverse, count):
    """l = a[pivot] * inverse[0]; then a[row + k] -= l * a[pivot + k] for k < count."""

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[1].type, 0)
        target = _at(context, builder, signature.args[0], args[0], args[1])
        source = _at(context, builder, signature.args[0], args[0], args[2])
        scale = _load(builder, _at(context, builder, signature.args[3], args[3], zero))
        factor = builder.fmul(_load(builder, source), scale)
        with cgutils.for_range(builder, args[4]) as loop:
            here = builder.gep(target, [loop.index])
            product = builder.fmul(factor, _load(builder, builder.gep(source, [loop.index])))
            builder.store(builder.fsub(_load(builder, here), product), here, align=8)
        return context.get_dummy_value()

    return types.void(a, _index, _index, inverse, _index), emit


@intrinsic
def substitute(typing, w, i, a, row, n):
    """w[i] = (a[row + n - i] - sum over k = i + 1 .. n - 1 of a[row + k - i] * w[k]) / a[row], in this order of k."""

    def emit(context, builder, signature, args):
        i, n = args[1], args[4]
        one = ir.Constant(i.type, 1)
        weights = _at(context, builder, signature.args[0], args[0], ir.Constant(i.type, 0))
        start = _at(context, builder, signature.args[2], args[2], args[3])
        total = cgutils.alloca_once_value(builder, _load(builder, builder.gep(start, [builder.sub(n, i)])))
        with cgutils.for_range_slice(builder, builder.add(i, one), n, one) as (k, _):
            element = _load(builder, builder.gep(start, [builder.sub(k, i)]))
            product = builder.fmul(element, _load(builder, builder.gep(weights, [k])))
            builder.store(builder.fsub(builder.load(total), product), total)
        quotient = builder.fdiv(builder.load(total), _load(builder, start))
        builder.store(quotient, builder.gep(weights, [i]), align=8)
        return context.get_dummy_value()

    return types.void(w, _index, a, _index, _index), emit


@intrinsic
def decay_add(typing, a, row, decay, weight, f, i, count):
    """a[row + k] = decay[0] * a[row + k] + (weight[0] * f[i]) * f[i + k] for k < count."""

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[1].type, 0)
        target = _at(context, builder, signature.args[0], args[0], args[1])
        keep = _load(builder, _at(context, builder, signature.args[2], args[2], zero))
        scale = _load(builder, _at(context, builder, signature.args[3], args[3], zero))
        source = _at(context, builder, signature.args[4], args[4], args[5])
        factor = builder.fmul(scale, _load(builder, source))
        with cgutils.for_range(builder, args[6]) as loop:
            here = builder.gep(target, [loop.index])
            product = builder.fmul(factor, _load(builder, builder.gep(source, [loop.index])))
            builder.store(builder.fadd(builder.fmul(keep, _load(builder, here)), product), here, align=8)
        return context.get_dummy_value()

    return types.void(a, _index, decay, weight, f, _index, _index), emit


@intrinsic
def multiply_add(typing, out, a, i, f, count):
    """out[0] = out[0] + a[i + k] * f[i + k] for k < count, in this order of k."""

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[2].type, 0)
        here = _at(context, builder, signature.args[0], args[0], zero)
        left = _at(context, builder, signature.args[1], args[1], args[2])
        right = _at(context, builder, signature.args[3], args[3], args[2])
        total = cgutils.alloca_once_value(builder, _load(builder, here))
        with cgutils.for_range(builder, args[4]) as loop:
            a_k = _load(builder, builder.gep(left, [loop.index]))
            f_k = _load(builder, builder.gep(right, [loop.index]))
            builder.store(builder.fadd(builder.load(total), builder.fmul(a_k, f_k)), total)
        builder.store(builder.load(total), here, align=8)
        return context.get_dummy_value()

    return types.void(out, a, _index, f, _index), emit
