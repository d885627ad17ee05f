"""JPEG files, byte for byte: their quantised coefficients are coded anew, what stands around them is packed.

segments.py, scans.py, file.py     a file's bytes as coefficients and what is around them, and back
blocks.py, lines.py, continuity.py probabilities of coefficients
coder.py, keep.py                  a payload of the container, and back
"""
