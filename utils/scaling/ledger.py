"""The ledger of forecasts: each was written down before its run, and cannot be changed after it.

A forecast is a file. The seed of its run comes from the file's SHA-256, so whoever alters the
forecast afterwards, be it the loss, the interval or the configuration, has a file that asks for
another run; and the result keeps the hash of the forecast that it answers. That a forecast was
*committed* before its run is what the history of the repository shows.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from utils import records
from utils.data.fetch import file_sha256
from utils.scaling.runs import RunRecord, load_runs
from utils.scaling.spec import RunSpec
from utils.validate import number, require

RUNS = "runs"  # the folder of the results, beside the forecasts


@dataclass(frozen=True)
class Forecast:
    """What was expected of a run.

    name: of the file. spec: the run, with the seed that the file asks for. sha256: of the file.
    loss, low, high: held-out nats per token, the forecast and its interval. level: of the interval,
    in (0, 1). method: how it was made. rivals: name of another law to its {loss, low, high}.
    """

    name: str
    spec: RunSpec
    sha256: str
    loss: float
    low: float
    high: float
    level: float
    method: str
    rivals: dict[str, dict[str, float]]
    date: str


@dataclass(frozen=True)
class Entry:
    """A line of the ledger: a forecast and its run, None as long as it has not been made."""

    forecast: Forecast
    run: RunRecord | None

    @property
    def miss(self) -> float | None:
        """The forecast minus the outcome, as a share of the outcome; None without a run."""
        return None if self.run is None else self.forecast.loss / self.run.loss - 1

    @property
    def inside(self) -> bool | None:
        """Whether the outcome lies in the interval; None without a run."""
        if self.run is None:
            return None
        return self.forecast.low <= self.run.loss <= self.forecast.high


def write_forecast(
    folder: Path,
    name: str,
    spec: RunSpec,
    *,
    loss: float,
    low: float,
    high: float,
    level: float,
    method: str,
    rivals: dict[str, dict[str, float]] | None = None,
    fitted_to: list[str] | None = None,
) -> Path:
    """Write a forecast and return its file.

    spec: the run; its own seed does not count. fitted_to: names of the runs that it rests on.
    Raises ``ValueError`` for an interval that does not hold the forecast or a file that is there
    already: a forecast is written once.
    """
    number("low", low, 0.0)
    number("high", high, low)
    number("loss", loss, low, high)
    number("level", level, 0.0, 1.0, open_low=True, open_high=True)
    path = folder / f"{name}.json"
    require(not path.exists(), "name", "one without a forecast yet", name)
    run = asdict(spec)
    del run["seed"]
    data = {
        "run": run,
        "loss": loss,
        "low": low,
        "high": high,
        "level": level,
        "method": method,
        "rivals": rivals or {},
        "fitted_to": fitted_to or [],
    }
    return records.save(path, data, started=time.time())


def seed_of(sha256: str) -> int:
    """The seed that a forecast's hash asks for: its first eight digits as a number.

    >>> seed_of("0000002a" + 56 * "0")
    42
    """
    return int(sha256[:8], 16)


def read_forecast(path: Path) -> Forecast:
    """The forecast of a file, with the seed that it asks for. Raises ``ValueError`` if damaged."""
    record = records.load(path)
    sha256 = file_sha256(path)
    try:
        data = record.data
        return Forecast(
            name=path.stem,
            spec=RunSpec(**data["run"], seed=seed_of(sha256)),
            sha256=sha256,
            loss=data["loss"],
            low=data["low"],
            high=data["high"],
            level=data["level"],
            method=data["method"],
            rivals=data["rivals"],
            date=record.provenance["date"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is not a forecast: {error}") from None


def read_ledger(folder: Path) -> list[Entry]:
    """Every forecast of a folder with its run, ordered by name.

    Raises ``ValueError`` for a run that answers no forecast: one of them was changed, or removed.
    """
    forecasts = [read_forecast(path) for path in sorted(folder.glob("*.json"))]
    found: list[RunRecord] = []
    if (folder / RUNS).is_dir():
        found = load_runs(folder / RUNS)
    by_hash: dict[Any, RunRecord] = {run.provenance.get("forecast_sha256"): run for run in found}

    entries = []
    for forecast in forecasts:
        run = by_hash.pop(forecast.sha256, None)
        if run is not None:
            same = replace(run.spec, seed=0) == replace(forecast.spec, seed=0)
            same = same and run.spec.seed == seed_of(forecast.sha256)
            require(same, f"run of {forecast.name}", "the one that was forecast", run.spec.name)
        entries.append(Entry(forecast, run))
    lost = sorted(run.spec.name for run in by_hash.values())
    require(not lost, "folder", "one in which every run answers a forecast", lost)
    return entries
