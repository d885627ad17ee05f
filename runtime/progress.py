"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], object]  # called with how much is done, and of how much
