"""A scalar means what the expected type says, exactly, or the message says what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Meta

from core.errors import Problem
from core.notation import Interval, Millis, NonNegativeMillis, Timestamp
from core.settings.decode import decode
from core.settings.encode import to_plain, to_yaml
from core.settings.yaml_nodes import parse, read


def decoded(text: str, kind: Any) -> Any:
    """The value of `v` in a one-line file; the message where there is a problem."""
    problems: list[Problem] = []
    node = read(f"v: {text}", "one.yaml", problems)
    inner = node.value.get("v") if node is not None and isinstance(node.value, dict) else None
    value = None if inner is None else decode(inner, kind, problems)
    assert all(problem.line == 1 for problem in problems)
    return "; ".join(problem.message for problem in problems) if problems else value


# --- single values --------------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("plain words", str, "plain words"),
        ('"NO"', str, "NO"),
        ("'1:30'", str, "1:30"),
        ("y", str, "y"),
        ("perp:BTCUSDT", str, "perp:BTCUSDT"),
        ("true", bool, True),
        ("-12", int, -12),
        ("0.10", Decimal, Decimal("0.10")),
        ('"0.10"', Decimal, Decimal("0.10")),
        ("12345678901234567890.123456789012", Decimal, Decimal("12345678901234567890.123456789012")),
        ("0.5", float, 0.5),
        ('"0.5"', float, 0.5),
        ("5", float, 5.0),
        ("null", int | None, None),
        ("~", Timestamp | None, None),
        ("red", Colour, Colour.RED),
        ("isolated", Literal["isolated", "cross"], "isolated"),
        ("2", Literal[1, 2], 2),
        ("[1, 2]", list[int], [1, 2]),
        ("[1, 2]", tuple[int, ...], (1, 2)),
        ('["99.9", 1]', tuple[Decimal, int], (Decimal("99.9"), 1)),
        ('{a: "1"}', dict[str, Decimal], {"a": Decimal(1)}),
        ("a-tag", str | bool, "a-tag"),
        ("true", str | bool, True),
        ("[x, {y: [1, 0.5, null, false]}]", Any, ["x", {"y": [1, 0.5, None, False]}]),
        ("405.4", Millis, 405_400_000),
        ("-0.000001", Millis, -1),
        ('"125"', Millis, 125_000_000),
        ("15m", Interval, 900 * 10**9),
        ("1w", Interval, 7 * 86_400 * 10**9),
    ],
)
def test_a_value_is_what_its_type_says(text: str, kind: Any, value: Any) -> None:
    found = decoded(text, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("NO", str, 'expected text, YAML read NO as false: write "NO"'),
        ("on", str, 'expected text, YAML read on as true: write "on"'),
        ("yes", str, 'expected text, YAML read yes as true: write "yes"'),
        ("1:30", str, 'expected text, YAML read 1:30 as the number 90: write "1:30"'),
        ("0123", str, 'expected text, YAML read 0123 as the number 83: write "0123"'),
        ("1e3", str, 'expected text, some YAML readers take 1e3 for a number: write "1e3"'),
        (".inf", str, 'expected text, YAML read .inf as the number inf: write ".inf"'),
        (".nan", str, 'expected text, YAML read .nan as the number nan: write ".nan"'),
        ("2025-05-04", str, 'expected text, YAML read 2025-05-04 as a date: write "2025-05-04"'),
        ("5", str, 'expected text, YAML read 5 as a number: write "5"'),
        ("null", str, 'expected text, YAML read null as nothing: write "null"'),
        ("", str, "expected text, found nothing"),
        ("[a]", str, "expected text, found a list"),
        ("yes", bool, "expected true or false, found yes: write true"),
        ("True", bool, "expected true or false, found True: write true"),
        ('"true"', bool, 'expected true or false, found "true": remove the quotes'),
        ("1", bool, "expected true or false, found 1"),
        ("1e3", Decimal, "expected a plain decimal number: write 1000, found 1e3"),
        ('"1e-7"', Decimal, 'expected a plain decimal number: write 0.0000001, found "1e-7"'),
        ("0x1F", Decimal, "expected a plain decimal number: write 31, found 0x1F"),
        ("1_000", int, "expected a plain decimal number: write 1000, found 1_000"),
        (
            "0123",
            int,
            "expected a plain decimal number without leading zeros: write 123, found 0123"
            " (YAML read it as the number 83)",
        ),
        ("1:30", int, "expected a whole number, found 1:30 (YAML read it as the number 90)"),
        (".inf", Decimal, "expected a finite number, found .inf"),
        ('"NaN"', Decimal, 'expected a finite number, found "NaN"'),
        ("-inf", float, "expected a finite number, found -inf"),
        ("1" + "0" * 309, float, "expected a finite number, found " + "1" + "0" * 58 + "…"),
        (".5", Decimal, "expected a plain decimal number: write 0.5, found .5"),
        ("+5", Decimal, "expected a plain decimal number: write 5, found +5"),
        ("NO", Decimal, "expected a decimal number, found NO (YAML read it as false)"),
        ("1" * 35, Decimal, "more than 34 significant digits cannot be kept exactly, found " + "1" * 35),
        ("1.0", int, "expected a whole number, found 1.0"),
        ('"7"', int, 'expected a whole number, found text "7": remove the quotes'),
        ("9223372036854775808", int, "expected a whole number of at most 64 bits, found 9223372036854775808"),
        ("{a: 1}", int, "expected a whole number, found a mapping"),
        ("null", int, "expected a whole number, found nothing"),
        (
            "isolatd",
            Literal["isolated", "cross"],
            "unknown name isolatd, did you mean `isolated`? expected one of: isolated, cross",
        ),
        ("green", Colour, "unknown name green, expected one of: red, blue"),
        ("{a: 1}", list[int], "expected a list, found a mapping"),
        ("[1]", dict[str, int], "expected a mapping, found a list"),
        ("[1, 2, 3]", tuple[int, int], "expected a list of 2, found 3"),
        ("[x, 1, y]", list[int], "expected a whole number, found x; expected a whole number, found y"),
        ("NO", Any, 'YAML read NO as false: write false, or "NO" for the text'),
        (
            "0123",
            Any,
            "expected a plain decimal number without leading zeros: write 123, found 0123"
            " (YAML read it as the number 83)",
        ),
        (".inf", Any, "expected a finite number, found .inf"),
        ("2025-05-04", Any, 'expected text, YAML read 2025-05-04 as a date: write "2025-05-04"'),
        ("1.2345678", Millis, "milliseconds have at most 6 decimals (1 ns = 0.000001 ms), found 1.2345678"),
        ("1e3", Millis, "expected a plain decimal number: write 1000, found 1e3"),
        ("9999999999999", Millis, "so many milliseconds do not fit into 64-bit nanoseconds, found 9999999999999"),
        ("-0.5", NonNegativeMillis, "-0.5 ms is below the minimum 0 ms"),
        ("1M", Interval, "expected an interval like 1s, 1m, 15m, 1h, 4h, 1d or 1w, found 1M"),
        ("0m", Interval, "expected an interval like 1s, 1m, 15m, 1h, 4h, 1d or 1w, found 0m"),
        ("60", Interval, "expected an interval like 1s, 1m, 15m, 1h, 4h, 1d or 1w, found 60"),
        ("21", Annotated[int, Meta(ge=1, le=20)], "21 is above the maximum 20"),
        ('"0.09"', Annotated[Decimal, Meta(ge=0.1)], "0.09 is below the minimum 0.1"),
        ("20", Annotated[int, Meta(lt=20)], "20 must be below 20"),
        ("abcd", Annotated[str, Meta(max_length=3)], "expected at most 3 items or characters, found 4"),
    ],
)
def test_a_wrong_value_is_told_with_what_to_write(text: str, kind: Any, message: str) -> None:
    found = decoded(text, kind)
    assert isinstance(found, str), f"accepted as {found!r}"
    assert found == message


def test_a_decimal_at_a_bound_written_as_a_float_is_inside() -> None:
    """0.1 as a float is a little more than a tenth; the bound means the tenth."""
    assert decoded('"0.1"', Annotated[Decimal, Meta(ge=0.1, le=0.1)]) == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-05-04", "2025-05-04T00:00:00+00:00"),
        ('"2025-05-04"', "2025-05-04T00:00:00+00:00"),
        ("2025-05-04T10:20", "2025-05-04T10:20:00+00:00"),
        ("2025-05-04 10:20:30", "2025-05-04T10:20:30+00:00"),
        ("2025-05-04T10:20:30Z", "2025-05-04T10:20:30+00:00"),
        ('"2025-05-04T10:20:30+02:00"', "2025-05-04T08:20:30+00:00"),
        ("2024-02-29T23:30:00-01:30", "2024-03-01T01:00:00+00:00"),
    ],
)
def test_a_time_is_read_as_utc_nanoseconds(text: str, iso: str) -> None:
    assert decoded(text, Timestamp) == int(datetime.fromisoformat(iso).timestamp()) * 10**9


def test_a_time_keeps_its_last_nanosecond() -> None:
    assert decoded("1970-01-01T00:00:01.000000001Z", Timestamp) == 1_000_000_001
    assert decoded("1970-01-01T00:00:00.5Z", Timestamp) == 500_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-30",
        "2025-5-4",
        "20250504",
        "1746316800000",
        "2025-05-04T25:00",
        "2025-05-04T10:00:60Z",
        "2025-05-04T10:00+15:00",
        "2025-05-04T10:00:00.0000000001Z",
        "1969-12-31",
        "yesterday",
        "[2025-05-04]",
    ],
)
def test_what_is_no_utc_time_is_refused(text: str) -> None:
    assert str(decoded(text, Timestamp)).startswith("expected a")


DECIMALS = some.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**17), max_value=10**17, places=16)


@given(DECIMALS)
def test_a_decimal_survives_writing_and_reading_to_its_last_digit(value: Decimal) -> None:
    for text in (to_yaml(to_plain({"v": value})), f"v: {value:f}"):
        found = decode(parse(text, "x"), dict[str, Decimal], [])
        assert found is not None
        assert found["v"].as_tuple() == value.as_tuple()


@given(some.integers(-(2**63) + 1, 2**63 - 1))
def test_milliseconds_survive_writing_and_reading_to_the_nanosecond(ns: int) -> None:
    text = to_yaml(to_plain({"v": ns}, dict[str, Millis]))
    assert decode(parse(text, "x"), dict[str, Millis], []) == {"v": ns}


@given(some.integers(0, 9 * 10**18))
def test_a_time_survives_writing_and_reading_to_the_nanosecond(ns: int) -> None:
    text = to_yaml(to_plain({"v": ns}, dict[str, Timestamp]))
    assert decode(parse(text, "x"), dict[str, Timestamp], []) == {"v": ns}


BENT_BY_YAML = ["NO", "1e3", "0123", "1:30", "2025-05-04", "", "~", "true", "5", ".inf", "=", "<<", "0o7"]
LEAVES = (
    some.none()
    | some.booleans()
    | some.integers(-(2**63) + 1, 2**63 - 1)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(some.characters(codec="utf-8"), max_size=20)
    | some.sampled_from(BENT_BY_YAML)
)
KEYS = some.from_regex(r"\A[a-z]{1,5}\Z") | some.sampled_from(BENT_BY_YAML)


@given(
    some.recursive(
        LEAVES,
        lambda inner: some.lists(inner, max_size=3) | some.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_plain_value_survives_writing_and_reading(value: Any) -> None:
    assert decode(parse(to_yaml(to_plain({"v": value})), "x"), dict[str, Any], []) == {"v": value}


# --- structs and unions ---------------------------------------------------------------------------------------------


class Nothing(msgspec.Struct, tag_field="kind", tag="none"):
    pass


class SquareRoot(msgspec.Struct, tag_field="kind", tag="square_root"):
    coefficient: Decimal = Decimal(1)
    half_life_ms: Millis = 600_000_000_000


class Fixed(msgspec.Struct, tag_field="kind", tag="fixed"):
    half_bps: Decimal
    low: int = 0
    high: int = 9

    def check(self) -> Iterable[tuple[str, str]]:
        if self.low > self.high:
            yield "low", f"{self.low} is above `high`"


class Homemade(msgspec.Struct):
    """What a user's own module would hold."""

    strength: float = 2.0


