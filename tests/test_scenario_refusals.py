"""Scenario files that are wrong: every mistake is told at once, with line, path and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigError, Problem
from core.settings.yaml_nodes import Node
from sim.scenarios.format import load_scenario, read_scenario
from sim.scenarios.venue import read_models as models_reader

SMALLEST = """\
name: the smallest scenario
venue: binance-usdm
instruments: {X: {tick: "0.1", step: "0.001"}}
"""
"""Three lines; what a test adds stands on line 4 and below."""


def refusals(text: str) -> list[Problem]:
    """The problems of a text that must be refused."""
    with pytest.raises(ConfigError) as caught:
        read_scenario(text, "scenario.yaml")
    return caught.value.problems


ROW = "tape:\n  - {at: 0, symbol: X, %s}\n"
SUBMIT = "requests:\n  - {at: 0, submit: {id: a, symbol: X, side: buy, %s}}\n"
EXPECT = "requests:\n  - {at: 0, submit: {id: abc, symbol: X, side: buy, type: market, qty: 1}}\nexpect:\n  - {%s}\n"
LIMIT = 'type: limit, qty: "1", price: "9"'

ILLEGAL = {
    "unknown key": ("requets: []\n", [(4, "$.requets", "unknown key, did you mean `requests`?")]),
    "number": ("seed: -1\n", [(4, "$.seed", "-1 is below the minimum 0")]),
    "row of no kind": (
        "tape:\n  - {at: 0, symbol: X}\n",
        [(5, "$.tape[0]", "expected exactly one of `depth`, `quote`, `trade`, `bar`, `mark`, *")],
    ),
    "row of two kinds": (
        ROW % 'index: {price: "1"}, reference: {price: "1"}',
        [(5, "$.tape[0].reference", "stands beside `index`; expected exactly one, write a row for each")],
    ),
    "row of an unknown symbol": (
        'tape:\n  - {at: 0, symbol: Z, index: {price: "1"}}\n',
        [(5, "$.tape[0].symbol", "`Z` is not in `instruments`")],
    ),
    "row received before it happened": (
        ROW % 'received_at: -1, index: {price: "1"}',
        [(5, "$.tape[0].received_at", "is before `at`: a row is not received before it happened")],
    ),
    "negative depth": (
        ROW % 'depth: {bids: [["0", "1"], ["9", "-1"]]}',
        [
            (5, "$.tape[0].depth.bids[0][0]", "0 must be above 0"),
            (5, "$.tape[0].depth.bids[1][1]", "-1 is below the minimum 0"),
        ],
    ),
    "side of a print": (
        ROW % 'trade: {side: bid, price: "1", qty: "1"}',
        [(5, "$.tape[0].trade.side", "unknown name bid, *")],
    ),
    "quote without a side": (ROW % "quote: {}", [(5, "$.tape[0].quote", "expected `bid: [price, qty]`, *")]),
    "bar with high below close": (
        ROW % 'bar: {interval_ms: 1, open: "5", high: "6", low: "4", close: "7", volume: "0"}',
        [(5, "$.tape[0].bar.high", "6 is below another price of the bar")],
    ),
    "funding by rate and premium": (
        ROW % 'funding: {rate: "0", premium: "0"}',
        [(5, "$.tape[0].funding", "expected exactly one of `rate` and `premium`")],
    ),
    "l3 add without price": (
        ROW % 'l3: {action: add, id: a, side: buy, qty: "1"}',
        [(5, "$.tape[0].l3.price", "missing: `action: add` needs it")],
    ),
    "mark half a bar": (
        ROW % 'mark: {open: "1", close: "1"}',
        [(5, "$.tape[0].mark", "expected `price`, or `interval_ms`, `open`, `high`, `low` and `close`")],
    ),
    "submit without size": (SUBMIT % "type: market", [(5, "$.requests[0].submit.qty", "missing: *")]),
    "submit with two sizes": (
        SUBMIT % 'type: market, qty: "1", quote_qty: "1"',
        [
            (5, "$.requests[0].submit.quote_qty", "stands beside `qty`; expected one of them"),
            (5, "$.requests[0].submit.quote_qty", "is a rule of binance-spot and bybit-spot; this *"),
        ],
    ),
    "limit without price": (
        SUBMIT % 'type: limit, qty: "1"',
        [(5, "$.requests[0].submit.price", "missing: a `limit` order needs it (or `price_match`)")],
    ),
    "limit with price and peg": (
        SUBMIT % f"{LIMIT}, price_match: queue",
        [(5, "$.requests[0].submit.price_match", "stands beside `price`; expected one of them")],
    ),
    "market with price": (
        SUBMIT % 'type: market, qty: "1", price: "9"',
        [(5, "$.requests[0].submit.price", "belongs to limit types, not to `market`")],
    ),
    "stop without trigger": (
        SUBMIT % 'type: stop_market, qty: "1"',
        [(5, "$.requests[0].submit.trigger_price", "missing: a `stop_market` order needs it")],
    ),
    "limit with trigger": (
        SUBMIT % f'{LIMIT}, trigger_price: "9"',
        [(5, "$.requests[0].submit.trigger_price", "belongs to stop and take-profit types, not to `limit`")],
    ),
    "trailing without trail": (
        SUBMIT % 'type: trailing_stop_market, qty: "1"',
        [(5, "$.requests[0].submit", "a `trailing_stop_market` order needs exactly one of *")],
    ),
    "gtd without good_till": (
        SUBMIT % f"{LIMIT}, tif: gtd",
        [(5, "$.requests[0].submit.good_till", "missing: `tif: gtd` needs it, milliseconds after `start`")],
    ),
    "good_till without gtd": (
        SUBMIT % f"{LIMIT}, good_till: 5",
        [(5, "$.requests[0].submit.good_till", "belongs to `tif: gtd`")],
    ),
    "slippage without its type": (
        SUBMIT % 'type: market, qty: "1", slippage_tolerance: "0.3"',
        [
            (5, "$.requests[0].submit.slippage_tolerance", "`slippage_tolerance_type` and *"),
            (5, "$.requests[0].submit.slippage_tolerance", "is a rule of bybit-linear and bybit-spot; *"),
        ],
    ),
    "group of one": (
        SUBMIT % f"{LIMIT}, oco: g",
        [(5, "$.requests[0].submit.oco", "the group `g` has no other order")],
    ),
    "amend of nothing": (
        "requests:\n  - {at: 0, amend: {id: a}}\n",
        [(5, "$.requests[0].amend", "expected `qty`, `price` or both")],
    ),
    "repeated handle": (
        "requests:\n" + 2 * f"  - {{at: 0, submit: {{id: a, symbol: X, side: buy, {LIMIT}}}}}\n",
        [(6, "$.requests[1].submit.id", "`a` is the handle of line 5 already; *")],
    ),
    "negative leg": (
        "requests:\n  - {at: 0, entry_ms: -1, cancel_all: {}}\n",
        [(5, "$.requests[0].entry_ms", "expected 0 ms or more")],
    ),
    "unknown event": (
        EXPECT % "event: fill",
        [(7, "$.expect[0].event", "unknown event `fill`, did you mean `filled`?")],
    ),
    "event without a name": (EXPECT % "order: abc", [(7, "$.expect[0].event", "missing: expected accepted, *")]),
    "misspelled key of an event": (
        EXPECT % "event: filled, liqidity: taker",
        [(7, "$.expect[0].liqidity", "unknown key, did you mean `liquidity`?")],
    ),
    "key of another event": (
        EXPECT % 'event: accepted, fee: "1"',
        [(7, "$.expect[0].fee", "`accepted` events do not have this key; they have order, *")],
    ),
    "order of an account event": (
        EXPECT % "event: funding, order: abc",
        [(7, "$.expect[0].order", "`funding` events do not have this key; *")],
    ),
    "unknown handle": (
        EXPECT % "event: filled, order: abd",
        [(7, "$.expect[0].order", "no request has the handle `abd`, did you mean `abc`?")],
    ),
    "unknown rule": (
        EXPECT % "event: filled, rule: walks",
        [(7, "$.expect[0].rule", "unknown name `walks`, did you mean `walk`?")],
    ),
    "number with an exponent": (EXPECT % "event: filled, qty: 1e3", [(7, "$.expect[0].qty", "expected a plain *")]),
    "code with a fraction": (EXPECT % "event: rejected, code: 1.5", [(7, "$.expect[0].code", "expected a whole *")]),
    "time of too many decimals": (EXPECT % "event: filled, local_at: 0.0000001", [(7, "$.expect[0].local_at", "*")]),
    "text that YAML bends": (
        EXPECT % "event: filled, fee_asset: NO",
        [(7, "$.expect[0].fee_asset", 'expected text, YAML read NO as false: write "NO"')],
    ),
    "expect as a mapping": (
        "expect: {}\n",
        [(4, "$.expect", "expected a list ([] for an empty one), found a mapping")],
    ),
    "expect of nothing": ("expect:\n", [(4, "$.expect", "expected a list ([] for an empty one), found nothing")]),
    "check without a time": ("checks: [{account: {}}]\n", [(4, "$.checks[0].at", "missing: expected milliseconds *")]),
    "final of an unknown part": (
        "final: {order: {}}\n",
        [(4, "$.final.order", "unknown key, did you mean `orders`?")],
    ),
    "final of unknown names": (
        'final: {orders: {z: {qty: "1"}}, books: {Z: {}}}\n',
        [
            (4, "$.final.orders.z", "no request has the handle `z`"),
            (4, "$.final.books.Z", "`instruments` does not have `Z`"),
        ],
    ),
    "final of an unknown status": (
        "requests:\n  - {at: 0, cancel: {id: a}}\nfinal: {orders: {a: {status: open}}}\n",
        [(6, "$.final.orders.a.status", "unknown name `open`, *")],
    ),
    "levels of three": (
        'final: {books: {X: {available: {asks: [["1", "2", "3"]]}}}}\n',
        [(4, "$.final.books.X.available.asks[0]", "expected [price, qty], found a list")],
    ),
    "hedged position in one-way mode": (
        'account: {positions: {X: {long: {qty: "1", entry_price: "9"}}}}\n',
        [(4, "$.account.positions", "`X` has `long` or `short`: that needs position_mode: hedge")],
    ),
    "position without a price": (
        'account: {positions: {X: {qty: "1"}}}\n',
        [(4, "$.account.positions.X.entry_price", "missing: expected a decimal number *")],
    ),
    "leverage of an unknown symbol": (
        "account: {leverage: {Z: 2}}\n",
        [(4, "$.account.leverage.Z", "`Z` is not in `instruments`")],
    ),
    "wallet and its balance": (
        'account: {wallet: "1", balances: {USDT: "1"}}\n',
        [(4, "$.account.wallet", "says the same as `balances.USDT`; expected one of them")],
    ),
}
"""What is added to the smallest scenario, and the problems it must bring: line, path, message (`*` = and so on)."""


@pytest.mark.parametrize("name", ILLEGAL)
def test_a_mistake_is_refused_at_its_place(name: str) -> None:
    """Each mistake is one problem with line, path and what to do."""
    addition, expected = ILLEGAL[name]
    found = refusals(SMALLEST + addition)
    assert [(problem.line, problem.path) for problem in found] == [(line, path) for line, path, _ in expected]
    for problem, (_, _, message) in zip(found, expected, strict=True):
        assert problem.message.startswith(message[:-1]) if message.endswith("*") else problem.message == message


ILLEGAL_INSTRUMENTS = {
    "no step": ('{tick: "1"}', "$.instruments.X.step", "missing: expected a decimal number"),
    "zero tick": ('{tick: "0", step: "1"}', "$.instruments.X.tick", "0 must be above 0"),
    "unknown key": ('{tick: "1", step: "1", min_qtty: "1"}', "$.instruments.X.min_qtty", "unknown key, did you *"),
    "maximum below minimum": (
        '{tick: "1", step: "1", min_qty: "2", max_qty: "1"}',
        "$.instruments.X.max_qty",
        "1 is below `min_qty` 2",
    ),
    "half a percent price": (
        '{tick: "1", step: "1", percent_price: {up: "2"}}',
        "$.instruments.X.percent_price",
        "expected `up` and `down`, or *",
    ),
    "spot rule on futures": (
        '{tick: "1", step: "1", price_range: {up: "2", down: "0.5"}}',
        "$.instruments.X.price_range",
        "is a rule of binance-spot and bybit-spot; this scenario's venue is binance-usdm",
    ),
    "maintenance above the notional": (
        '{tick: "1", step: "1", brackets: [{floor: "0", mmr: "1.1", max_leverage: 5}]}',
        "$.instruments.X.brackets[0].mmr",
        "1.1 is above the maximum 1",
    ),
    "a band that no price passes": (
        '{tick: "1", step: "1", percent_price: {up: "0.9", down: "1.1"}}',
        "$.instruments.X.percent_price.up",
        "0.9 is below `down` 1.1: no price would pass",
    ),
    "tiers that do not start at zero": (
        '{tick: "1", step: "1", brackets: [{floor: "1", mmr: "0.1", max_leverage: 5}]}',
        "$.instruments.X.brackets",
        'the first tier starts at floor "0"',
    ),
}


@pytest.mark.parametrize("name", ILLEGAL_INSTRUMENTS)
def test_an_impossible_instrument_is_refused(name: str) -> None:
    """Each mistake in an instrument names its key."""
    spec, path, message = ILLEGAL_INSTRUMENTS[name]
    (problem,) = refusals(f"name: n\nvenue: binance-usdm\ninstruments: {{X: {spec}}}\n")
    assert (problem.line, problem.path) == (3, path)
    assert problem.message.startswith(message[:-1]) if message.endswith("*") else problem.message == message


def test_spot_has_no_positions_and_nothing_that_belongs_to_them() -> None:
    """Ignored in silence they would look simulated."""
    spec = '{tick: "1", step: "1", funding_cap: "0.1", brackets: [{floor: "0", mmr: "0.1", max_leverage: 5}]}'
    position = '{X: {qty: "1", entry_price: "9"}}'
    rows = 'tape:\n  - {at: 0, symbol: X, funding: {rate: "1"}}\n  - {at: 0, symbol: X, adl: {qty: "1", price: "1"}}\n'
    text = f"name: n\nvenue: bybit-spot\ninstruments: {{X: {spec}}}\naccount: {{positions: {position}}}\n{rows}"
    found = refusals(text)
    assert [(problem.line, problem.path) for problem in found] == [
        (3, "$.instruments.X.brackets"),
        (3, "$.instruments.X.funding_cap"),
        (4, "$.account.positions"),
        (6, "$.tape[0].funding"),
        (7, "$.tape[1].adl"),
    ]
    message = "is a rule of binance-usdm and bybit-linear; this scenario's venue is bybit-spot"
    assert {problem.message for problem in found} == {message}


ILLEGAL_MODELS = {
    "a half-life of nothing": (
        "{overlay: {refill_half_life_ms: 0}}",
        "overlay.refill_half_life_ms",
        "0 would give back what was taken at once; expected more, or leave it out",
    ),
    "an answer before its request": (
        "{latency: {kind: recorded, rows: [[0, 3, 8], [10, 13, 12]]}}",
        "latency.rows",
        "expected req <= exch <= resp, or exch <= 0 where it was lost; row 2 is 10, 13, 12",
    ),
    "a struct that is no queue": (
        "{queue: {kind: 'sim.models.latency:NoLatency'}}",
        "queue.kind",
        "sim.models.latency:NoLatency cannot stand here: it lacks `code`, `credit_ms`, `exponent`, `share_behind`, "
        "`words`",
    ),
}


@pytest.mark.parametrize("name", ILLEGAL_MODELS)
def test_an_impossible_model_is_refused(name: str) -> None:
    """Each mistake in `models` names its key."""
    models, path, message = ILLEGAL_MODELS[name]
    with pytest.raises(ConfigError) as caught:
        read_scenario(f"{SMALLEST}models: {models}\n", "s.yaml", models_reader)
    assert caught.value.problems == [Problem(4, f"$.models.{path}", message)]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines() -> None:
    """Mistakes of the structs, across the file and in what is expected come in one list."""
    text = """\
