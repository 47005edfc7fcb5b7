"""Every key a run's config may have, read off the structs that decode it: what `docs/config.md` must name."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Union, get_args, get_origin

import msgspec

from adapters.sources import Brackets, Source
from core.config import ConfigKeys
from core.settings.decode import fields_of, unwrapped
from core.settings.encode import to_plain
from core.settings.yaml_nodes import Node
from sim.models import SimulationConfig
from sim.scenarios.market import InstrumentSpec

ELSEWHERE: dict[str, Any] = {
    "simulation": SimulationConfig,
    "instruments.<NAME>": InstrumentSpec,
    "data[].source": Source,
}
"""Sections that stay nodes in core, and what the room they belong to makes of them."""
VENUE = "venue"
"""Read by `core.compose` without a struct: its keys are `name` and `brackets`."""


class Key(NamedTuple):
    """One key of a section and its default: `required`, `none`, or the value as it would stand in the file."""

    name: str
    default: str


class Section(NamedTuple):
    """One mapping of the file: where it stands, its `kind` where there are several, its keys."""

    heading: str
    keys: list[Key]


def sections() -> Iterator[Section]:
    """Every mapping of the file, the shortest path first; a struct that stands in two places is told once."""
    waiting: deque[tuple[str, Any]] = deque([("", ConfigKeys), ("venue.brackets", Brackets)])
    seen: set[type] = set()
    while waiting:
        path, kind = waiting.popleft()
        for struct in _structs(kind):
            if struct in seen:
                continue
            seen.add(struct)
            tag = struct.__struct_config__.tag
            heading = f"{path} kind: {tag}" if tag is not None else path
            yield Section(heading, [Key(field.encode_name, _default(field)) for field in fields_of(struct)])
            for field in fields_of(struct):
                waiting.extend(_inner(f"{path}.{field.encode_name}".lstrip("."), field.type))
    yield Section(VENUE, [Key("name", "required"), Key("brackets", "none")])


def _inner(path: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """What a field's value holds: structs below it, with their paths."""
    base, _ = unwrapped(kind)
    if base is Node or (isinstance(base, types.UnionType) and Node in get_args(base)):
        if path in ELSEWHERE:
            yield path, ELSEWHERE[path]
    elif get_origin(base) is list:
        yield from _inner(f"{path}[]", get_args(base)[0])
    elif get_origin(base) is dict:
        yield from _inner(f"{path}.<NAME>", get_args(base)[1])
    elif get_origin(base) in (Union, types.UnionType):
        for member in get_args(base):
            if not isinstance(member, type) or not issubclass(member, msgspec.Struct):
                yield from _inner(path, member)
            else:
                yield path, member
    else:
        yield path, base


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    for member in get_args(kind) or (kind,):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            yield member


def _default(field: Any) -> str:
    if field.required:
        return "required"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default is None or default == {} or isinstance(default, msgspec.Struct):
        return "none"
    plain = to_plain(default, field.type)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
