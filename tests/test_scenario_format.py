"""Legal scenario files: every key of the scenario page, its default and what it becomes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from sim.scenarios.format import Scenario, load_scenario, read_scenario
from sim.scenarios.values import Absent, Exact, Near, Prefix

D = Decimal

SMALLEST = """\
name: the smallest scenario
venue: binance-usdm
instruments: {X: {tick: "0.1", step: "0.001"}}
"""
"""Three lines; all other keys have a default."""

EVERY_KEY = """\
name: every key
venue: binance-spot
start: "2025-10-01T00:00:00Z"
until: 90000.5
seed: 7
instruments:
  X: {tick: "0.1", step: "0.001", base: BTC, quote: USDT, price_precision: 2, quantity_precision: 4, min_price: "1",
      max_price: "1000000", min_qty: "0.001", max_qty: "100", market_min_qty: "0.01", market_max_qty: "50",
      market_step: "0.01", min_notional: "5", max_notional: "9000000", max_orders: 200, max_trigger_orders: 5,
      percent_price: {bid_up: "5", bid_down: "0.2", ask_up: "5", ask_down: "0.2"},
      price_range: {up: "1.1", down: "0.9"},
      max_amends: 10, max_position: "12.5", fees: {maker: "0.001", taker: "0.002"}}
  Y: {tick: 0.5, step: 1, percent_price: {up: "1.05", down: "0.95"}}
account:
  wallet: "100"
  balances: {BTC: "1.5"}
  leverage: {X: 5, Y: "2.5"}
  margin_mode: cross
  position_mode: one_way
models: {latency: {kind: constant, entry_ms: 4}}
tape:
  - {at: -1.5, symbol: X, received_at: 3.000001, depth: {snapshot: true, bids: [["99.9", "1"]], asks: [[100.1, 0]]}}
  - {at: 1, symbol: X, quote: {bid: ["99.9", "3"]}}
  - {at: 1, symbol: X, quote: {bid: ["99.9", "3"], ask: ["100", "0"]}}
  - {at: 2, symbol: X, trade: {side: sell, price: "99.9", qty: "0.7", block: true, rpi: true, insurance: true}}
  - {at: 3, symbol: X, bar: {interval_ms: 60000, open: "100", high: "104", low: "99", close: "103", volume: "900"}}
  - {at: 4, symbol: X, mark: {price: "100"}}
  - {at: 5, symbol: X, mark: {interval_ms: 60000, open: "100", high: "104", low: "99", close: "103"}}
  - {at: 6, symbol: X, index: {price: "100"}}
  - {at: 7, symbol: X, reference: {price: "100"}}
  - {at: 10, symbol: X, l3: {action: add, id: 17, side: buy, price: "99", qty: "1"}}
  - {at: 11, symbol: X, l3: {action: modify, id: a17, qty: "0.5"}}
  - {at: 12, symbol: X, l3: {action: delete, id: "17"}}
requests:
  - {at: 1, session: s2, timestamp: 2.5, recv_window_ms: 20, entry_ms: 30, response_ms: 5,
     submit: {id: a, client_id: c, symbol: X, side: buy, type: limit, price: "100", qty: "1", tif: gtd, good_till: 9000,
              post_only: true, reduce_only: true, position_side: long, stp: decrement, oco: g}}
  - {at: 1, submit: {id: b, symbol: X, side: buy, type: market, quote_qty: "50"}}
  - {at: 1, submit: {id: c, symbol: X, side: sell, type: stop_market, trigger_price: "90", oco: g,
                     close_position: true}}
  - {at: 1, submit: {id: d, symbol: X, side: sell, type: take_profit_limit, trigger_price: "90", price_match: queue_10,
                     qty: "1", trigger_by: mark, trigger_direction: rise}}
  - {at: 1, submit: {id: e, symbol: X, side: sell, type: trailing_stop_market, trail_bps: 50, qty: "1",
                     activation_price: "110"}}
  - {at: 1, submit: {id: f, symbol: X, side: sell, type: trailing_stop_market, trail_distance: "1.5", qty: "1"}}
  - {at: 2, amend: {id: a, price: "99"}}
  - {at: 2, amend: {id: a, qty: "2"}}
  - {at: 3, cancel: {id: never-sent}}
  - {at: 4, cancel_all: {symbol: X}}
  - {at: 5, cancel_all: {}}
