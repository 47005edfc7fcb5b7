"""From a tree of nodes to typed values: `decode(node, type, problems)` finds *all* problems, not the first.

The type says what a scalar means. Understood: msgspec structs (unknown key, missing key, defaults, bounds), unions of
structs told apart by their tag field `kind`, `bool int float Decimal str`, `Literal`, `Enum`, `list`, `tuple`,
`dict[str, T]`, `T | None`, `Annotated[T, msgspec.Meta(...)]`, `Timestamp`, `Millis`, `Interval`, `Node` (left as it
is), `Any`. A struct may have a method `check(self)` that yields (relative path, message) for what its fields must agree
on; it is called when the struct's own keys are all right.
"""

from __future__ import annotations

import importlib
import re
import types
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, overload

import msgspec

from core.errors import Problem
from core.notation import NOTATIONS, Notation
from core.settings.scalars import READERS, advice, choice_of, float_of, int_of, named, nearest, out_of_bounds, text_of
from core.settings.yaml_nodes import REFUSED, Node, escaped, meaning, shown, step_text

T = TypeVar("T")

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""`package.module:Name`. No slash and no leading dot, so it cannot leave the import path."""


class _Failed(Enum):
    FAILED = "failed"


FAILED = _Failed.FAILED
"""Instead of a value whose problem was written down; None is a value."""


@overload
def decode(node: Node, cls: type[T], problems: list[Problem]) -> T | None: ...


@overload
def decode(node: Node, cls: types.UnionType, problems: list[Problem]) -> Any: ...


def decode(node: Node, cls: Any, problems: list[Problem]) -> Any:
    """`node` as a `cls`, a struct or a union of structs. Appends every problem found.

    The result counts only where none were, and is None where no value could be made. A struct with an unknown key is
    still returned, so that the checks around it run and their problems are told in the same list.
    """
    value = value_of(node, cls, problems)
    return None if value is FAILED else value


def value_of(node: Node, kind: Any, problems: list[Problem]) -> Any:
    """As `decode`, for any annotation; `FAILED` where no value could be made."""
    if node.tag == REFUSED:
        return FAILED
    base, notes = unwrapped(kind)
    if base is Node:
        return node
    notation = next((note for note in notes if isinstance(note, NOTATIONS)), None)
    value = _noted(node, notation, problems) if notation else _plain(node, base, problems)
    if value is FAILED or value is None:
        return value
    for meta in notes:
        if isinstance(meta, msgspec.Meta) and (wrong := out_of_bounds(value, meta, notation, shown(node))):
            problems.append(Problem(node.line, node.path, wrong))
            return FAILED
    return value


def _plain(node: Node, base: Any, problems: list[Problem]) -> Any:
    origin = get_origin(base)
    if origin in (Union, types.UnionType):
        return _union(node, base, problems)
    if base is Any:
        return _anything(node, problems)
    if _is_struct(base):
        return _struct_of(node, (base,), problems)
    if origin in (list, tuple) or base in (list, tuple):
        return _sequence(node, base, problems)
    if origin is dict or base is dict:
        return _mapping(node, base, problems)
    try:
        if origin is Literal:
            return choice_of(node, {str(word): word for word in get_args(base)})
        if isinstance(base, type) and issubclass(base, Enum):
            return choice_of(node, {str(member.value): member for member in base})
        return READERS[base](node)
    except ValueError as error:
        problems.append(Problem(node.line, node.path, str(error)))
        return FAILED


# --- structs --------------------------------------------------------------------------------------------------------


def _struct_of(node: Node, members: Sequence[type[msgspec.Struct]], problems: list[Problem]) -> Any:
    """One of several structs, told apart by the tag field where they have one (`kind`)."""
    if not isinstance(node.value, dict):
        return _wrong(node, "a mapping", problems)
    tag_field = members[0].__struct_config__.tag_field
    given = node.value.get(tag_field) if tag_field else None
    if given is None or given.tag == "null":
        keys = {key for key in node.value if key != tag_field}
        fitting = (member for member in members if keys <= {field.encode_name for field in fields_of(member)})
        return _struct(node, next(fitting, members[0]), problems)
    if given.tag == REFUSED:
        return FAILED
    tags = {str(member.__struct_config__.tag): member for member in members}
    try:
        name = text_of(given)
        member = _imported(name, members) if ":" in name else named(name, tags)
    except ValueError as error:
        problems.append(Problem(given.line, given.path, str(error)))
        return FAILED
    return _struct(node, member, problems, tag_field)


def _struct(node: Node, cls: type[msgspec.Struct], problems: list[Problem], tag_field: str | None = None) -> Any:
    assert isinstance(node.value, dict), "the caller has looked"
    fields = {field.encode_name: field for field in fields_of(cls)}
    tag_field = tag_field or cls.__struct_config__.tag_field
    known = [*([tag_field] if tag_field else []), *fields]
    values: dict[str, Any] = {}
    suggested: set[str] = set()
    is_whole = are_keys_right = True
    for key, inner in node.value.items():
        if key in fields:
            values[fields[key].name] = value = value_of(inner, fields[key].type, problems)
            is_whole = is_whole and value is not FAILED
        elif key != tag_field:
            near = nearest(key, known)
            suggested.update([near] if near else [])
            line = node.key_lines.get(key, inner.line)
            problems.append(Problem(line, inner.path, f"unknown key, {advice(near, known)}"))
            are_keys_right = False
    for key, field in fields.items():
        if not field.required or key in node.value:
            continue
        is_whole = False
        if key not in suggested:  # a misspelled key is one mistake, not two
            place = node.path + step_text(key)
            problems.append(Problem(node.line, place, f"missing: expected {expectation(field.type)}"))
    if not is_whole:
        return FAILED
    try:
        built = cls(**values)
    except (TypeError, ValueError) as error:  # a struct's own __post_init__ refuses its fields
        problems.append(Problem(node.line, node.path, str(error)))
        return FAILED
    if are_keys_right:
        checked: Iterable[tuple[str, str]] = built.check() if hasattr(built, "check") else ()
        problems.extend(Problem(*node.place(path), message) for path, message in checked)
    return built


def _imported(name: str, kinds: Sequence[type[msgspec.Struct]]) -> type[msgspec.Struct]:
    """The struct a user's own `package.module:Struct` names: it can stand for one of `kinds`, having what all of them
    have. Raises ValueError in one line, whatever the module did.
    """
    if not IMPORT_PATH.fullmatch(name):
        raise ValueError(f"expected an import path like package.module:Struct, found {escaped(name)}")
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # it is the user's code: anything may come out, and it is told as their problem
        said = (str(error).splitlines() or [""])[0]
        raise ValueError(f"cannot import {module_name}: {type(error).__name__}: {escaped(said)}") from error
    found = getattr(module, attribute, None)
    if isinstance(found, type) and issubclass(found, msgspec.Struct):
        lacking = sorted(name for name in _shared(kinds) if not hasattr(found, name))
        if lacking:
            raise ValueError(f"{name} cannot stand here: it lacks {', '.join(f'`{name}`' for name in lacking)}")
        return found
    if found is not None:
        raise ValueError(f"{name} is no msgspec.Struct: a model is a struct whose fields are its settings")
    structs = [key for key, value in vars(module).items() if _is_struct(value)]
    raise ValueError(f"{module_name} has no {attribute}, {advice(nearest(attribute, structs), structs)}")


@cache
def fields_of(cls: type) -> tuple[msgspec.structs.FieldInfo, ...]:
    """A struct's fields with their types resolved."""
    return msgspec.structs.fields(cls)


