"""Fixtures of several tests of this room."""

from tests.codec.made_up import fakes, folder

__all__ = ["fakes", "folder"]