ANSWER = 42
Model = Nothing | SquareRoot | Fixed


class Holder(msgspec.Struct):
    model: Model = msgspec.field(default_factory=Nothing)
    rows: list[Fixed] = []
    absent: int | msgspec.UnsetType = msgspec.UNSET


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", Nothing()),
        ("{kind: square_root}", SquareRoot()),
        ('{coefficient: "2"}', SquareRoot(Decimal(2))),
        ("{half_bps: 0.5}", Fixed(Decimal("0.5"))),
        ("{half_life_ms: 1.5}", SquareRoot(half_life_ms=1_500_000)),
        (f'{{kind: "{__name__}:Homemade", strength: 3}}', Homemade(3.0)),
    ],
)
def test_kind_chooses_the_struct_and_its_keys_do_where_it_is_left_out(text: str, value: Any) -> None:
    assert decoded(text, Model) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{kind: square_rot}", "unknown name square_rot, did you mean `square_root`? expected one of: none"),
        ("{kind: NO}", 'expected text, YAML read NO as false: write "NO"'),
        ("{kind: fixed, half_bp: 1}", "unknown key, did you mean `half_bps`?"),
        ("{kind: fixed}", "missing: expected a decimal number"),
        ("{kind: fixed, half_bps: 1, low: 10}", "10 is above `high`"),
        ("fixed", "expected a mapping, found fixed"),
        ("{kind: 'no_such_module_here:X'}", "cannot import no_such_module_here: ModuleNotFoundError"),
        ("{kind: '../x:Y'}", "expected an import path like package.module:Struct"),
        (f"{{kind: '{__name__}:Homemad'}}", "did you mean `Homemade`?"),
        (f"{{kind: '{__name__}:ANSWER'}}", "is no msgspec.Struct"),
    ],
)
def test_a_wrong_kind_is_told_with_the_valid_ones(text: str, message: str) -> None:
    assert message in decoded(text, Model)


