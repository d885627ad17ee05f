"""Another name of the package `codec`, for programs that have one of their own: `import lmconv_codec as codec`."""

import sys

import codec

sys.modules[__name__] = codec
