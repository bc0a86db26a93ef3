"""CIFAR-10 and Fashion-MNIST, for runs at full scale.

No pickle is read: CIFAR-10 comes as its binary release or as JPEG files, Fashion-MNIST in the IDX
format.
"""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.data.fetch import download, file_sha256
from utils.data.labelled import Split, flip_labels
from utils.runtime import generator
from utils.validate import integer, number, require

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
# One label byte and 32×32 pixels, first all of the red, then green, then blue.
CIFAR10_RECORD = 1 + 3 * 32 * 32

# An S3 website endpoint speaks plain http only; the hashes are what vouches for the bytes.
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}
# Bytes before the first entry of an IDX file: what it holds, and the length of each axis.
IDX_IMAGES_HEADER = 16
IDX_LABELS_HEADER = 8

# What the readers of archives and images raise for damaged bytes; Pillow's errors are OSErrors too.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    UnicodeDecodeError,
    OverflowError,
)


class Images(NamedTuple):
    """A whole data set: uint8 images (n, channels, height, width) and int64 labels (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def cifar10(
    n_train: int | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
    n_test: int | None = None,
    archive: str | os.PathLike | None = None,
) -> Split:
    """CIFAR-10 (Krizhevsky 2009) as uint8 images (n, 3, 32, 32), in an order drawn from ``seed``.

    Without ``archive`` and without the environment's ``COURSE_CIFAR``, the original binary release
    is downloaded (50,000 + 10,000 images, 170 MB). ``archive`` may instead name that file, or a
    zip of JPEG images laid out ``train/<class>/<image>.jpg`` and ``test/…``; JPEG is lossy, so
    results on such a set are not results on CIFAR-10: ``source`` tells the two apart and holds the
    archive's SHA-256. Training labels are flipped as in ``digits``.

    Raises ``FileNotFoundError`` without the archive, ``ValueError`` if it is neither of the two
    or damaged, or a number is out of range.
    """
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    seed = integer("seed", seed, 0)
    _require_sizes(n_train, n_test)
    is_path = archive is None or isinstance(archive, str | os.PathLike)
    require(is_path, "archive", "the path of a file", archive)

    path = Path(archive or os.environ.get("COURSE_CIFAR") or download(CIFAR10_URL, CIFAR10_SHA256))
    if not path.is_file():
        raise FileNotFoundError(f"archive (or COURSE_CIFAR) must be an existing file, got {path}")
    try:
        if zipfile.is_zipfile(path):
            name = "CIFAR-10 images, JPEG-compressed"
            images = _cifar_jpeg(path)
        elif tarfile.is_tarfile(path):
            name = "CIFAR-10 binary release"
            images = _cifar_binary(path)
        else:
            allowed = "the binary .tar.gz or a .zip of JPEG images"
            raise ValueError(f"archive must be {allowed}, got {path.name}")
    except DAMAGED as error:
        allowed = "a whole file that can be read"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"archive must be {allowed}, got {path.name}: {reason}") from None

    source = {"name": name, "archive": path.name, "sha256": file_sha256(path)}
    return _subset(images, n_train, n_test, label_noise, seed, source)


def fashion_mnist(
    n_train: int | None = None, label_noise: float = 0.0, seed: int = 0, n_test: int | None = None
) -> Split:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), downloaded (31 MB).

    Images are uint8 (n, 1, 28, 28), 60,000 + 10,000, in an order drawn from ``seed``. Training
    labels are flipped as in ``digits``. Raises ``ConnectionError`` offline, ``ValueError`` for a
    number out of range.
    """
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    seed = integer("seed", seed, 0)
    _require_sizes(n_train, n_test)

    arrays = []
    for file, sha256 in FASHION_SHA256.items():
        path = download(FASHION_URL + file, sha256, name=f"fashion-mnist-{file}")
        raw = gzip.decompress(path.read_bytes())
        if "images" in file:
            pixels = np.frombuffer(raw, np.uint8, offset=IDX_IMAGES_HEADER)
            arrays.append(pixels.reshape(-1, 1, 28, 28))
        else:
            labels = np.frombuffer(raw, np.uint8, offset=IDX_LABELS_HEADER)
            arrays.append(labels.astype(np.int64))
    images = Images(*arrays)  # the files are listed in this order

    source = {"name": "Fashion-MNIST", "sha256": FASHION_SHA256["train-images-idx3-ubyte.gz"]}
    return _subset(images, n_train, n_test, label_noise, seed, source)


