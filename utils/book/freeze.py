"""Colab's own list of its packages: read, compared, and installed as nearly as it can be.

``records/colab/pip_freeze.txt`` is what ``pip freeze`` printed on Colab; its head says where it is
from. `unmet` tells whether Colab has what a requirement asks for. `build` makes an environment of
the list elsewhere, for `utils.book.rehearsal`. Some lines name files that only Colab has, and some
packages cannot be installed on another machine, so `compare` tells how an environment differs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from utils.runtime import repo_root
from utils.validate import require

PYTHON = "3.13"  # Colab's, as the names of the wheels in the list say
PYTORCH = "download.pytorch.org"  # whose wheels have the same version on the package index
CUDA = ("cuda-", "nvidia-", "triton")  # how the names of its libraries begin
# What a requirement may depend on, as it is on Colab.
MARKERS = {
    "extra": "",
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
# Run by the environment's Python, whose packages say what draws their widgets.
NPM_PACKAGES = """
from anywidget._version import __version__ as anywidget
from ipywidgets._version import __html_manager_version__ as manager
print(f"@jupyter-widgets/html-manager@{manager} anywidget@{anywidget} requirejs@2.3.6")
"""
BUILD_SECONDS = 150  # after which the building of one package is given up


@dataclass(frozen=True)
class Pinned:
    """One line of a freeze."""

    name: str  # as the package index spells it
    version: str  # without a local part such as +cpu; "" where the line does not tell
    address: str = ""  # of the file that was installed; "" for a release of the package index

    @property
    def public(self) -> bool:
        """Whether a package index has it, rather than one file somewhere."""
        return not self.address or urlsplit(self.address).hostname == PYTORCH


def colab_freeze() -> dict[str, Pinned]:
    """Colab's packages by name, as the committed list has them."""
    path = repo_root() / "records" / "colab" / "pip_freeze.txt"
    return read(path.read_text(encoding="utf-8"))


def read(text: str) -> dict[str, Pinned]:
    """The packages of a freeze by name.

    Raises ``ValueError`` for a line that is neither ``name==version`` nor ``name @ address``.

    >>> read("Scikit_Learn==1.6.1")["scikit-learn"].version
    '1.6.1'
    """
    packages = {}
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            package = _pinned(line)
            packages[package.name] = package
    return packages


def _pinned(line: str) -> Pinned:
    match = re.fullmatch(r"([\w.-]+)(==| @ )(\S+)", line)
    require(match is not None, "a line of the freeze", "name==version or name @ address", line)
    assert match is not None  # for the type checker
    name, kind, rest = match.groups()
    if kind == "==":
        return Pinned(canonicalize_name(name), Version(rest).public)
    return Pinned(canonicalize_name(name), _version_in(rest), address=rest)


def _version_in(address: str) -> str:
    """The version that the file name in an address tells; "" for a commit of a repository."""
    file = unquote(urlsplit(address).path).rpartition("/")[2]
    try:
        version = parse_wheel_filename(file)[1] if file.endswith(".whl") else None
        version = version or parse_sdist_filename(file)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""
    return version.public


def compare(wanted: dict[str, Pinned], found: dict[str, Pinned]) -> dict[str, dict[str, str]]:
    """How one freeze differs from another: what is ``replaced``, ``left_out`` and ``added``.

    >>> differences = compare(read("a==1\\nb==1"), read("a==2\\nc==1"))
    >>> differences["replaced"], differences["left_out"], differences["added"]
    ({'a': '1 → 2'}, {'b': '1'}, {'c': '1'})
    """
    replaced = {}
    for name in sorted(wanted.keys() & found.keys()):
        before, after = wanted[name].version, found[name].version
        if before != after:
            replaced[name] = f"{before} → {after}"
    left_out = {name: _told(wanted[name]) for name in sorted(wanted.keys() - found.keys())}
    added = {name: _told(found[name]) for name in sorted(found.keys() - wanted.keys())}
    return {"replaced": replaced, "left_out": left_out, "added": added}


def _told(package: Pinned) -> str:
    return package.version or package.address


