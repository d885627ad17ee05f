"""Numbers and names that TIFF 6.0, its supplements and common writers give to tags, types and compressions."""

from __future__ import annotations

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_COUNTS = 266, 273, 274, 277, 278, 279
PLANAR, PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 284, 317, 320, 322, 323, 324, 325
SUB_IFDS, INK_SET, INKS, DOT_RANGE, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 332, 334, 336, 338, 339
JPEG_AT, JPEG_LENGTH, IMAGE_DEPTH, TILE_DEPTH, DNG_VERSION = 513, 514, 32997, 32998, 50706
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965

# What the samples need to be read and shown: all else is metadata.
NEEDED = (
    *(NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS),
    *(ORIENTATION, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR, COLOR_MAP, TILE_WIDTH),
    *(TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, INK_SET, INKS, DOT_RANGE, EXTRA_SAMPLES, SAMPLE_FORMAT),
)

NAMES = {
    269: "DocumentName",
    270: "ImageDescription",
    271: "Make",
    272: "Model",
    280: "MinSampleValue",
    281: "MaxSampleValue",
    282: "XResolution",
    283: "YResolution",
    285: "PageName",
    296: "ResolutionUnit",
    297: "PageNumber",
    301: "TransferFunction",
    305: "Software",
    306: "DateTime",
    315: "Artist",
    316: "HostComputer",
    318: "WhitePoint",
    319: "PrimaryChromaticities",
    SUB_IFDS: "SubIFDs",
    333: "InkNames",
    700: "XMP",
    33432: "Copyright",
    33550: "ModelPixelScale",
    33723: "IPTC",
    33922: "ModelTiepoint",
    34264: "ModelTransformation",
    34377: "Photoshop",
    EXIF: "EXIF",
    34675: "ICC profile",
    34735: "GeoKeyDirectory",
    34736: "GeoDoubleParams",
    34737: "GeoAsciiParams",
    GPS: "GPS",
    37724: "Photoshop layers",
    INTEROPERABILITY: "Interoperability",
    42112: "GDAL_METADATA",
    42113: "GDAL_NODATA",
}

BYTE, SHORT, LONG, LONG8 = 1, 3, 4, 16
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
UNSIGNED = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # bytes of the types that sizes and offsets have

NONE, LZW, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 8, 32773, 32946
UNREAD_COMPRESSIONS = {
    2: "CCITT run lengths",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    6: "JPEG, old style",
    7: "JPEG",
    9: "JBIG",
    10: "JBIG",
    32766: "NeXT",
    32771: "CCITT run lengths, by words",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGILog",
    34677: "SGILog24",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    34925: "LZMA",
    34926: "Zstandard",
    34927: "WebP",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}

MIN_IS_WHITE, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, CIELAB, ICCLAB, ITULAB = 0, 1, 2, 3, 5, 8, 9, 10
KINDS = {
    MIN_IS_WHITE: "grey",
    BLACK_IS_ZERO: "grey",
    RGB: "rgb",
    PALETTE: "palette",
    SEPARATED: "cmyk",
    CIELAB: "rgb",
    ICCLAB: "rgb",
    ITULAB: "rgb",
}
UNREAD_PHOTOMETRICS = {
    4: "a transparency mask",
    6: "YCbCr",
    32803: "a mosaic of colour filters (CFA)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "LinearRaw",
}
SAMPLE_FORMATS = {3: "floating-point", 5: "complex integer", 6: "complex floating-point"}
