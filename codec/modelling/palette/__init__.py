"""Palettes, for pictures of at most 256 colours: which colour of the list is the pixel's?
"""