def _shared(kinds: Sequence[type[msgspec.Struct]]) -> set[str]:
    """What every one of these structs has: settings, methods, properties."""
    return {name for name in dir(kinds[0]) if name[0] != "_" and all(hasattr(kind, name) for kind in kinds)}


def _is_struct(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, msgspec.Struct)


# --- unions, lists, mappings ----------------------------------------------------------------------------------------


def _union(node: Node, base: Any, problems: list[Problem]) -> Any:
    members = [member for member in get_args(base) if member not in (type(None), msgspec.UnsetType)]
    if node.value is None and type(None) in get_args(base):
        return None
    if Node in members:
        return node
    shapes = {member: _shape(member) for member in members}
    shape = "map" if isinstance(node.value, dict) else "list" if isinstance(node.value, list) else "scalar"
    fitting = [member for member in members if shapes[member] in (shape, "any")]
    structs = tuple(member for member in fitting if _is_struct(member))
    if structs and len(structs) == len(fitting):
        return _struct_of(node, structs, problems)
    if len(members) == 1 or len(fitting) == 1:
        return value_of(node, (fitting or members)[0], problems)
    for member in fitting:
        trial: list[Problem] = []
        value = value_of(node, member, trial)
        if not trial:
            return value
    return _wrong(node, " or ".join(dict.fromkeys(expectation(member) for member in members)), problems)


