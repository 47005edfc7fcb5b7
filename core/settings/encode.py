"""From typed values back to the notation of config files: what `core.settings.decode` reads as the same values.

Decimals become quoted strings, times ISO-8601, `Millis` numbers, intervals `15m`;
fields that are None by default and still are None are left out.
"""

from __future__ import annotations

import types
from decimal import Decimal
from enum import Enum
from typing import Any, Union, get_args, get_origin

import msgspec
import yaml

from core.notation import NOTATIONS, Notation, plain
from core.settings.decode import fields_of, unwrapped
from core.settings.yaml_nodes import Node, implicit_tag, misreading


class Bare(str):
    """Text of a number or a word that stands in the file without quotes."""


def to_plain(value: Any, kind: Any = Any) -> Any:
    """Structs, decimals and nanoseconds as dicts, lists, text and numbers; `kind` is the annotation."""
    notation = _notation_of(kind)
    if isinstance(value, Node):
        return _of_node(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return _of_struct(value, kind)
    if isinstance(value, dict):
        inner = _inner(kind, dict)
        return {key: to_plain(item, inner) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, _inner(kind, type(value), at)) for at, item in enumerate(value)]
    if isinstance(value, Decimal):
        return plain(value)
    if notation is not None and isinstance(value, int):
        text = notation.write(value)
        return Bare(text) if implicit_tag(text) in ("int", "float") else text
    return value


def to_yaml(plain: Any) -> str:
    """Plain values as YAML that `core.settings.yaml_nodes` accepts: whatever YAML would bend is quoted."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000)


def _of_struct(value: msgspec.Struct, kind: Any) -> dict[str, Any]:
    config = type(value).__struct_config__
    plain: dict[str, Any] = {}
    if tag_field := _foreign_tag_field(type(value), kind):
        plain[tag_field] = f"{type(value).__module__}:{type(value).__qualname__}"
    elif config.tag_field is not None:
        plain[config.tag_field] = config.tag
    for field in fields_of(type(value)):
        inner = getattr(value, field.name)
        if inner is not msgspec.UNSET and (inner is not None or field.default is not None):
            plain[field.encode_name] = to_plain(inner, field.type)
    return plain


def _foreign_tag_field(cls: type, kind: Any) -> str | None:
    """The tag field of a union whose value is a user's own struct, named by import path."""
    members = [member for member in _members(kind) if isinstance(member, type) and issubclass(member, msgspec.Struct)]
    if not members or cls in members:
        return None
    return members[0].__struct_config__.tag_field


def _of_node(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _of_node(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [_of_node(item) for item in node.value]
    if node.value is None or node.quoted or (node.tag == "str" and not misreading(node)):
        return node.value
    return Bare(node.value)


def _members(kind: Any) -> tuple[Any, ...]:
    base, _ = unwrapped(kind)
    return get_args(base) if get_origin(base) in (Union, types.UnionType) else (base,)


def _notation_of(kind: Any) -> Notation | None:
    _, outer = unwrapped(kind)
    notes = [*outer, *(note for member in _members(kind) for note in unwrapped(member)[1])]
    return next((note for note in notes if isinstance(note, NOTATIONS)), None)


def _inner(kind: Any, make: type, at: int = 0) -> Any:
    """The annotation of what a dict, list or tuple holds."""
    for member in _members(kind):
        base, _ = unwrapped(member)
        if get_origin(base) is make:
            inner = [arg for arg in get_args(base) if arg is not Ellipsis]
            return inner[1] if make is dict else inner[min(at, len(inner) - 1)]
    return Any


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what other readers would bend and writes floats without exponent."""

    def ignore_aliases(self, data: Any) -> bool:
        return True  # aliases are refused by our reader


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    bends = misreading(Node(text, implicit_tag(text), raw=text))
    # PyYAML writes some line ends (U+0085) in single quotes, where they fold into a space.
    is_odd = not text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if bends or is_odd else None)


def _bare(dumper: yaml.SafeDumper, text: Bare) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"tag:yaml.org,2002:{implicit_tag(text)}", str(text))


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = plain(Decimal(repr(value)))
    return dumper.represent_scalar("tag:yaml.org,2002:float", text if "." in text else f"{text}.0")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Bare, _bare)
_Dumper.add_representer(float, _float)
