"""The course's data: scikit-learn's digits, the running Python's own documentation, downloaded images.

Nothing here unpickles. Digits and documentation need no network; CIFAR-10 and Fashion-MNIST are
fetched once by ``download`` into ``runtime.cache_dir()``, and only when a full-scale run asks.
"""

from utils.data.fetch import download, file_sha256
from utils.data.images import CIFAR10_CLASSES, cifar10, fashion_mnist
from utils.data.labelled import Split, checked_array, digits, flip_labels, one_hot
from utils.data.text import TEXT_PARTS, TextCorpus, python_docs

__all__ = [
    "CIFAR10_CLASSES",
    "TEXT_PARTS",
    "Split",
    "TextCorpus",
    "checked_array",
    "cifar10",
    "digits",
    "download",
    "fashion_mnist",
    "file_sha256",
    "flip_labels",
    "one_hot",
    "python_docs",
]
