"""A grid of runs with a record per run: stopped at any moment, it goes on with those that lack one.

``run_grid(specs, folder, tokens, validation)`` trains what has no record in ``folder`` yet;
``load_runs(folder)`` reads what is there. Many short runs together make a study, so a run that was
cut short is simply made again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils import records
from utils.data.books import tokens_digest
from utils.files import locked
from utils.scaling.spec import RunSpec
from utils.scaling.training import train_together
from utils.validate import require


@dataclass(frozen=True)
class RunRecord:
    """One finished run: its spec, its results, and where it came from.

    result: what `utils.scaling.training.Training.result` returns, and "text", the name of what it
    was trained on.
    """

    spec: RunSpec
    result: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def n_params(self) -> int:
        return self.result["n_params"]

    @property
    def tokens(self) -> int:
        return self.result["tokens"]

    @property
    def loss(self) -> float:
        """Held-out cross-entropy at the end, nats per token."""
        return self.result["val_loss"]


def run_grid(
    specs: Sequence[RunSpec],
    folder: Path,
    tokens: np.ndarray,
    validation: np.ndarray,
    *,
    text: str,
    deadline: float = float("inf"),
    tell: bool = True,
    notes: Callable[[RunSpec], dict[str, Any]] = lambda spec: {},
    **how: Any,
) -> list[RunSpec]:
    """Train the specs that have no record in ``folder`` yet, and return those still without one.

    tokens, validation: (n,) ids. text: what they are, for the records. deadline:
    ``time.monotonic()`` after which nothing more is trained. notes: what else the provenance
    of a spec's record must say. how: what `utils.scaling.training.train_together` takes.

    Raises ``ValueError`` for two equal specs or a folder with runs of another text, and ``OSError``
    where it cannot be written or another process trains into it.
    """
    names = [spec.name for spec in specs]
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    require(not repeated, "specs", "runs that all differ", repeated)
    records.require_writable(folder / "run.json")
    digest = tokens_digest(tokens)
    with locked(folder / "runs"):
        waiting = [spec for spec in specs if not _is_there(spec, folder, digest)]
        began = time.time()
        for spec, result in train_together(waiting, tokens, validation, deadline=deadline, **how):
            records.save(
                folder / f"{spec.name}.json",
                {"spec": asdict(spec), "result": result | {"text": text}},
                started=time.time() - result["wall_seconds"],
                seeds=[spec.seed],
                flops=spec.flops,
                tokens_sha256=digest,
                **notes(spec),
            )
            if tell:
                print(
                    f"{spec.name}: {result['val_loss']:.4f} ({time.time() - began:.0f} s)",
                    flush=True,
                )
    return [spec for spec in specs if not (folder / f"{spec.name}.json").exists()]


def load_runs(folder: str | Path) -> list[RunRecord]:
    """Every run with a record in ``folder``, ordered by name.

    folder: a path, or a name under ``records/`` such as "scaling/runs". Raises
    ``FileNotFoundError`` where there is no such folder and ``ValueError`` for a damaged record.
    """
    path = folder if isinstance(folder, Path) else records.path_of(folder).with_suffix("")
    if not path.is_dir():
        raise FileNotFoundError(f"there are no runs yet: no folder {path.name} in records/")
    return [_load(file) for file in sorted(path.glob("*.json"))]


def _load(file: Path) -> RunRecord:
    record = records.load(file)
    try:
        spec = RunSpec(**record.data["spec"])
        run = RunRecord(spec, dict(record.data["result"]), record.provenance)
        float(run.loss)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file.name} is not the record of a run: {error}") from None
    return run


def _is_there(spec: RunSpec, folder: Path, digest: str) -> bool:
    """Whether ``folder`` holds this run. Raises ``ValueError`` for one of another text."""
    file = folder / f"{spec.name}.json"
    if not file.exists():
        return False
    found = _load(file).provenance.get("tokens_sha256")
    require(found == digest, "folder", "one with runs of the same text", folder.name)
    return True


def arrays(runs: Iterable[RunRecord]) -> dict[str, np.ndarray]:
    """``n_params``, ``n_tokens``, ``loss``, ``flops`` and ``seed`` of the runs, (n_runs,) each."""
    listed = list(runs)
    return {
        "n_params": np.array([run.n_params for run in listed], dtype=float),
        "n_tokens": np.array([run.tokens for run in listed], dtype=float),
        "loss": np.array([run.loss for run in listed]),
        "flops": np.array([run.result["flops"] for run in listed]),
        "seed": np.array([run.spec.seed for run in listed]),
    }
