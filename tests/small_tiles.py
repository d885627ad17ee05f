"""Files of small tiles, put together by hand: `compress` makes tiles of 1024 x 1024."""

from itertools import cycle

import numpy as np

from codec.entropy.range_coder import Encoder
from codec.format import container
from codec.format.container import Contents
from codec.format.forms import AsTheyAre, Form
from codec.format.method import MADE, AnyMethod, Independent, Method
from codec.format.picture import KINDS, Group, Header, Picture, Tile, crc_of, digest_of, short_id
from codec.images.samples import Samples
from codec.jpeg.born import Source
from codec.tile_coders import How, tile_coder
from codec.tile_coders.independent import IndependentCoder
from codec.work import cut, no_planes, rows_of
from runtime import Model
from runtime.variants import orient

MASK = Method(network=False, colours=True)


def tiled(
    samples: Samples,
    model: Model,
    *methods: AnyMethod,
    side: int = 16,
    variant: int = 0,
    source: Source | None = None,
    of_others: tuple[AnyMethod, ...] = (MASK,),
    forms: tuple[Form, ...] = (),
) -> bytes:
    """A file whose tiles are coded by these methods in turn, those of further groups by others in turn. source: a JPEG
    that makes some of it, and all of the tiles whose method says so. forms: of the groups, where not as they are."""
    values, slices = samples.values, KINDS[samples.kind].groups
    model_id = short_id(model.manifest.model_id)
    palette = None if samples.palette is None else samples.palette.tobytes()
    size, kind = (samples.width, samples.height), (samples.kind, samples.depth)
    header = Header(*size, *kind, model_id, variant, tile=side, palette=palette)
    nothing = no_planes(samples.height, samples.width)

    def tile(part: np.ndarray, form: Form, method: AnyMethod, made: np.ndarray) -> Tile:
        encoder = Encoder()
        if method != MADE:
            planes, given = (np.array(orient(each, variant), order="C") for each in (form.planes(part), made))
            coder = IndependentCoder() if isinstance(method, Independent) else tile_coder(model)
            coder.code(encoder, planes, method, How(model.threads, lambda pixels: None, given, form.depth))
        return Tile(encoder.finish(), crc_of(part), method.code)

    groups = []
    for at, channels in enumerate(slices):
        form = forms[at] if forms else AsTheyAre(samples.depth, channels.stop - channels.start)
        turns, made = cycle(of_others if at else methods), source.planes if source and at == 0 else nothing
        parts = ((rows_of(values[..., channels], box), cut(made, box)) for box in header.boxes)
        tiles = tuple(tile(part, form, method, given) for (part, given), method in zip(parts, turns))
        groups.append(Group(tiles, form.code, form.used))
    return sealed(samples, header, tuple(groups), source.data if source else None)


def sealed(samples: Samples, header: Header, groups: tuple[Group, ...], jpeg: bytes | None = None) -> bytes:
    """The file of groups, with the digest of the samples."""
    digest = None
    if len(groups) * header.tile_count > 1:
        values = (samples.values[..., channels] for channels in KINDS[header.kind].groups)
        digest = digest_of(rows_of(each, box) for each in values for box in header.boxes)
    return container.pack(Contents(Picture(header, groups, digest), jpeg))
