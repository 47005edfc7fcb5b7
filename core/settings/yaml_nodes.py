"""Strict reading of YAML and JSON: text becomes a tree of `Node`s that remember where they stand.

Nothing is constructed and nothing is guessed: a scalar stays the text that was written, and its meaning is decided by
the type that is expected of it (`core.settings.decode`). What YAML makes of unquoted words (`NO`, `1:30`, `0123`) is
kept beside it, so that the message can say so. Refused, all problems together: duplicate keys, tags, anchors and
aliases, merge keys, several documents, an empty file, more than 1 MB, and secrets written out.

Built on the parser's events and not on its composer: the composer has already resolved aliases and tags when it hands
over its nodes, and it recurses as deep as the file wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from core.errors import ConfigError, Problem

SIZE_MAX = 1_000_000
"""Bytes. The largest config we know has 20 kB; a scenario with a long tape may have some hundred."""
DEPTH_MAX = 50
"""Levels of nesting; a run config needs 7."""
SHOWN_MAX = 60
"""Characters of a value that a message repeats."""

REFUSED = "refused"
"""Tag of a node whose problem is already told: the decoder stays silent about it."""

SECRET_KEY = re.compile(
    r"api[-_]?key|secret|passw(or)?d|passphrase|private[-_]?key|mnemonic|(access|auth|api|bearer|bot)[-_]?token",
    re.IGNORECASE,
)
SECRET_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,39}")
"""A longer one is the secret itself, put behind `env:` by mistake: keys of venues have 64 letters and digits."""

_YAML_12_NUMBER = re.compile(r"[-+]?(0o[0-7]+|0x[0-9a-fA-F]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)")
"""What a YAML 1.2 reader takes for a number; PyYAML speaks 1.1 and leaves some of these alone."""
_PLAIN_KEY = re.compile(r"[^\s.\[\]\"'=]+")
_STEP = re.compile(r"\[(?P<index>\d+)\]|\[\"(?P<quoted>[^\"]+)\"\]|(?P<key>[^.\[\]]+)")


@dataclass(frozen=True, slots=True, repr=False)
class Node:
    """One value of a file. Two nodes are equal when they say the same, wherever they stand."""

    value: str | dict[str, Node] | list[Node] | None
    """The raw text of a scalar, a mapping, a list, or None for null."""
    tag: str = "str"
    """What YAML would make of it: str (also: quoted), bool, int, float, null, timestamp, map, seq, `refused` …"""
    path: str = field(default="$", compare=False)
    line: int | None = field(default=None, compare=False)
    """1-based; None where no file has it."""
    quoted: bool = field(default=False, compare=False)
    raw: str = field(default="", compare=False)
    """As written, also for null."""
    file: str = field(default="", compare=False)
    key_lines: dict[str, int | None] = field(default_factory=dict, compare=False)
    """Of a mapping: where each key stands."""

    def __repr__(self) -> str:
        return f"Node({self.path}: {shown(self)})"

    def child(self, key: str) -> Node | None:
        """The value under `key`; None where this is no mapping, the key is absent or its value null or refused."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return None if found is None or found.value is None else found

    def place(self, path: str) -> tuple[int | None, str]:
        """(line, full path) of a relative path like `max_leverage` or `tape[2].at`; the nearest line that exists."""
        here: Node | None = self
        line, full = self.line, self.path
        for step in steps(path):
            full += step_text(step)
            inner: Node | None = None
            if here is not None and isinstance(step, str) and isinstance(here.value, dict):
                line = here.key_lines.get(step, line)
                inner = here.value.get(step)
            elif here is not None and isinstance(step, int) and isinstance(here.value, list):
                inner = here.value[step] if step < len(here.value) else None
                line = line if inner is None else inner.line
            here = inner
            full = full if here is None else here.path
        return line, full


def parse(text: str, file: str) -> Node:
    """The tree of a YAML or JSON text whose top is a mapping. Raises ConfigError with all problems of the text."""
    problems: list[Problem] = []
    node = read(text, file, problems)
    if node is None or problems:
        raise ConfigError(file, problems)
    return node


