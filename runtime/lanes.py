"""Eight float32 systems side by side: the vector operations of the least-squares solver.

A *lane array* is float32 [M, 8], C-contiguous: element m of eight independent systems. Each operation below is
emitted as LLVM vector instructions without fast-math flags: every lane computes exactly the IEEE operations written
here, in this order, whatever the processor's vector width (no reassociation, no fused multiply-add).
Symmetric matrices of size n with one augmented column are packed by rows: row i holds columns i..n.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
_SCALAR = ir.FloatType()
_VECTOR = ir.VectorType(_SCALAR, LANES)
_ALIGN = 4  # bytes: arrays of NumPy promise no more
_index = types.uint64


def _at(context, builder, array_type, array, row):
    """Pointer to the lanes of element `row` of a lane array."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(data, [first]), _VECTOR.as_pointer())


def _load(builder, pointer):
    return builder.load(pointer, align=_ALIGN)


def _store(builder, value, pointer):
    builder.store(value, pointer, align=_ALIGN)


def _constant(values) -> ir.Constant:
    return ir.Constant(_VECTOR, [float(value) for value in values])


@intrinsic
def reciprocal(typing, out, a, i):
    """out[0] = 1 / a[i]"""

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[2].type, 0)
        value = _load(builder, _at(context, builder, signature.args[1], args[1], args[2]))
        quotient = builder.fdiv(_constant([1] * LANES), value)
        _store(builder, quotient, _at(context, builder, signature.args[0], args[0], zero))
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
            _store(builder, builder.fsub(_load(builder, here), product), here)
        return context.get_dummy_value()

    return types.void(a, _index, _index, inverse, _index), emit


@intrinsic
def eliminate_two(typing, a, row, first, second, inverses, count):
    """l = a[first] * inverses[0], m = a[second] * inverses[1]; then for k < count, in this order of the subtractions,
    a[row + k] = (a[row + k] - l * a[first + k]) - m * a[second + k]."""

    def emit(context, builder, signature, args):
        zero, one = (ir.Constant(args[1].type, value) for value in (0, 1))
        target = _at(context, builder, signature.args[0], args[0], args[1])
        scales = _at(context, builder, signature.args[4], args[4], zero)
        sources = [_at(context, builder, signature.args[0], args[0], args[j]) for j in (2, 3)]
        inverses = [_load(builder, builder.gep(scales, [index])) for index in (zero, one)]
        factors = [builder.fmul(_load(builder, source), inverse) for source, inverse in zip(sources, inverses)]
        with cgutils.for_range(builder, args[5]) as loop:
            here = builder.gep(target, [loop.index])
            value = _load(builder, here)
            for source, factor in zip(sources, factors):
                product = builder.fmul(factor, _load(builder, builder.gep(source, [loop.index])))
                value = builder.fsub(value, product)
            _store(builder, value, here)
        return context.get_dummy_value()

    return types.void(a, _index, _index, _index, inverses, _index), emit


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
        _store(builder, quotient, builder.gep(weights, [i]))
        return context.get_dummy_value()

    return types.void(w, _index, a, _index, _index), emit


@intrinsic
def decay_add(typing, a, row, keep, scaled, f, i, count, samples, stride):
    """For k < count, for every sample s in turn: a[row + k] = keep[s] * a[row + k] + scaled[s, i] * f[s, i + k].

    Samples stand `stride` elements apart in `scaled` and `f`.
    """

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[1].type, 0)
        arrays = [_at(context, builder, signature.args[j], args[j], zero) for j in (2, 3, 4)]
        target = _at(context, builder, signature.args[0], args[0], args[1])
        keeps, factors, features = arrays
        i, count, samples, stride = args[5:]
        with cgutils.for_range(builder, count) as entry:
            here = builder.gep(target, [entry.index])
            total = cgutils.alloca_once_value(builder, _load(builder, here))
            with cgutils.for_range(builder, samples) as sample:
                at = builder.add(builder.mul(sample.index, stride), i)
                decayed = builder.fmul(_load(builder, builder.gep(keeps, [sample.index])), builder.load(total))
                feature = _load(builder, builder.gep(features, [builder.add(at, entry.index)]))
                added = builder.fmul(_load(builder, builder.gep(factors, [at])), feature)
                builder.store(builder.fadd(decayed, added), total)
            _store(builder, builder.load(total), here)
        return context.get_dummy_value()

    return types.void(a, _index, keep, scaled, f, _index, _index, _index, _index), emit