partial: true
expect:
  - {event: accepted, order: a, symbol: X, side: buy, client_id: c, session: s2, status: accepted, filled: "0",
     leaves: "1", average_price: null, queue_ahead: "3.9~", venue_status: NEW, venue_exec: NEW, engine_at: 31,
     local_at: 36.25, wallet: "100", counters: {orders_10s: 1, orders_1m: 1, orders_1d: 1, weight_1m: 2}}
  - {event: rejected, code: -1013, message: "Filter failure*", reason: lost, engine_at: null}
  - {event: triggered, trigger_price: "90"}
  - {event: filled, price: "100", qty: "1", liquidity: taker, rule: walk, fee: "0.1", fee_asset: USDT,
     realized_pnl: "0"}
  - {event: amended, price: "99", qty: "2"}
  - {event: canceled, reason: request, venue_reason: null}
  - {event: expired, reason: stp, venue_reason: "1", prevented: "2"}
  - {event: cancel_rejected, order: never-sent, code: -2011, message: Unknown order sent.}
  - {event: amend_rejected, code: -2013, message: "*"}
  - {event: funding, symbol: X, amount: "-12", rate: "0.0001", mark: "60000", position: "2"}
  - {event: liquidated, symbol: X, price: "57000", qty: "2", cause: adl, realized_pnl: "-6000", fee: "1",
     client_id: "adl*"}
checks:
  - {at: 31.5, books: {X: {queue_ahead: {a: "3"}, available: {bids: [["99.9", "1"]], asks: [["100.1", "0"]]},
                           displayed: {bids: [], asks: [["100.1", "1~"]]}}}}
  - {at: 32, counters: {orders_10s: 1}}
final:
  orders: {a: {status: expired_in_match, qty: "1", price: "99", filled: "0", leaves: "1", prevented: "0",
               average_price: null, fees: "0", client_id: c, venue_status: NEW, ccxt_status: open}}
  account: {wallet: "100", equity: "100", free: "1", balances: {USDT: "100"}, locked: {USDT: "99"}, realized_pnl: "0",
            fees: "0", funding: "0", positions: {X: {qty: "0", entry_price: "1", leverage: "5", isolated_margin: "0",
            unrealized_pnl: "0", maintenance_margin: "0", liquidation_price: "1~", bankruptcy_price: null}}}
  books: {X: {available: {asks: [["100.1", "0"]]}}}
  counters: {weight_1m: 3}
"""

KEYS_OF_FUTURES = """\
name: keys that spot does not have
venue: bybit-linear
instruments:
  X: {tick: "0.1", step: "0.001", liquidation_fee: "0.0125", price_limit: {x: "0.01", y: "0.02"},
      brackets: [{floor: "0", mmr: "0.004", max_leverage: 150},
                 {floor: "300000", mmr: "0.005", max_leverage: 100, cum: "300"}],
      funding_interval_h: 4, funding_cap: "0.02", funding_floor: "-0.02"}
account: {positions: {X: {qty: "-2", entry_price: "60000", leverage: 10, isolated_margin: "7000"}}}
tape:
  - {at: 8, symbol: X, funding: {rate: "-0.0001", mark: "60000"}}
  - {at: 9, symbol: X, funding: {premium: "0.0012", interest: "0.0002", interval_h: 1}}
  - {at: 13, symbol: X, adl: {qty: "1", price: "59000"}}
requests:
  - {at: 1, submit: {id: a, symbol: X, side: buy, type: market, qty: "1", slippage_tolerance_type: ticks,
                     slippage_tolerance: "5"}}
