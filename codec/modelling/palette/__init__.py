"""Palettes, for pictures of 256 colours at most: which colour of the list does the pixel have?

The list is sent first (listing.py). A colour's index is then a walk down a binary tree of the list, one yes/no decision
a node, mixed from adaptive probabilities in contexts of the neighbours' indices and from how likely the model's own
predictor makes the colours on either side (expected.py, index.py). Neither the network nor any other learning takes
part. (This project's; contexts and mixing are PAQ's.)
"""
