"""Finding a JPEG again in the pixels that a decoder made of it.

detect.py          whether that can be, and where blocks of luma lie, in a few milliseconds
colours.py         which Y, Cb and Cr each pixel can have come from
tables.py          steps of quantisation that are plausible
blocks.py          quantised coefficients of blocks of samples
planes.py          a plane's table and its coefficients from the ranges of its samples
sampling.py        how chroma can have been sampled, and where its blocks lie
interpolation.py   samples from what their upsampling left
search.py          samples and coefficients moved by one until the pixels are right
upsampled.py       coefficients of a plane from the pixels that it was upsampled to
chroma.py          chroma's sampling, steps and coefficients
recover.py         all of it in its order
"""