def read(text: str, file: str, problems: list[Problem]) -> Node | None:
    """As `parse`, but appends what is wrong to `problems`; None where no tree can be made of the text."""
    if len(text) > SIZE_MAX or len(text.encode("utf-8", "surrogatepass")) > SIZE_MAX:
        problems.append(Problem(None, "$", f"larger than {SIZE_MAX} bytes: a config holds settings, not data"))
        return None
    if text.startswith("\ufeff"):
        problems.append(Problem(1, "$", "starts with a byte order mark: save the file as UTF-8 without BOM"))
        text = text[1:]
    if text.lstrip().startswith("{"):  # JSON may be indented with tabs, which PyYAML's own scanner refuses
        text = re.sub(r"^\t+", lambda tabs: " " * len(tabs[0]), text, flags=re.MULTILINE)
    node = Reader(text, file, problems).document()
    if node is not None and not isinstance(node.value, dict):
        problems.append(Problem(node.line, "$", f"expected a mapping (key: value), found {shown(node)}"))
        return None
    return node


def read_value(text: str, path: str, problems: list[Problem]) -> Node | None:
    """The tree of a value given on the command line: a scalar or a flow collection; empty text is null."""
    if not text.strip():
        return Node(None, "null", path)
    return Reader(text, "--set", problems, root=path, has_lines=False).document()