def _shape(kind: Any) -> str:
    base, _ = unwrapped(kind)
    origin = get_origin(base) or base
    if base is Any:
        return "any"
    if _is_struct(base) or origin is dict:
        return "map"
    return "list" if origin in (list, tuple) else "scalar"


def _sequence(node: Node, base: Any, problems: list[Problem]) -> Any:
    make = get_origin(base) or base
    inner = get_args(base) or (Any,)
    is_any_length = make is list or len(inner) == 1 or inner[-1] is Ellipsis
    if not isinstance(node.value, list):
        return _wrong(node, "a list" if is_any_length else f"a list of {len(inner)}", problems)
    if not is_any_length and len(node.value) != len(inner):
        problems.append(Problem(node.line, node.path, f"expected a list of {len(inner)}, found {len(node.value)}"))
        return FAILED
    kinds = [inner[0]] * len(node.value) if is_any_length else inner
    values = [value_of(item, kind, problems) for item, kind in zip(node.value, kinds, strict=True)]
    return FAILED if any(value is FAILED for value in values) else make(values)


def _mapping(node: Node, base: Any, problems: list[Problem]) -> Any:
    if not isinstance(node.value, dict):
        return _wrong(node, "a mapping", problems)
    inner = (get_args(base) or (str, Any))[1]
    values = {key: value_of(item, inner, problems) for key, item in node.value.items()}
    return FAILED if any(value is FAILED for value in values.values()) else values


def _anything(node: Node, problems: list[Problem]) -> Any:
    """Plain Python values: text, bool, int, float, None, lists and dicts of them. What YAML bends is refused."""
    if isinstance(node.value, list):
        return _sequence(node, list, problems)
    if isinstance(node.value, dict):
        return _mapping(node, dict, problems)
    try:
        if node.value is None or node.quoted:
            return node.value
        if node.value in ("true", "false"):
            return node.value == "true"
        if node.tag in ("int", "float"):
            return float_of(node) if "." in node.value else int_of(node)
        if node.tag == "bool":
            other = meaning(node)
            raise ValueError(f'YAML read {node.raw} as {other}: write {other}, or "{node.raw}" for the text')
        return text_of(node)
    except ValueError as error:
        problems.append(Problem(node.line, node.path, str(error)))
        return FAILED


def _noted(node: Node, notation: Notation, problems: list[Problem]) -> Any:
    if not isinstance(node.value, str):
        return _wrong(node, notation.expected, problems)
    try:
        return notation.read(node.value)
    except ValueError as error:
        problems.append(Problem(node.line, node.path, f"{error}, found {shown(node)}"))
        return FAILED


# --- words of messages ------------------------------------------------------------------------------------------------


def expectation(kind: Any) -> str:
    """What a type wants, in the words of a message."""
    base, notes = unwrapped(kind)
    for note in notes:
        if isinstance(note, NOTATIONS):
            return note.expected
    origin = get_origin(base)
    if origin in (Union, types.UnionType):
        members = [m for m in get_args(base) if m not in (type(None), msgspec.UnsetType)]
        return " or ".join(dict.fromkeys(expectation(member) for member in members))
    if origin is Literal:
        return f"one of: {', '.join(str(word) for word in get_args(base))}"
    if isinstance(base, type) and issubclass(base, Enum):
        return f"one of: {', '.join(str(member.value) for member in base)}"
    if base in (Any, Node):
        return "a value"
    shape = _shape(base)
    return {"map": "a mapping", "list": "a list"}.get(shape) or _SCALAR_WORDS[base]


_SCALAR_WORDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a decimal number",
}


def unwrapped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """An annotation without its `Annotated`, and what was noted there."""
    if get_origin(kind) is Annotated:
        base, *notes = get_args(kind)
        return base, tuple(notes)
    return kind, ()


def _wrong(node: Node, expected: str, problems: list[Problem]) -> _Failed:
    problems.append(Problem(node.line, node.path, f"expected {expected}, found {shown(node)}"))
    return FAILED
