"""Palettes, for pictures of 256 colours at most: which of the listed colours does the pixel have?

The list is sent first (listing.py). Then the index of each pixel's colour is a walk down a binary tree of the list, one
decision a node (index.py), mixed from what came in contexts of the neighbours' indices and from how likely the model's
own predictor makes the colours on either side (expected.py). Nothing else of the model takes part. (This project's; the
mixing in many contexts is PAQ's.)
"""