def installed(python: Path) -> dict[str, Pinned]:
    """What ``pip freeze`` of an environment prints. Raises ``ChildProcessError`` if it fails."""
    command = [str(python), "-m", "pip", "freeze", "--all", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ChildProcessError(f"pip freeze of {python} failed: {last_line(done.stderr)}")
    return read(done.stdout)


def last_line(text: str) -> str:
    """The last line that says something, where an error's summary stands."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


# ---- what is asked of it -------------------------------------------------------------------------


def unmet(requirement: str, freeze: dict[str, Pinned]) -> str:
    """Why a freeze does not satisfy a requirement; "" if it does, or if it is for elsewhere.

    >>> colab = read("numpy==2.1.3")
    >>> unmet("numpy>=2,<3", colab)
    ''
    >>> unmet("numpy>=2.2", colab)
    'numpy must be >=2.2, Colab has 2.1.3'
    >>> unmet("torch>=2.8", colab)
    'torch must be >=2.8, Colab has none'
    """
    wanted = Requirement(requirement)
    if wanted.marker is not None and not wanted.marker.evaluate(MARKERS):
        return ""
    package = freeze.get(canonicalize_name(wanted.name))
    allowed = str(wanted.specifier) or "any version"
    if package is None:
        return f"{wanted.name} must be {allowed}, Colab has none"
    if not wanted.specifier.contains(package.version, prereleases=True):
        return f"{wanted.name} must be {allowed}, Colab has {package.version}"
    return ""


def lines(requirements: Path) -> list[str]:
    """The requirements in a file, without its comments."""
    found = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            found.append(requirement)
    return found


def needs(python: Path, requirements: list[str]) -> dict[str, dict[str, Any]]:
    """What the packages of an environment need that ``requirements`` lead to, one after another.

    Gives of each its ``version`` and what it ``requires`` on Colab. The libraries of CUDA are left
    out: they belong to the package index's build of torch, and Colab has another one.
    """
    [packages] = (python.parents[1] / "lib").glob("python*/site-packages")
    there = {}
    for one in distributions(path=[str(packages)]):
        there[canonicalize_name(one.metadata["Name"])] = one
    found: dict[str, dict[str, Any]] = {}
    waiting = list(requirements)
    while waiting:
        name = canonicalize_name(Requirement(waiting.pop()).name)
        if name in found or name not in there:
            continue
        requires = [one for one in there[name].requires or [] if _is_for_colab(one)]
        found[name] = {"version": there[name].version, "requires": sorted(requires)}
        waiting += requires
    return dict(sorted(found.items()))


def _is_for_colab(requirement: str) -> bool:
    wanted = Requirement(requirement)
    fits = wanted.marker is None or wanted.marker.evaluate(MARKERS)
    return fits and not wanted.name.startswith(CUDA)


# ---- building ------------------------------------------------------------------------------------


def build(folder: Path, python: str) -> None:
    """Make the environment ``folder`` with the program ``python``, as near to Colab's as it comes.

    Every package of the list is installed in its version, without asking what it depends on, as the
    list is whole. What has no such version here is replaced by the nearest: the next later one, or
    else the last earlier one. A command that was stopped goes on where it was.

    Raises ``ValueError`` for another Python than Colab's and for a folder that is something else,
    and ``ChildProcessError`` where the environment itself cannot be made.
    """
    asked = subprocess.run([python, "--version"], capture_output=True, text=True)
    version = asked.stdout.removeprefix("Python ").strip()
    require(version.startswith(f"{PYTHON}."), "python", f"Python {PYTHON}", version)
    is_new = not folder.exists() or not any(folder.iterdir())
    is_ours = (folder / "pyvenv.cfg").is_file()
    allowed = "an environment, or a folder that is not there yet"
    require(is_new or is_ours, "FOLDER", allowed, str(folder))

    # The installer lives in an environment of its own: Colab's list does not have it.
    installer = folder / "installer"
    _must_run([python, "-m", "venv", str(folder)])
    _must_run([python, "-m", "venv", str(installer)])
    _must_run([str(installer / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"])

    # PyTorch first and with what it needs: the index has a build that uses CUDA, whose libraries
    # Colab's list, made on a machine without a GPU, does not name.
    packages = sorted(colab_freeze().values(), key=lambda package: package.address == "")
    for package in packages:
        if package.name.startswith(CUDA):
            continue  # the versions that torch has brought are the ones it works with
        if not package.public:
            print(f"{package.name}: left out, it is {package.address}", flush=True)
        elif not _install(folder, package):
            print(f"{package.name} {package.version}: left out, nothing installs", flush=True)


def add_front_end(folder: Path) -> None:
    """Fetch from npm what draws the environment's widgets in a browser, into ``folder/npm``.

    These are the versions that its ipywidgets and anywidget name, and requirejs, which loads them.
    Raises ``ChildProcessError`` where there is no npm, or where it fails.
    """
    python = str(folder / "bin" / "python")
    asked = subprocess.run([python, "-c", NPM_PACKAGES], capture_output=True, text=True, check=True)
    npm = shutil.which("npm")
    if npm is None:
        raise ChildProcessError("the front end of the widgets is left out: there is no npm")
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts"]
    _must_run([npm, "install", *quiet, "--prefix", str(folder / "npm"), *asked.stdout.split()])


def put_back(python: Path, before: dict[str, Pinned], after: dict[str, Pinned]) -> None:
    """Undo what changed the packages of an environment from ``before`` to ``after``.

    Raises ``ChildProcessError`` if pip cannot.
    """
    pip = [str(python), "-m", "pip"]
    added = sorted(after.keys() - before.keys())
    if added:
        _must_run([*pip, "uninstall", "--quiet", "--yes", *added])
    for name, package in before.items():
        if name not in after or after[name].version != package.version:
            _must_run([*pip, "install", "--quiet", "--no-deps", f"{name}=={package.version}"])


def _must_run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ChildProcessError(f"{' '.join(command)} failed: {last_line(done.stderr)}")


def _install(folder: Path, package: Pinned) -> bool:
    """Install one package, or what is nearest to it; False where nothing can be installed."""
    alone = [] if package.address else ["--no-deps"]
    name, version = package.name, package.version
    why = _uv_fault(folder, [*alone, f"{name}=={version}"])
    if not why:
        return True
    print(f"{name} {version}: {why}", flush=True)
    built = ["--only-binary", name]  # what had to be compiled would rarely do better than before
    later = [*built, "--resolution", "lowest-direct", f"{name}>{version}"]
    earlier = [*built, f"{name}<{version}"]
    return any(not _uv_fault(folder, [*alone, *nearest]) for nearest in (later, earlier))


def _uv_fault(folder: Path, arguments: list[str]) -> str:
    """Install with uv into the environment; why that failed, or "" if it did not."""
    uv = folder / "installer" / "bin" / "uv"
    command = [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    process = subprocess.Popen(
        [*command, *arguments],
        env=os.environ | {"UV_NO_CONFIG": "1"},  # not what this machine prefers
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the compilers which it starts can be ended with it
    )
    try:
        said = process.communicate(timeout=BUILD_SECONDS)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"not installed within {BUILD_SECONDS} s"
    return "" if process.returncode == 0 else " ".join(said.split())[:300]
