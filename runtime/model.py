"""What a bundle says of itself, and a loaded one: common to all kinds of models."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from runtime import rules
from runtime.network import Network, Probe

FORMAT = 1


class Layout(Protocol):
    """How a kind of models is run: all of it decides probabilities. Made from JSON by `read`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # which `asdict` makes the manifest of
    kind: ClassVar[str]
    model: ClassVar[type[Model]]  # what a bundle of this kind becomes

    @property
    def order(self) -> str:
        """In words."""

    @property
    def orders(self) -> tuple[str, ...]:
        """The names of those to choose from."""

    @classmethod
    def read(cls, fields: dict) -> Layout:
        """Raises ValueError, TypeError, KeyError or AttributeError for what is no layout."""

    def check(self, tables: dict[str, np.ndarray]) -> None:
        """Raises BundleError for fields, and tables of this kind alone, that are not sound (runtime/tables.py)."""

    def fits(self, probe: Probe) -> bool:
        """Whether the probe has the shapes that it takes; may raise as `read` does."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    name: str
    model_id: str  # 64 hex digits
    layout: Layout
    parameters: int = 0
    bits_per_subpixel: float | None = None
    card: dict = field(default_factory=dict)
    members: dict = field(default_factory=dict)
    rules: int = rules.VERSION
    format: int = FORMAT

    @property
    def kind(self) -> str:
        """Of the layout."""
        return self.layout.kind

    @property
    def order(self) -> str:
        """In words."""
        return self.layout.order

    def identity_text(self) -> str:
        """The part of the manifest that decides probabilities, as canonical JSON."""
        return json.dumps({"rules": self.rules, "kind": self.kind, "layout": asdict(self.layout)}, sort_keys=True)

    def to_json(self) -> str:
        """What a bundle holds of it."""
        return json.dumps(asdict(self) | {"kind": self.kind}, indent=1, sort_keys=True)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded bundle: the network (a step runs on one thread) and the tables of its distribution."""

    manifest: Manifest
    network: Network
    tables: dict[str, np.ndarray]
    threads: int  # how many the user of the model may use

    @property
    def layout(self) -> Layout:
        """How it is run."""
        return self.manifest.layout
