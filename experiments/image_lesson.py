"""What the notebooks' runs on photographs share: the real images, or a rehearsal without them.

With CUDA and the images the networks are really trained. Otherwise three steps of a narrow one on
random pixels show that the loop runs, which is no measurement of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from experiments.images import Images, random_images
from utils.data.images import cifar10
from utils.runtime import device

S = TypeVar("S", bound=Any)  # an experiment's settings; has ``n_train`` and ``n_test``


@dataclass(frozen=True)
class ImageLesson(Generic[S]):
    """Images on the device and the settings that go with them.

    is_real: whether the networks are trained on CIFAR-10 on a GPU. told: what was or was not made.
    """

    settings: S
    images: Images
    is_real: bool
    told: str

    @classmethod
    def prepare(cls, settings: S | None, rehearsal: S, label_noise: float = 0.0) -> Self:
        """The real run of ``settings``, with a share ``label_noise`` of wrong training labels.

        ``rehearsal`` on random pixels for None, without CUDA or without images. Nothing is
        downloaded for it.
        """
        if settings is None or device().type != "cuda":
            return cls.rehearse(rehearsal, "there is no GPU, or the scale is cpu")
        try:
            split = cifar10(settings.n_train, label_noise, 0, settings.n_test)
        except OSError as error:  # no network, or no room for the file
            return cls.rehearse(rehearsal, f"the images cannot be had: {error}")
        told = f"{split.source['name']}: {len(split.y_train)} images"
        if split.flipped.any():
            told += f", {split.flipped.sum()} with a wrong label"
        return cls(settings, Images(split), True, told)

    @classmethod
    def rehearse(cls, settings: S, reason: str) -> Self:
        """Random pixels, as many as ``settings`` asks for, and the ``reason`` told."""
        steps = "Three steps on random pixels, and no result."
        told = f"The real run was not made here: {reason}. {steps}"
        return cls(settings, random_images(settings.n_train, settings.n_test), False, told)
