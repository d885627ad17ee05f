"""Pixel orders: rank maps by name, what a position may see under them, regions, pictures. Needs numpy alone.

An order is made by `orders.make("s_curve:5", height, width)`; a new one is a function of rank_maps.py and a line in
its table.
"""

from lmconv.orders.rank_maps import (
    OBSERVED,
    VARIANTS,
    OrderError,
    check_permutation,
    from_file,
    gilbert,
    hilbert,
    make,
    move_last,
    multiscale,
    parse_region,
    parse_variant,
    random,
    raster,
    s_curve,
    s_curve_center_quarter_last,
    wavefront,
)

__all__ = [
    "OBSERVED",
    "VARIANTS",
    "OrderError",
    "check_permutation",
    "from_file",
    "gilbert",
    "hilbert",
    "make",
    "move_last",
    "multiscale",
    "parse_region",
    "parse_variant",
    "random",
    "raster",
    "s_curve",
    "s_curve_center_quarter_last",
    "wavefront",
]