def test_a_model_whose_module_fails_is_one_problem_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anyclock_broken_model.py").write_text("raise RuntimeError('first\\nsecond')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert decoded("{kind: 'anyclock_broken_model:X'}", Model) == (
        "cannot import anyclock_broken_model: RuntimeError: first"
    )


def test_a_check_of_a_struct_is_told_at_the_line_of_its_key() -> None:
    problems: list[Problem] = []
    decode(parse("rows:\n- half_bps: 1\n  high: 2\n  low: 3\n- half_bps: x\n", "x"), Holder, problems)
    assert problems == [
        Problem(4, "$.rows[0].low", "3 is above `high`"),
        Problem(5, "$.rows[1].half_bps", "expected a decimal number, found x"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        Holder(),
        Holder(model=SquareRoot(Decimal("0.50"), 1), rows=[Fixed(Decimal("-0.1"))], absent=3),
        Holder(model=Homemade(1e-9)),
    ],
)
def test_a_struct_survives_writing_and_reading(value: Holder) -> None:
    assert decode(parse(to_yaml(to_plain(value)), "x"), Holder, []) == value


def test_a_line_end_only_unicode_knows_is_written_with_its_escape() -> None:
    """PyYAML writes U+0085 in single quotes, where it reads it back as a space."""
    text = to_yaml({"v": "\x85"})
    assert decode(parse(text, "x"), dict[str, str], []) == {"v": "\x85"}


def test_what_the_reader_refused_is_not_told_a_second_time() -> None:
    problems: list[Problem] = []
    node = read("model: {kind: !!str fixed}\n", "x", problems)
    assert node is not None
    decode(node, Holder, problems)
    assert [problem.path for problem in problems] == ["$.model.kind"]
