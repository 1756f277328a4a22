"""
What is installed for a library: how many distributions, how large.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement


def footprint(name: str, *packages: str) -> dict[str, float]:
    """
    Count a distribution and all that it needs, extras left out, as files were when they came: without compiled ones.

    Args:
        name: The distribution.

        packages: What belongs to it, where it is installed as a link to a checkout.
    """
    found = {one.metadata["name"]: one for one in _needed(name, {})}
    size = sum(_size(one) for one in found.values())
    size += sum(_size_below(package) for package in packages)
    return {"distributions": len(found), "size": size / 1e6}


def _needed(name: str, seen: dict[str, Distribution]) -> list[Distribution]:
    if name not in seen:
        seen[name] = distribution(name)
        for line in seen[name].requires or ():
            requirement = Requirement(line)
            if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                _needed(requirement.name.lower().replace("_", "-"), seen)
    return list(seen.values())


def _size(one: Distribution) -> int:
    return sum(file.size or 0 for file in one.files or ())


def _size_below(package: str) -> int:
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return sum(
        path.stat().st_size
        for folder in folders or ()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
