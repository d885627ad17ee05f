"""Exact colours, for pictures that are no photographs: is the pixel one of a few colours seen in such a place before?

Contexts of known neighbours, long to short, remember the colours that followed them (contexts.py, memory.py); these,
the colour at the place most like this one (match.py) and the nearest neighbours are candidates (candidates.py), and
each is one decision, yes or no (question.py). While the picture has had few colours a further decision opens the
palette, the list of them all. A position that no candidate solves escapes to the network's path. A colour is one
integer, R 2^16 + G 2^8 + B or the grey value. (This project's, of parts that PAQ's context and match models have.)
"""
