"""Tile coders: how a picture's tiles go through a range coder, one class for each kind of model.

A tile is coded by one loop in both directions: it is handed an Encoder or a Decoder, and nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from codec.entropy.range_coder import Coder
from codec.format.method import AnyMethod
from codec.modelling.reconstruction import NONE

if TYPE_CHECKING:
    from runtime import Model

AUTO = "auto"  # of orders: the best
SHALLOW = 8  # bits of a plane's values up to which they are uint8, and models are for them
Report = Callable[[float], None]  # told how many pixels more are done


@dataclass(frozen=True, eq=False)
class How:
    """threads: how many may be used for a tile. report: is told of progress. made: what a JPEG makes of the tile, or no
    planes. depth: bits of the planes' values."""

    threads: int
    report: Report
    made: np.ndarray = field(default_factory=lambda: NONE)
    depth: int = SHALLOW


class TileCoder(Protocol):
    """What codes a tile by some kind of model, or by none. Planes are uint8 [C, H, W]."""

    general: bool  # whether it codes any planes: those that a JPEG made, masks

    def check(self, planes: np.ndarray) -> None:
        """Raises UnsupportedImage for a picture that the model is not for, before any work."""

    def variant(self, planes: np.ndarray, effort: str, order: str) -> int:
        """The way round in which a picture is coded. Raises UnknownOrder."""

    def candidates(self, tile: np.ndarray, effort: str, order: str, made: np.ndarray = ...) -> list[AnyMethod]:
        """The methods worth trying on a tile. made: what a JPEG makes of it, or no planes. Raises UnknownOrder."""

    def for_masks(self, effort: str) -> list[AnyMethod]:
        """The methods worth trying on a plane that is no colour."""

    def code(self, coder: Coder, pixels: np.ndarray, method: AnyMethod, how: How) -> None:
        """Runs a tile through a coder: an Encoder is told the pixels, a Decoder's decisions are written into them.

        Raises DamagedFile for what no encoder can have written, or a method that the model has not.
        """


def tile_coder(model: Model) -> TileCoder:
    """The coder for a loaded model."""
    from codec.tile_coders.photo import PhotoCoder
    from codec.tile_coders.squares import SquareCoder

    return {"photo": PhotoCoder, "pixelcnn": SquareCoder}[model.layout.kind](model)
