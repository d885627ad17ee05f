"""Samples -> file. Every group of planes is cut into tiles, and each tile is coded by what makes it smallest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codec.entropy.range_coder import Encoder
from codec.format import container
from codec.format.container import Contents
from codec.format.forms import AsTheyAre, Form, chosen
from codec.format.method import MADE, AnyMethod, Independent
from codec.format.picture import KINDS, Group, Header, Picture, Tile, crc_of, digest_of, short_id
from codec.format.source import SourceFile
from codec.format.tiles import Box
from codec.images.samples import Samples
from codec.jpeg.born import Source, find_source
from codec.jpeg.origin import Origin
from codec.models import NORMAL, check_effort
from codec.tile_coders import AUTO, SHALLOW, How, Report, tile_coder
from codec.tile_coders.independent import IndependentCoder
from codec.tile_coders.orientation import usual_variant
from codec.tile_coders.stages import alone
from codec.work import Work, cut, no_planes, rows_of
from runtime import Model
from runtime.progress import Progress
from runtime.variants import orient, unorient

_FLAT = {"fast": 0.1, NORMAL: 0.05, "best": 0.005}  # bits of a pixel up to which exact colours alone will do
_LITTLE = 1.0  # bits that a JPEG may take for a subpixel without the walk through pixels being tried as well


@dataclass(frozen=True)
class Compressed:
    """A file's bytes, the negative log-likelihood of all samples in bits, how many tiles were coded by each method, and
    what the JPEG was that made the picture, if one was found."""

    data: bytes
    nll_bits: float
    methods: dict[AnyMethod, int]
    origin: Origin | None = None


@dataclass(frozen=True)
class Analysis:
    """Where the bits of a picture go.

    costs: -log2 of each value's probability, float32 [H, W, C], of its grey or colours: further channels (alpha) are
    not in it. stages: bits that some experts would have spent alone on the decisions that are mixed, and what exact
    colours or a palette took. All of it is that of the walk through pixels, whether or not a JPEG made them.
    """

    costs: np.ndarray
    stages: dict[str, float]


def compress(
    samples: Samples,
    model: Model,
    *,
    effort: str = NORMAL,
    order: str = AUTO,
    source: SourceFile | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Codes samples with a model; on as many threads as the model was loaded with, to the same bytes.

    effort: `fast` uses the network's distribution alone; `normal` learns the picture at hand as well; `best` also codes
    it the way round that a probe finds best. Where colours repeat, several methods are tried and the smallest result is
    kept; decoding takes what one encoding took. Samples of more than 8 bits are coded without the model. order:
    `name:variant`, a name alone for variant 0, or `auto`: with a photo network the way round which takes fewest levels,
    with one of the paper's the best of the bundle's orders, each being tried. With `auto` a picture that a JPEG's
    decoder made is kept as that JPEG's coefficients, and by a photo network where these make other pixels. source: what
    the file shall say of the one that the samples came from. Raises ValueError for another effort, UnknownOrder, and
    UnsupportedImage where the network is for other pictures.
    """
    encoding = _Encoding(samples, model, effort, order)
    jpeg = encoding.find_jpeg(progress)
    ways = [None] if jpeg is None else [jpeg] if _surely_smaller(jpeg, encoding.colours) else [jpeg, None]
    work = encoding.work(len(ways) + len(encoding.forms) - 1, progress)
    groups = [min((encoding.coded(0, work, way) for way in ways), key=lambda way: way.size)]
    groups += [encoding.coded(at, work) for at in range(1, len(encoding.forms))]
    return encoding.file(groups, source)


def analyse(
    samples: Samples, model: Model, *, effort: str = NORMAL, order: str = AUTO, progress: Progress | None = None
) -> Analysis:
    """Where the bits of `compress` go; takes a little longer than it and more memory, and raises what it does."""
    encoding = _Encoding(samples, model, effort, order)
    costs, stages = np.empty(encoding.colours.shape, np.float32), defaultdict[str, float](float)

    def work(box: Box, threads: int, report: Report) -> dict[str, float]:
        planes, how = cut(encoding.colours, box), How(threads, report, depth=encoding.forms[0].depth)
        _, _, encoder = encoding.smallest(0, planes, how, traced=True)
        spent, count = encoder.owned(planes.size + planes[0].size), planes.size
        channels, height, width = orient(planes, encoding.header.variant).shape
        values = spent[:count].reshape(height, width, channels)
        values += spent[count:].reshape(height, width, 1) / channels
        cut(costs, box)[:] = unorient(values.transpose(2, 0, 1), encoding.header.variant)
        return alone(encoder, spent[count:].sum())

    for tile in Work(encoding.header.boxes, 1, model.threads, progress).each(work):
        for stage, bits in tile.items():
            stages[stage] += bits
    return Analysis(costs.transpose(1, 2, 0), dict(stages))


def cost_map(
    samples: Samples, model: Model, *, effort: str = NORMAL, order: str = AUTO, progress: Progress | None = None
) -> np.ndarray:
    """Analysis.costs of samples."""
    return analyse(samples, model, effort=effort, order=order, progress=progress).costs


@dataclass(frozen=True)
class _CodedGroup:
    """A group's tiles, coded with a JPEG that made them or without, and what they took in bits."""

    form: Form
    jpeg: Source | None
    tiles: list[Tile]
    bits: float

    @property
    def size(self) -> int:
        """Bytes of all but header and index."""
        return sum(len(tile.payload or b"") for tile in self.tiles) + (len(self.jpeg.data) if self.jpeg else 0)


