"""Lists of layers with a type for what they hold, which PyTorch's have not."""

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

from torch import nn

Module = TypeVar("Module")


def module_list(modules: Iterable[Module]) -> Sequence[Module]:
    """An nn.ModuleList of layers, or of lists of them."""
    return cast("Sequence[Module]", nn.ModuleList(cast("Iterable[nn.Module]", modules)))
