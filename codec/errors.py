"""What can go wrong with a file, a picture or a model: one class per case, all of them CodecError.

A message is one sentence with the failing value and what to do; it does not repeat the name of the input
file, which the command line puts before it.
"""

from runtime.errors import UserError


class CodecError(UserError):
    """Base of every error this room raises for bad input."""


class NotAnLmcFile(CodecError):
    """The data does not start with the magic bytes of a compressed image."""


class UnknownVersion(CodecError):
    """The file's format version is not one this program reads."""


class DamagedFile(CodecError):
    """The file is truncated or altered, has bytes too many, or decodes to other pixels than were coded."""


class KeepsAFile(CodecError):
    """The file keeps another one whole, such as a JPEG, where a picture's pixels are asked for."""


class ImageTooLarge(CodecError):
    """More pixels than the caller allows; raised before anything of that size is allocated."""


class UnreadableImage(CodecError):
    """A picture that cannot be opened or is broken."""


class UnsupportedImage(CodecError):
    """A sound picture of a kind that is not coded: palette, 16 bits, several frames, ..."""


class UnsupportedOutput(CodecError):
    """The picture cannot be written losslessly in the format that the output's name asks for."""


class OutputExists(CodecError):
    """The output is there already and overwriting was not asked for."""


class UnwritableOutput(CodecError):
    """The output cannot be written: its folder is missing, or the system refuses."""


class ModelNotFound(CodecError):
    """No bundle of this name, path or identity is at hand."""


class ModelExists(CodecError):
    """Another model has the name of the one that is to be installed."""


class WrongModel(CodecError):
    """The bundle at hand is not the one that the file was made with."""


class UnknownOrder(CodecError):
    """The model does not code in the order that was asked for."""


class PixelsDiffer(CodecError):
    """A decoded picture is not the one it is compared with."""


class InexactCoder(CodecError):
    """The range coder that is installed does not write the words that the format means."""


class ClusterFailed(CodecError):
    """A cluster does not answer, or lost a piece of work again and again."""


class PeerMissing(CodecError):
    """Another codec that is to be compared with is not installed."""