class _Encoding:
    """A picture on its way to a file. forms: of its groups; colours: the planes of the first, perhaps a view."""

    def __init__(self, samples: Samples, model: Model, effort: str, order: str) -> None:
        check_effort(effort)
        self._samples, self._model, self._effort, self._order = samples, model, effort, order
        self._coder, self._independent = tile_coder(model), IndependentCoder()
        self._channels = KINDS[samples.kind].groups
        self.forms = [
            chosen(samples.values[..., group], samples.depth, samples.palette if group.start == 0 else None)
            for group in self._channels
        ]
        self.colours = self.forms[0].planes(samples.values[..., self._channels[0]])
        palette = None if samples.palette is None else samples.palette.tobytes()
        height, width = samples.values.shape[:2]
        model_id = short_id(model.manifest.model_id)
        self.header = Header(width, height, samples.kind, samples.depth, model_id, self._variant(), palette=palette)

    def _variant(self) -> int:
        if self.forms[0].depth > SHALLOW:
            return usual_variant(self.colours)
        self._coder.check(self.colours)
        return self._coder.variant(self.colours, self._effort, self._order)

    def find_jpeg(self, progress: Progress | None) -> Source | None:
        """The JPEG that made the picture, if the order is the encoder's choice and there is one."""
        eight = self._samples.depth == SHALLOW and isinstance(self.forms[0], AsTheyAre)
        seen = self._samples.kind.startswith(("rgb", "grey"))
        if not (eight and seen and self._coder.general and self._order == AUTO):
            return None
        return find_source(self.colours, progress)

    def work(self, times: int, progress: Progress | None) -> Work:
        """That of going through the picture so many times."""
        return Work(self.header.boxes, times, self._model.threads, progress)

    def coded(self, at: int, work: Work, jpeg: Source | None = None) -> _CodedGroup:
        """The group of that number."""
        form, values = self.forms[at], self._samples.values[..., self._channels[at]]
        made = jpeg.planes if jpeg else no_planes(*values.shape[:2])

        def code(box: Box, threads: int, report: Report) -> tuple[Tile, float]:
            tile, given = rows_of(values, box), cut(made, box)
            planes = form.planes(tile)
            if np.array_equal(planes, given):
                report(planes[0].size)
                return Tile(b"", crc_of(tile), MADE.code), 0
            payload, method, encoder = self.smallest(at, planes, How(threads, report, given, form.depth))
            return Tile(payload, crc_of(tile), method.code), encoder.bits

        results = work.each(code)
        return _CodedGroup(form, jpeg, [tile for tile, _ in results], sum(bits for _, bits in results))

    def smallest(self, at: int, planes: np.ndarray, how: How, traced: bool = False) -> tuple[bytes, AnyMethod, Encoder]:
        """The payload of a tile's planes by the method that makes it smallest, the method, and what encoded it."""
        methods = self._candidates(at, planes, how)
        shared = replace(how, report=lambda pixels: how.report(pixels / len(methods)))

        def encode(method: AnyMethod) -> tuple[bytes, AnyMethod, Encoder]:
            coder = self._independent if isinstance(method, Independent) else self._coder
            encoder = Encoder(traced)
            turned, given = (np.array(orient(each, self.header.variant), order="C") for each in (planes, how.made))
            coder.code(encoder, turned, method, replace(shared, made=given))
            return encoder.finish(), method, encoder

        found = [encode(methods[0])]
        if methods[0] == Independent.FLAT and 8 * len(found[0][0]) <= _FLAT[self._effort] * planes[0].size:
            how.report(planes[0].size * (1 - 1 / len(methods)))
            return found[0]
        return min([*found, *map(encode, methods[1:])], key=lambda entry: len(entry[0]))

    def _candidates(self, at: int, planes: np.ndarray, how: How) -> Sequence[AnyMethod]:
        """The methods worth trying on a tile's planes."""
        needless = self._independent.candidates(planes, how.depth)
        if how.depth > SHALLOW or needless == [Independent.CONSTANT]:
            return needless
        colours = at == 0 or (at == 1 and self._samples.kind.startswith("cmyk"))
        if not self._coder.general:
            return self._coder.candidates(planes, self._effort, self._order) if at == 0 else [Independent.FLAT]
        if colours:
            return [*needless, *self._coder.candidates(planes, self._effort, self._order, how.made)]
        return [Independent.FLAT, *self._coder.for_masks(self._effort)]

    def file(self, groups: list[_CodedGroup], source: SourceFile | None) -> Compressed:
        """The whole of it."""
        found = tuple(Group(tuple(group.tiles), group.form.code, group.form.used) for group in groups)
        boxes, digest = self.header.boxes, None
        if len(boxes) * len(groups) > 1:
            values = (self._samples.values[..., channels] for channels in self._channels)
            digest = digest_of(rows_of(each, box) for each in values for box in boxes)
        picture, jpeg = Picture(self.header, found, digest), groups[0].jpeg
        if not picture.needs_model:
            picture = replace(picture, header=replace(self.header, model_id=None))
        data = container.pack(Contents(picture, jpeg.data if jpeg else None, source))
        bits = sum(group.bits for group in groups) + (8 * len(jpeg.data) if jpeg else 0)
        methods = Counter(tile.method for tile in picture.tiles)
        return Compressed(data, bits, dict(methods), jpeg.origin if jpeg else None)


def _surely_smaller(jpeg: Source, planes: np.ndarray) -> bool:
    """Whether coefficients take so little for what they make that the walk through pixels need not be tried."""
    right = (jpeg.planes == planes).all(0).sum()
    return 8 * len(jpeg.data) < _LITTLE * right * len(planes)