def _require_sizes(n_train: int | None, n_test: int | None) -> None:
    """What can be told before a download; the upper ends follow from the archive."""
    for name, value in (("n_train", n_train), ("n_test", n_test)):
        if value is not None:
            integer(name, value, 1)


def _subset(
    images: Images,
    n_train: int | None,
    n_test: int | None,
    label_noise: float,
    seed: int,
    source: dict[str, str],
) -> Split:
    """Shuffle both halves (archives are sorted by class), cut them, flip training labels."""
    all_train = len(images.x_train)
    all_test = len(images.x_test)
    n_train = all_train if n_train is None else integer("n_train", n_train, 1, all_train)
    n_test = all_test if n_test is None else integer("n_test", n_test, 1, all_test)

    rng = generator(seed)
    train = rng.permutation(all_train)[:n_train]  # (n_train,)
    test = rng.permutation(all_test)[:n_test]  # (n_test,)
    y_train, flipped = flip_labels(images.y_train[train], label_noise, rng)
    return Split(
        x_train=images.x_train[train],
        y_train=y_train,
        x_test=images.x_test[test],
        y_test=images.y_test[test],
        flipped=flipped,
        source=source,
    )


def _cifar_binary(archive: Path) -> Images:
    """Read the records of five training files and one test file, in the order of their names."""
    records: dict[str, list[np.ndarray]] = {"data_batch": [], "test_batch": []}
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            half = Path(member.name).stem.rstrip("_12345")  # data_batch_3.bin is of data_batch
            if member.isfile() and member.name.endswith(".bin") and half in records:
                content = tar.extractfile(member)
                assert content is not None  # only a folder or a link has none
                raw = np.frombuffer(content.read(), np.uint8)
                whole = raw.size > 0 and raw.size % CIFAR10_RECORD == 0
                allowed = f"records of {CIFAR10_RECORD} bytes"
                require(whole, member.name, allowed, f"{raw.size} bytes")
                records[half].append(raw.reshape(-1, CIFAR10_RECORD))
        _read_to_end(tar)
    complete = all(records.values())
    require(complete, "archive", "data_batch_1..5.bin and test_batch.bin", archive.name)

    x_train, y_train = _images_and_labels(np.concatenate(records["data_batch"]))
    x_test, y_test = _images_and_labels(np.concatenate(records["test_batch"]))
    known = max(y_train.max(), y_test.max()) < len(CIFAR10_CLASSES)
    require(bool(known), "archive", "labels 0 to 9", archive.name)
    return Images(x_train, y_train, x_test, y_test)


def _read_to_end(tar: tarfile.TarFile) -> None:
    """Read what is left of the archive: at its very end stands the checksum of its compression."""
    stream = tar.fileobj
    while stream is not None and stream.read(2**20):
        pass


def _images_and_labels(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split records (n, 3073) into images (n, 3, 32, 32) and labels (n,)."""
    labels = records[:, 0].astype(np.int64)
    images = records[:, 1:].reshape(-1, 3, 32, 32)
    return images, labels


def _cifar_jpeg(archive: Path) -> Images:
    """Decode ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``."""
    with zipfile.ZipFile(archive) as pack:
        x_train, y_train = _jpeg_half(pack, "train")
        x_test, y_test = _jpeg_half(pack, "test")
    return Images(x_train, y_train, x_test, y_test)


def _jpeg_half(pack: zipfile.ZipFile, half: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) of one half of the archive."""
    from PIL import Image  # comes with matplotlib

    files = []
    for name in sorted(pack.namelist()):
        file = Path(name)
        is_jpeg = name.lower().endswith((".jpg", ".jpeg"))
        if is_jpeg and len(file.parts) == 3 and file.parts[0] == half:
            files.append(file)
    classes = {file.parts[1] for file in files}
    complete = classes == set(CIFAR10_CLASSES)
    require(complete, f"{half}/ in archive", "CIFAR-10's ten classes", classes)

    images = np.empty((len(files), 3, 32, 32), np.uint8)
    labels = np.empty(len(files), np.int64)
    for i, file in enumerate(files):
        with pack.open(file.as_posix()) as stream, Image.open(stream) as image:
            require(image.size == (32, 32), file.as_posix(), "32×32 pixels", image.size)
            pixels = np.asarray(image.convert("RGB"))  # (32, 32, 3)
        images[i] = pixels.transpose(2, 0, 1)  # (3, 32, 32)
        labels[i] = CIFAR10_CLASSES.index(file.parts[1])
    return images, labels