"""


def read(text: str) -> Scenario:
    return read_scenario(text, "scenario.yaml")


def test_every_example_file_is_read(shared: Path) -> None:
    """All 35 files of the contract are legal."""
    files = sorted((shared / "scenarios").glob("*.yaml"))
    assert len([load_scenario(str(file)) for file in files]) == 35


def test_left_out_keys_have_the_defaults_of_the_page() -> None:
    """Three required keys make a scenario."""
    scenario = read(SMALLEST)
    assert (scenario.start, scenario.until, scenario.seed, scenario.partial) == (0, None, 0, False)
    assert (scenario.tape, scenario.requests, scenario.models) == ([], [], None)
    spec, account = scenario.instruments["X"], scenario.account
    assert (spec.quote, spec.funding_interval_h, spec.liquidation_fee, spec.brackets) == ("USDT", 8, D(0), None)
    assert (account.leverage_of("X"), account.margin_mode, account.position_mode) == (D(1), "isolated", "one_way")
    assert scenario.expectation.events is None
    assert scenario.expectation.final == {}


def test_every_key_of_the_page_is_read() -> None:
    """One file with all keys of sections 1 to 8; times are nanoseconds after the start."""
    scenario = read(EVERY_KEY)
    assert scenario.start == 1_759_276_800_000_000_000  # 2025-10-01 is day 20362 of the epoch
    assert scenario.until == 90_000_500_000
    first = scenario.tape[0]
    assert (first.at, first.received_at, first.kind) == (-1_500_000, 3_000_001, "depth")
    assert first.depth is not None
    assert first.depth.asks == [(D("100.1"), D(0))]
    assert [row.kind for row in scenario.tape][1:8] == ["quote", "quote", "trade", "bar", "mark", "mark", "index"]
    request = scenario.requests[0]
    assert (request.timestamp, request.recv_window_ms, request.entry_ms) == (2_500_000, 20_000_000, 30_000_000)
    assert request.submit is not None
    assert request.submit.good_till == 9_000_000_000
    assert [request.kind for request in scenario.requests][-5:] == [
        "amend",
        "amend",
        "cancel",
        "cancel_all",
        "cancel_all",
    ]
    assert scenario.account.leverage_of("Y") == D("2.5")


def test_every_key_of_futures_is_read() -> None:
    """What sections 2, 3 and 5 have for positions, margin and funding."""
    scenario = read(KEYS_OF_FUTURES)
    spec = scenario.instruments["X"]
    assert spec.brackets is not None
    assert [tier.cum for tier in spec.brackets] == [None, D(300)]
    assert (spec.funding_interval_h, spec.funding_cap, spec.funding_floor) == (4, D("0.02"), D("-0.02"))
    assert [row.kind for row in scenario.tape] == ["funding", "funding", "adl"]
    position = scenario.account.positions["X"].net
    assert position is not None
    assert (position.qty, position.entry_price) == (D(-2), D(60000))


def test_expected_values_say_how_they_are_compared() -> None:
    """Plain, near (~), prefix (*) and absent (null) values are told apart."""
    events = read(EVERY_KEY).expectation.events
    assert events is not None
    accepted = events[0].keys
    assert accepted["queue_ahead"] == Near(D("3.9"))
    assert accepted["average_price"] == Absent()
    assert accepted["local_at"] == Exact("time", 36_250_000)
    assert events[1].keys["message"] == Prefix("Filter failure")


def test_null_says_absent_also_of_a_key_that_such_events_never_have() -> None:
    """`accepted` has no `code`; to expect none is right, and is nothing to compare."""
    events = read(f"{SMALLEST}expect:\n  - {{event: accepted, code: null, filled: '0'}}\n").expectation.events
    assert events is not None
    assert list(events[0].keys) == ["filled"]


def test_a_hedged_account_holds_two_positions_of_a_symbol() -> None:
    """In hedge mode a symbol has `long` and `short`, in the account and in the expected state."""
    positions = '{X: {long: {qty: "1", entry_price: "9"}, short: {qty: "2", entry_price: "8"}}}'
    hedged = f"{{position_mode: hedge, positions: {positions}}}"
    scenario = read(
        f"{SMALLEST}account: {hedged}\nfinal: {{account: {{positions: {{X: {{short: {{qty: '-2'}}}}}}}}}}\n"
    )
    held = scenario.account.positions["X"]
    assert held.net is None
    assert held.short is not None
    assert held.short.entry_price == D(8)


def test_an_empty_expect_is_not_a_missing_one() -> None:
    """`expect: []` means that nothing may happen, no `expect` that nothing is compared."""
    assert read(f"{SMALLEST}expect: []\n").expectation.events == ()
    assert read(SMALLEST).expectation.events is None
