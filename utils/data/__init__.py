"""The course's data: scikit-learn's digits, the running Python's own documentation, books, images.

Nothing here unpickles. Digits and documentation need no network; CIFAR-10 and Fashion-MNIST are
fetched once by ``download`` into ``runtime.cache_dir()``, and only when a full-scale run asks.
"""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "fetch": ["download", "file_sha256"],
        "images": ["CIFAR10_CLASSES", "cifar10", "fashion_mnist"],
        "labelled": ["Split", "checked_array", "digits", "flip_labels", "one_hot"],
        "text": ["TEXT_PARTS", "TextCorpus", "python_docs"],
        "books": [
            "Book",
            "encode_books",
            "halves",
            "open_tokens",
            "read_books",
            "train_tokenizer",
            "write_tokens",
        ],
    },
)
