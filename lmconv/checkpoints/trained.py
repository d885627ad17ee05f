"""What a checkpoint says of the images and orders that its network learned."""

from dataclasses import dataclass

from lmconv.config import ImageConfig, ImageTraining, PhotoConfig, PhotoTraining, fixed, orders_of
from lmconv.errors import LmconvError

PHOTOGRAPH = (512, 768)  # photo networks are for any size


@dataclass(frozen=True)
class Trained:
    """`orders` are names as in orders.make, the first is the one that was evaluated in training."""

    orders: tuple[str, ...]
    height: int
    width: int


def trained(network: PhotoConfig | ImageConfig, training: dict) -> Trained:
    """From a checkpoint's network and training; what the latter does not say is as published."""
    if isinstance(network, PhotoConfig):
        return Trained(tuple(f"wavefront:{variant}" for variant in PhotoTraining.variants[:1]), *PHOTOGRAPH)
    order, variants = ("raster", (0,)) if network.raster_only else (ImageTraining.order, ImageTraining.variants)
    order, variants = training.get("order", order), training.get("variants", variants)
    return Trained(
        tuple(fixed(name) for name in orders_of(order, variants)),
        training.get("height", ImageTraining.height),
        training.get("width", ImageTraining.width),
    )


def of_images(network: PhotoConfig | ImageConfig) -> ImageConfig:
    """The network of images. Raises LmconvError for a network that does not draw images by itself."""
    if isinstance(network, PhotoConfig):
        raise LmconvError(
            "a photo network draws no images: it is the codec's, and stands on predictions of pixels that are there"
        )
    return network
