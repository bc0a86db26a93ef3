"""CIFAR-10 and Fashion-MNIST, for runs at full scale. No pickle: the binary releases, or JPEG files."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from utils.data.fetch import download, file_sha256
from utils.data.labelled import Split, flip_labels
from utils.validate import integer, number, require

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
# An S3 website endpoint speaks plain http only; the hashes are what vouches for the bytes.
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}

# What the readers of archives and images raise for damaged bytes; Pillow's errors are OSErrors too.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, SyntaxError,
    NotImplementedError, RuntimeError, struct.error, UnicodeDecodeError, OverflowError,
)  # fmt: skip


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
    label_noise, seed = number("label_noise", label_noise, 0.0, 1.0), integer("seed", seed, 0)
    _require_sizes(n_train, n_test)
    good = archive is None or isinstance(archive, str | os.PathLike)
    require(good, "archive", "the path of a file", archive)
    archive = archive or os.environ.get("COURSE_CIFAR") or download(CIFAR10_URL, CIFAR10_SHA256)
    archive = Path(archive)
    if not archive.is_file():
        raise FileNotFoundError(
            f"archive (or COURSE_CIFAR) must be an existing file, got {archive}"
        )
    try:
        if zipfile.is_zipfile(archive):
            arrays, name = _cifar_jpeg(archive), "CIFAR-10 images, JPEG-compressed"
        elif tarfile.is_tarfile(archive):
            arrays, name = _cifar_binary(archive), "CIFAR-10 binary release"
        else:
            allowed = "the binary .tar.gz or a .zip of JPEG images"
            raise ValueError(f"archive must be {allowed}, got {archive.name}")
    except DAMAGED as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"archive must be a whole file that can be read, got {archive.name}: {line}"
        ) from None
    source = {"name": name, "archive": archive.name, "sha256": file_sha256(archive)}
    return _subset(arrays, n_train, n_test, label_noise, seed, source)


def fashion_mnist(
    n_train: int | None = None, label_noise: float = 0.0, seed: int = 0, n_test: int | None = None
) -> Split:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), downloaded (31 MB).

    Images are uint8 (n, 1, 28, 28), 60,000 + 10,000, in an order drawn from ``seed``. Training
    labels are flipped as in ``digits``. Raises ``ConnectionError`` offline, ``ValueError`` for a
    number out of range.
    """
    label_noise, seed = number("label_noise", label_noise, 0.0, 1.0), integer("seed", seed, 0)
    _require_sizes(n_train, n_test)
    arrays = []
    for file, digest in FASHION_SHA256.items():
        raw = gzip.decompress(
            download(FASHION_URL + file, digest, name=f"fashion-mnist-{file}").read_bytes()
        )
        image_file = "images" in file
        values = np.frombuffer(
            raw, np.uint8, offset=16 if image_file else 8
        )  # IDX header, big-endian
        arrays.append(values.reshape(-1, 1, 28, 28) if image_file else values.astype(np.int64))
    source = {"name": "Fashion-MNIST", "sha256": FASHION_SHA256["train-images-idx3-ubyte.gz"]}
    return _subset(tuple(arrays), n_train, n_test, label_noise, seed, source)


def _require_sizes(n_train: int | None, n_test: int | None) -> None:
    """What can be told before a download; the upper ends follow from the archive."""
    for name, value in (("n_train", n_train), ("n_test", n_test)):
        if value is not None:
            integer(name, value, 1)


def _subset(arrays, n_train, n_test, label_noise, seed, source) -> Split:
    """Shuffle both halves (archives are sorted by class), cut them, flip training labels."""
    x_train, y_train, x_test, y_test = arrays
    n_train = len(x_train) if n_train is None else integer("n_train", n_train, 1, len(x_train))
    n_test = len(x_test) if n_test is None else integer("n_test", n_test, 1, len(x_test))
    rng = np.random.default_rng(seed)
    train, test = rng.permutation(len(x_train))[:n_train], rng.permutation(len(x_test))[:n_test]
    noisy, flipped = flip_labels(y_train[train], label_noise, rng)
    return Split(x_train[train], noisy, x_test[test], y_test[test], flipped, source)


def _cifar_binary(archive: Path) -> tuple[np.ndarray, ...]:
    """Records of one label byte and 3072 pixels, red plane first, in five training files and one test."""
    halves: dict[str, list[np.ndarray]] = {"data_batch": [], "test_batch": []}
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            stem = Path(member.name).name.removesuffix(".bin").rstrip("_12345")
            if member.isfile() and member.name.endswith(".bin") and stem in halves:
                raw = np.frombuffer(tar.extractfile(member).read(), np.uint8)
                whole = raw.size > 0 and raw.size % 3073 == 0
                require(whole, member.name, "records of 3073 bytes", f"{raw.size} bytes")
                halves[stem].append(raw.reshape(-1, 3073))
        while tar.fileobj.read(
            1 << 20
        ):  # to the very end: there stands the checksum of the compression
            pass
    require(all(halves.values()), "archive", "data_batch_1..5.bin and test_batch.bin", archive.name)
    train, test = (np.concatenate(half) for half in halves.values())
    require(max(train[:, 0].max(), test[:, 0].max()) <= 9, "archive", "labels 0 to 9", archive.name)
    images = [half[:, 1:].reshape(-1, 3, 32, 32) for half in (train, test)]
    return images[0], train[:, 0].astype(np.int64), images[1], test[:, 0].astype(np.int64)


def _cifar_jpeg(archive: Path) -> tuple[np.ndarray, ...]:
    """Decode ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``. Pillow comes with matplotlib."""
    from PIL import Image

    arrays = []
    with zipfile.ZipFile(archive) as pack:
        for half in ("train", "test"):
            files = [
                Path(name)
                for name in sorted(pack.namelist())
                if name.lower().endswith((".jpg", ".jpeg"))
            ]
            files = [file for file in files if file.parts[0] == half and len(file.parts) == 3]
            classes = {file.parts[1] for file in files}
            require(
                classes == set(CIFAR10_CLASSES),
                f"{half}/ in archive",
                "CIFAR-10's ten classes",
                classes,
            )
            images = np.empty((len(files), 3, 32, 32), np.uint8)
            for i, file in enumerate(files):
                with pack.open(file.as_posix()) as stream, Image.open(stream) as image:
                    require(image.size == (32, 32), file.as_posix(), "32×32 pixels", image.size)
                    images[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
            labels = [CIFAR10_CLASSES.index(file.parts[1]) for file in files]
            arrays += [images, np.array(labels, np.int64)]
    return tuple(arrays)
