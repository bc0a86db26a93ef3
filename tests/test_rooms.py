"""Imports between the rooms of ``utils/`` go in one direction, the order written in its docstring."""

from __future__ import annotations

import ast

import utils
from utils.runtime import repo_root


def imports(path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] == "utils"
        ):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


def rooms() -> dict[str, list]:
    folder = repo_root() / "utils"
    found: dict[str, list] = {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).parts[0].removesuffix(".py")
        if name not in ("__init__", "moved"):
            found.setdefault(name, []).append(path)
    return found


def test_every_room_is_in_the_list():
    assert sorted(rooms()) == sorted(utils.ROOMS)


def test_a_room_imports_only_earlier_ones():
    position = {room: i for i, room in enumerate(utils.ROOMS)}
    wrong = [
        f"{room} imports {used}"
        for room, paths in rooms().items()
        for path in paths
        for used in imports(path)
        if used != room and position[used] > position[room]
    ]
    assert wrong == []


def test_nothing_can_load_a_pickle():
    for path in (path for paths in rooms().values() for path in paths):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                {a.name for a in node.names}
                if isinstance(node, ast.Import | ast.ImportFrom)
                else set()
            )
            assert not names & {"pickle", "joblib", "dill"}, path.name
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) != "torch.load", path.name
                allowed = [k.value for k in node.keywords if k.arg == "allow_pickle"]
                assert all(isinstance(v, ast.Constant) and v.value is False for v in allowed), (
                    path.name
                )


def test_rooms_stay_small():
    large = {
        p.name: n
        for ps in rooms().values()
        for p in ps
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert large == {}