@intrinsic
def multiply_add(typing, out, a, f, count):
    """out[0] = out[0] + a[k] * f[k] for k < count, in this order of k."""

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[3].type, 0)
        here = _at(context, builder, signature.args[0], args[0], zero)
        left = _at(context, builder, signature.args[1], args[1], zero)
        right = _at(context, builder, signature.args[2], args[2], zero)
        total = cgutils.alloca_once_value(builder, _load(builder, here))
        with cgutils.for_range(builder, args[3]) as loop:
            a_k = _load(builder, builder.gep(left, [loop.index]))
            f_k = _load(builder, builder.gep(right, [loop.index]))
            builder.store(builder.fadd(builder.load(total), builder.fmul(a_k, f_k)), total)
        _store(builder, builder.load(total), here)
        return context.get_dummy_value()

    return types.void(out, a, f, _index), emit


@intrinsic
def accumulate(typing, out, sums, open_, powers, carry, count):
    """Sums over the lanes so far, each lane's past decayed once a lane, for every element i < count of `sums`:

    x = sums[i] where open_[0] > 0, else 0; then for d = 1, 2, 4: x = x + powers[d - 1] * (x moved up by d lanes, 0
    moved in); out[i] = x + powers * carry[i] (the last lane of the block before); carry[i] = the last lane of out[i].
    powers: float32 [8], r, r^2, ... r^8. carry: float32 [count].
    """

    def emit(context, builder, signature, args):
        zero = ir.Constant(args[5].type, 0)
        target = _at(context, builder, signature.args[0], args[0], zero)
        source = _at(context, builder, signature.args[1], args[1], zero)
        shown = _load(builder, _at(context, builder, signature.args[2], args[2], zero))
        data = context.make_array(signature.args[3])(context, builder, args[3]).data
        decays = _load(builder, builder.bitcast(data, _VECTOR.as_pointer()))
        last = context.make_array(signature.args[4])(context, builder, args[4]).data
        nothing = _constant([0] * LANES)
        visible = builder.fcmp_ordered(">", shown, nothing)
        splat = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        lane = ir.IntType(32)
        first = ir.Constant(lane, 0)
        steps = []
        for distance in (1, 2, 4):
            power = builder.extract_element(decays, ir.Constant(lane, distance - 1))
            wide = builder.insert_element(nothing, power, first)
            moved = [LANES + k if k < distance else k - distance for k in range(LANES)]
            order = ir.Constant(ir.VectorType(lane, LANES), moved)
            steps.append((builder.shuffle_vector(wide, wide, splat), order))
        with cgutils.for_range(builder, args[5]) as loop:
            x = builder.select(visible, _load(builder, builder.gep(source, [loop.index])), nothing)
            for power, order in steps:
                x = builder.fadd(x, builder.fmul(power, builder.shuffle_vector(x, nothing, order)))
            slot = builder.gep(last, [loop.index])
            before = builder.insert_element(nothing, builder.load(slot), first)
            x = builder.fadd(x, builder.fmul(decays, builder.shuffle_vector(before, before, splat)))
            _store(builder, x, builder.gep(target, [loop.index]))
            builder.store(builder.extract_element(x, ir.Constant(lane, LANES - 1)), slot)
        return context.get_dummy_value()

    return types.void(out, sums, open_, powers, carry, _index), emit