class Reader:
    """Turns one document's parser events into nodes, writing down what must not be in it."""

    def __init__(
        self, text: str, file: str, problems: list[Problem], *, root: str = "$", has_lines: bool = True
    ) -> None:
        self._text = text
        self._file = file
        self._problems = problems
        self._root = root
        self._has_lines = has_lines
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))

    def document(self) -> Node | None:
        """The one document; None when there is none or it cannot be read to its end."""
        try:
            next(self._events)
            if isinstance(next(self._events), yaml.StreamEndEvent):
                self._problem(None, self._root, "the file is empty: expected a mapping (key: value)")
                return None
            node = self._node(next(self._events), self._root, 0)
            next(self._events)
            after = next(self._events)
            if not isinstance(after, yaml.StreamEndEvent):
                self._problem(after, self._root, "a second document begins here: a file holds one")
            return node
        except (yaml.YAMLError, UnicodeEncodeError, _TooDeep) as error:
            self._problems.append(self._unreadable(error))
            return None

    def _node(self, event: Any, path: str, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise _TooDeep(self._line(event))
        if isinstance(event, yaml.AliasEvent):
            self._problem(event, path, f"alias *{event.anchor}: anchors and aliases are refused, write the value out")
            return self._refused(event, path)
        if event.anchor is not None:
            self._problem(event, path, f"anchor &{event.anchor}: anchors and aliases are refused, write the value out")
        is_tagged = event.tag is not None
        if is_tagged:
            self._problem(event, path, f"tag {escaped(event.tag)}: tags are refused, write a plain value")
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, path, depth)
        else:
            node = self._scalar(event, path)
        return self._refused(event, path) if is_tagged else node

    def _scalar(self, event: Any, path: str) -> Node:
        raw: str = event.value
        quoted = bool(event.style)  # the two parsers say None and '' for plain
        tag = "str" if quoted else implicit_tag(raw)
        return Node(None if tag == "null" else raw, tag, path, self._line(event), quoted, raw, self._file)

    def _sequence(self, start: Any, path: str, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
        return Node(items, "seq", path, self._line(start), file=self._file)

    def _mapping(self, start: Any, path: str, depth: int) -> Node:
        values: dict[str, Node] = {}
        lines: dict[str, int | None] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path, depth)
            inner_path = path if key is None else path + step_text(key)
            inner = self._node(next(self._events), inner_path, depth + 1)
            if key is None:
                continue
            if key in values:
                where = f", first on line {lines[key]}" if self._has_lines else ""
                self._problem(event, inner_path, f"duplicate key{where}: keep one")
                continue
            if problem := secret_problem(key, inner):
                self._problem(event, inner_path, problem)
                inner = self._refused(event, inner_path)
            values[key] = inner
            lines[key] = self._line(event)
        return Node(values, "map", path, self._line(start), file=self._file, key_lines=lines)

    def _key(self, event: Any, path: str, depth: int) -> str | None:
        """The text of a key; None where it is none (the problem is written down, its value is read and dropped)."""
        node = self._node(event, path, depth + 1)
        if node.tag == REFUSED:
            return None
        if not isinstance(node.value, str | None):
            self._problem(event, path, "a key must be text, found a list or a mapping")
            return None
        if node.tag == "merge":
            self._problem(event, path, "merge key <<: refused, write the keys out")
            return None
        if reading := misreading(node):
            self._problem(event, path + step_text(node.raw), f"as a key: expected text, {reading}")
            return None
        return node.raw

    def _refused(self, event: Any, path: str) -> Node:
        return Node(None, REFUSED, path, self._line(event), file=self._file)

    def _line(self, event: Any) -> int | None:
        return int(event.start_mark.line) + 1 if self._has_lines else None

    def _problem(self, event: Any, path: str, message: str) -> None:
        self._problems.append(Problem(None if event is None else self._line(event), path, message))

    def _unreadable(self, error: Exception) -> Problem:
        line: int | None = None
        if isinstance(error, _TooDeep):
            return Problem(error.line, self._root, f"nested deeper than {DEPTH_MAX} levels")
        if isinstance(error, yaml.MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            rows = self._text.splitlines()
            line = None if mark is None else min(mark.line + 1, len(rows))  # the end of the text is its last line
            what = " ".join(part for part in (error.problem, error.context) if part)
            if line and "\t" in rows[line - 1]:
                what += " (there is a tab: indent with spaces)"
        elif isinstance(error, yaml.reader.ReaderError):
            line = self._text.count("\n", 0, error.position) + 1
            what = f"{error.reason}, found character number {error.character}"
        else:
            what = "contains characters that are no Unicode text"
        return Problem(line if self._has_lines else None, self._root, f"not readable as YAML: {what}")


class _TooDeep(Exception):
    def __init__(self, line: int | None) -> None:
        self.line = line


# --- what unquoted words mean ---------------------------------------------------------------------------------------


def implicit_tag(raw: str) -> str:
    """What YAML 1.1 makes of an unquoted word: str, bool, int, float, null, timestamp, merge or value."""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in [*resolvers.get(raw[:1], []), *resolvers.get(None, [])]:
        if pattern.match(raw):
            return str(tag).rsplit(":", 1)[-1]
    return "str"


def misreading(node: Node) -> str | None:
    """Why an unquoted word is no text, as the end of a sentence: `YAML read NO as false: write "NO"`."""
    raw = node.raw
    if node.quoted or not isinstance(node.value, str | None):
        return None
    if node.tag == "str":
        if not _YAML_12_NUMBER.fullmatch(raw):
            return None
        return f'some YAML readers take {escaped(raw)} for a number: write "{escaped(raw)}"'
    if node.tag == "null" and not raw:
        return "found nothing"
    return f'YAML read {escaped(raw)} as {meaning(node)}: write "{escaped(raw)}"'


def meaning(node: Node) -> str:
    """In words, what YAML 1.1 makes of an unquoted word: `false`, `the number 83`, `a date`."""
    raw = node.raw
    if node.tag == "bool":
        return "true" if raw.lower() in ("yes", "true", "on") else "false"
    if node.tag in ("int", "float") and len(raw) <= SHOWN_MAX:
        value = yaml.safe_load(raw)
        return "a number" if str(value) == raw else f"the number {value}"
    words = {"int": "a number", "float": "a number", "null": "nothing", "timestamp": "a date"}
    return words.get(node.tag, "something else")


# --- paths and messages ---------------------------------------------------------------------------------------------


def steps(path: str) -> list[str | int]:
    """`data[1].symbol` as ["data", 1, "symbol"]; a key with dots is written `["BTC.P"]`. Raises ValueError."""
    found: list[str | int] = []
    at = 0
    while at < len(path):
        if found and path[at] == ".":
            at += 1
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError(f"expected a path like data[1].symbol, found {escaped(path)}")
        found.append(int(match["index"]) if match["index"] is not None else match["quoted"] or match["key"])
        at = match.end()
    return found


def step_text(step: str | int) -> str:
    """One step as it is appended to a path."""
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) and step.isprintable() else f'["{escaped(step)}"]'


def shown(node: Node) -> str:
    """A value as a message repeats it: `abc`, `"abc"` where quoted, `a mapping`, `a list`, `nothing`."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if node.value is None:
        return "nothing"
    return f'"{escaped(node.value)}"' if node.quoted else escaped(node.value)


def escaped(text: str) -> str:
    """Text that is safe on a terminal: one line, printable, not longer than a message needs."""
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return printable if len(printable) <= SHOWN_MAX else printable[: SHOWN_MAX - 1] + "…"


def secret_problem(key: str, node: Node) -> str | None:
    """What is wrong with a secret that is written out. The message never repeats the value."""
    if node.value is None or not SECRET_KEY.search(key):
        return None
    if isinstance(node.value, str) and SECRET_REFERENCE.fullmatch(node.value):
        return None
    name = re.sub(r"\W+", "_", key).upper()
    return f"a secret must not stand in a file: put it into the environment and write env:{name}"
