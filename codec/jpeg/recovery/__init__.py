"""Finding a JPEG again in the pixels that a decoder made of it.

colours.py    which Y, Cb and Cr each pixel can have come from
chroma.py     samples of chroma from what their upsampling left
blocks.py     quantised coefficients of blocks of samples
recover.py    where the blocks lie, their steps, and all of it in its order
"""