name: wrong in many places
venue: binance-usd
instruments: {X: {tick: "0.1"}}
tape:
  - {at: 0, symbol: Y, trade: {side: sell, price: "1", qty: "1", agressor: buy}}
requests:
  - {at: 0, submit: {id: a, symbol: X, side: long, type: market, qty: "1"}}
expect:
  - {event: filled, order: b}
"""
    assert [(problem.line, problem.path) for problem in refusals(text)] == [
        (2, "$.venue"),
        (3, "$.instruments.X.step"),
        (5, "$.tape[0].trade.agressor"),
        (5, "$.tape[0].symbol"),
        (7, "$.requests[0].submit.side"),
        (9, "$.expect[0].order"),
    ]


def test_missing_keys_are_named() -> None:
    """name, venue and instruments are required."""
    assert {problem.path for problem in refusals("seed: 1\n")} == {"$.name", "$.venue", "$.instruments"}


def test_no_instrument_is_no_market() -> None:
    """An empty `instruments` is refused."""
    (problem,) = refusals("name: n\nvenue: bybit-spot\ninstruments: {}\n")
    assert problem == Problem(3, "$.instruments", "expected at least one symbol")


def test_a_wallet_of_two_quote_assets_is_refused() -> None:
    """`wallet` is short for one balance, so it needs one quote asset."""
    both = '{X: {tick: "1", step: "1"}, Y: {tick: "1", step: "1", quote: USDC}}'
    (problem,) = refusals(f'name: n\nvenue: bybit-spot\ninstruments: {both}\naccount: {{wallet: "1"}}\n')
    assert problem == Problem(
        4, "$.account.wallet", "is short for the balance of one quote asset, found USDC, USDT: write `balances`"
    )


def test_problems_of_the_models_are_told_with_the_others() -> None:
    """The reader of `models` that is handed in adds to the same list."""

    def read_models(node: Node, problems: list[Problem]) -> None:
        problems.append(Problem(node.line, node.path, "no such model"))

    with pytest.raises(ConfigError) as caught:
        read_scenario(f"{SMALLEST}models: {{latency: {{}}}}\nsed: 1\n", "s.yaml", read_models)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [(4, "$.models"), (5, "$.sed")]


def test_a_file_that_cannot_be_opened_is_a_problem_of_that_file(tmp_path: Path) -> None:
    """Missing files and bytes that are no text are refused with the file's name."""
    with pytest.raises(ConfigError, match=r"absent\.yaml: 1 problem(.|\n)*is not there"):
        load_scenario(str(tmp_path / "absent.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="no UTF-8"):
        load_scenario(str(tmp_path / "latin.yaml"))
