"""The library that the course's notebooks import: one room per subject.

``ROOMS`` lists the rooms in the order in which they may import one another: a later room may use an
earlier one, never the reverse (``tests/test_rooms.py`` holds this). A room that is a folder opens
its most used names at its door, its ``__init__``, so that ``from utils.models import GPT`` works
without knowing the file; inside ``utils/`` and ``experiments/`` every import names the file.
"""

import sys

from utils.moved import OldNames

ROOMS = (
    # tools, one file each
    "moved",  # old names of modules and commands, and where their content is now
    "lazy",  # names at a room's door that are imported when they are first used
    "validate",  # refuse a bad argument in one line
    "files",  # write a file whole or not at all, one process at a time
    "tensors",  # the same for tensors, as safetensors with a hash
    "runtime",  # device, scale, threads and every random generator
    "checks",  # state a conclusion so that it can fail
    "records",  # results of long runs, stored with where they came from
    "plots",  # the figure style
    # subjects, one folder each
    "data",  # images, labels, text, books, downloads
    "models",  # the transformer, its budget, n-gram rivals, the course's stored models
    "training",  # the loop, its settings, checkpoints, many small networks at once
    "landscape",  # random features, curvature, paths of an optimizer
    "scaling",  # fits and published laws of the loss, IsoFLOP sweeps
    "compression",  # prune, quantize with packed storage, distill
    "sampling",  # transforms of logits, engines, generation, stop strings
    "book",  # its environment, building and serving it, executing notebooks
    "widgets",  # explorers and sliders
    "grading",  # assignments, and grading that does not trust what it runs
)

sys.meta_path.append(OldNames())
