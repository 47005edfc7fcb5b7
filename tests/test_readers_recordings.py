"""Recorded sessions of Binance and Bybit: what a tape says is what the venue said, counted and compared message by
message with a second, plain reading of the same file (json and dicts)."""

from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.files import FileSource
from core.errors import DataError, UsageError
from core.tape import BLOCK, INSURANCE, LAST, RPI, SNAPSHOT
from recorded import books, first_lines, increasing, read, recorded, sides_of, texts

USDM = "l2/binance-usdm/btcusdt_20240808.gz"
USDM_2023 = "l2/binance-usdm/btcusdt_20230404.dat.gz"
SPOT = "l2/binance-spot/btcusdt_20240808.gz"
USDM_2021 = "raw_sessions/binance-usdm/2021-07-22.BINANCE_FUTURES.ws.1.0.gz"
SPOT_2021 = "raw_sessions/binance-spot/2021-10-12.BINANCE"
BYBIT = "raw_sessions/bybit-v5/2026-08-09.BYBIT.jsonl.zst"


def plain(lines: list[bytes]) -> list[tuple[int, dict[str, Any]]]:
    """(receipt as written, message) of hftbacktest's lines."""
    return [(int(receipt), json.loads(text)) for receipt, _, text in (line.partition(b" ") for line in lines)]


def part(tmp_path: Path, name: str, lines: list[bytes]) -> Path:
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(b"".join(lines), 1))
    return path


# --- counted facts --------------------------------------------------------------------------------------------------


def test_a_whole_recording_has_the_rows_and_the_range_that_were_counted() -> None:
    """data/README.md: 6765 bookTicker, 2197 trade, 99 markPriceUpdate, 2023-04-04 23:58:20 .. 23:59:59, in us."""
    path = recorded(USDM_2023)
    tapes = {kind: read(path, kind, "BTCUSDT") for kind in ("quotes", "trades", "marks", "index", "depth")}
    assert [len(tapes[kind]) for kind in ("quotes", "trades", "marks", "index")] == [6765, 2197, 99, 99]
    for tape in tapes.values():
        assert tape.columns["ts_venue"][0] / 1e9 >= 1_680_652_700 and tape.columns["ts_venue"][-1] / 1e9 < 1_680_652_800
        assert increasing(tape.columns["ts"]) and (tape.columns["ts"] >= tape.columns["ts_venue"]).all()
    assert {name: column.dtype.itemsize for name, column in tapes["depth"].columns.items()} == {
        "ts_venue": 8, "ts": 8, "price": 8, "size": 8, "side": 1, "flags": 1,
    }  # fmt: skip
    # the first markPriceUpdate says p 28147.27373413, P (settlement) 28142.15563565, i 28159.75642857
    assert texts(tapes["marks"], "close")[0] == "28147.27373413"
    assert texts(tapes["index"], "open")[0] == "28159.75642857"


def test_trades_carry_price_size_and_the_takers_side_of_each_message() -> None:
    path = recorded(USDM_2023)
    with gzip.open(path) as stream:
        told = [m["data"] for _, m in plain(list(stream)) if m.get("stream") == "btcusdt@trade"]
    tape = read(path, "trades", "BTCUSDT")
    assert [float(text) for text in texts(tape, "price")] == [float(trade["p"]) for trade in told]
    assert [float(text) for text in texts(tape, "size")] == [float(trade["q"]) for trade in told]
    assert tape.columns["side"].tolist() == [-1 if trade["m"] else 1 for trade in told]
    assert tape.columns["ts_venue"].tolist() == [trade["T"] * 1_000_000 for trade in told]
    assert tape.gaps == ()


# --- the receipt clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [USDM, SPOT])
def test_a_recorder_whose_clock_was_behind_is_moved_by_one_constant_for_all_streams(tmp_path: Path, name: str) -> None:
    """data/README.md: the recorder of 2024 runs 1.2 to 1.5 s behind. The quickest message takes 1 ms afterwards."""
    lines = first_lines(recorded(name), 6_000)
    legs, told = [], {"depth": [], "trade": [], "bookTicker": []}
    for receipt, message in plain(lines):
        data = message.get("data", message)
        stream = message.get("stream", "@").split("@")[1]
        if time := data.get("T") or data.get("E"):
            legs.append(receipt - time * 1_000_000)
        if stream in told:
            told[stream].append(receipt)
    shift = 1_000_000 - min(legs)
    assert 1.2e9 < shift < 1.5e9
    path = part(tmp_path, "clock", lines)
    trades, quotes = read(path, "trades", "BTCUSDT"), read(path, "quotes", "BTCUSDT")
    assert (trades.columns["ts"] - shift).tolist() == told["trade"]
    assert (quotes.columns["ts"] - shift).tolist() == told["bookTicker"]
    depth = read(path, "depth", "BTCUSDT")
    assert set((depth.columns["ts"] - shift).tolist()) <= {receipt for receipt, _ in plain(lines)}
    for tape in (trades, quotes, depth):
        assert (tape.columns["ts"] >= tape.columns["ts_venue"]).all()
        assert any(f"moved by +{shift / 1e6:.3f} ms" in note for note in tape.notes)


def test_the_smallest_feed_leg_after_the_move_is_the_one_asked_for(tmp_path: Path) -> None:
    path = part(tmp_path, "leg", first_lines(recorded(USDM), 3_000))
    source = FileSource(path=str(path))
    tape = source.open(venue="v", symbol="BTCUSDT", kind="quotes", feed_ns=7_000_000).read()
    assert int((tape.columns["ts"] - tape.columns["ts_venue"]).min()) == 7_000_000


def test_a_recorder_whose_clock_was_right_is_left_alone() -> None:
    """Bybit's session of 2026 and the futures session of 2021 have no message that arrives before it was sent."""
    for name, symbol in (
        (BYBIT, "SOLUSDT"),
        (USDM_2021, "CTKUSDT"),
    ):
        tape = read(recorded(name), "depth", symbol)
        assert not any("clock" in note for note in tape.notes)
        assert int((tape.columns["ts"] - tape.columns["ts_venue"]).min()) > 10_000_000


# --- books ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "symbol", "scales"),
    [
        (USDM, "BTCUSDT", (1, 3)),
        (SPOT, "BTCUSDT", (2, 5)),
        (USDM_2023, "BTCUSDT", (1, 3)),
        ("l2/binance-coinm/btcusd_perp_20240808.gz", "BTCUSD_PERP", (1, 0)),
    ],
)
def test_the_book_equals_the_venues_own_best_bid_and_ask_at_every_common_update_id(
    tmp_path: Path, name: str, symbol: str, scales: tuple[int, int]
) -> None:
    """Snapshot plus differences against bookTicker, where a difference and a ticker carry the same id: no difference
    between the two is allowed, and the book is never crossed."""
    lines = first_lines(recorded(name), 9_000)
    tape = read(part(tmp_path, "book", lines), "depth", symbol)
    ids: dict[int, int] = {}
    tickers: dict[int, tuple[str, ...]] = {}
    for receipt, message in plain(lines):
        data = message.get("data", {})
        if "U" in data:
            ids[receipt] = data["u"]
        elif "A" in data:
            tickers[data["u"]] = (data["b"], data["B"], data["a"], data["A"])
    unit = 1 if min(ids) > 10**18 else 1_000
    shift = int(tape.columns["ts"][-1]) - max(ids) * unit
    assert tape.price_scale == scales[0] and tape.size_scale >= scales[1]
    compared = 0
    for ts, (bid, bid_size, ask, ask_size) in books(tape):
        assert 0 < bid < ask
        ticker = tickers.get(ids.get((ts - shift) // unit, -1))
        if ticker is not None:
            ours = (bid, bid_size, ask, ask_size)
            scale = (tape.price_scale, tape.size_scale) * 2
            assert ours == tuple(round(float(text) * 10**k) for text, k in zip(ticker, scale, strict=True))
            compared += 1
    assert compared >= 40


def test_a_deleted_difference_is_a_gap_between_its_neighbours_and_the_stream_goes_on(tmp_path: Path) -> None:
    lines = first_lines(recorded(USDM), 4_000)
    updates = [at for at, (_, message) in enumerate(plain(lines)) if "depth" in message.get("stream", "")]
    gone = updates[len(updates) // 2]
    around = [
        json.loads(lines[at].partition(b" ")[2])["data"]["T"] * 1_000_000
        for at in (updates[len(updates) // 2 - 1], updates[len(updates) // 2 + 1])
    ]
    whole = read(part(tmp_path, "whole", lines), "depth", "BTCUSDT")
    cut = read(part(tmp_path, "cut", lines[:gone] + lines[gone + 1 :]), "depth", "BTCUSDT")
    assert whole.gaps == ()
    assert [(gap.since, gap.until, gap.rows) for gap in cut.gaps] == [(*around, 0)]
    assert any("no snapshot follows the last gap" in note for note in cut.notes)
    message = json.loads(lines[gone].partition(b" ")[2])["data"]
    assert len(whole) - len(cut) == len(message["b"]) + len(message["a"])


def test_without_its_snapshot_a_recording_is_built_from_differences_and_says_so(tmp_path: Path) -> None:
    lines = [line for line in first_lines(recorded(USDM), 3_000) if b"lastUpdateId" not in line]
    tape = read(part(tmp_path, "bare", lines), "depth", "BTCUSDT")
    told = [m["data"] for _, m in plain(lines) if "depth" in m["stream"]]
    assert len(tape) == sum(len(update["b"]) + len(update["a"]) for update in told)
    assert not (tape.columns["flags"] & SNAPSHOT).any()
    assert any("built from its differences alone" in note for note in tape.notes)


def test_the_snapshot_comes_before_what_is_built_on_it_in_both_orders() -> None:
    """Spot's REST answer says no time: its rows must not come after a later difference in venue order."""
    with gzip.open(recorded(f"{SPOT_2021}.http.0.0.gz")) as stream:
        answer = next(json.loads(text.partition(b": ")[2]) for text in stream if b"symbol=NKNUSDT" in text)
    tape = read(recorded(f"{SPOT_2021}.ws.1.0.gz"), "depth", "NKNUSDT")
    snapshot = tape.columns["flags"] & SNAPSHOT != 0
    count = int(snapshot.sum())
    assert snapshot[:count].all() and count == len(answer["bids"]) + len(answer["asks"])
    assert tape.columns["flags"][count - 1] == SNAPSHOT | LAST
    assert increasing(tape.columns["ts_venue"]) and tape.max_disorder_ns == 0


# --- Bybit ----------------------------------------------------------------------------------------------------------


def test_a_bybit_session_gives_the_book_of_the_market_that_is_meant() -> None:
    """Messages counted by topic and connection: SOLUSDT 1 snapshot and 382 deltas (linear only), BTCUSDT both."""
    path = recorded(BYBIT)
    tape = read(path, "depth", "SOLUSDT")
    assert int((tape.columns["flags"] & LAST != 0).sum()) == 383
    assert tape.gaps == ()
    assert all(0 < bid < ask for _, (bid, _, ask, _) in books(tape))
    with pytest.raises(DataError, match="set `market: spot` or `market: linear`"):
        read(path, "depth", "BTCUSDT")
    linear = read(path, "depth", "BTCUSDT", venue="bybit-linear")
    assert linear.tape_id == read(path, "depth", "BTCUSDT", market="linear", venue="bybit-linear").tape_id
    assert texts(linear, "price")[0] == "65114.2" and texts(linear, "size")[0] == "6.054"
    spot = read(path, "depth", "BTCUSDT", venue="bybit-spot")
    assert len(spot) != len(linear)


def test_bybit_books_count_by_the_matching_engines_time() -> None:
    """`cts` of the first message of BTCUSDT is 1786310818027, `ts` 1786310818129."""
    tape = read(recorded(BYBIT), "depth", "BTCUSDT", market="linear")
    assert int(tape.columns["ts_venue"][0]) == 1_786_310_818_027_000_000
    assert int(tape.columns["ts"][0]) == 1_786_310_819_720_003_100


def test_bybits_dump_of_500_levels_has_no_receipts_and_one_snapshot() -> None:
    """data/README.md: 50 messages, a snapshot of 500 levels a side, then deltas without a break."""
    tape = read(recorded("l2/bybit-linear/2024-12-01_XRPUSDT_ob500.data.zip"), "depth", "XRPUSDT")
    assert int((tape.columns["flags"] & SNAPSHOT != 0).sum()) == 1_000
    assert int((tape.columns["flags"] & LAST != 0).sum()) == 50
    assert tape.columns["ts"].tolist() == tape.columns["ts_venue"].tolist()
    assert any(note.startswith("no receipt times recorded") for note in tape.notes)


def test_bybits_block_and_rpi_trades_are_flagged(tmp_path: Path) -> None:
    def trade(n: int, side: str, **more: bool) -> dict[str, object]:
        return {"T": 1_700_000_000_000 + n, "s": "X", "S": side, "v": "1.50", "p": "10", "i": f"id-{n}", **more}

    rows = [
        trade(1, "Buy", BT=True, RPI=False),
        trade(2, "Sell", BT=False, RPI=True),
        trade(3, "Sell"),
        trade(3, "Sell"),
    ]
    message = {"topic": "publicTrade.X", "type": "snapshot", "ts": 1_700_000_000_005, "data": rows}
    path = tmp_path / "bybit.jsonl"
    path.write_text(json.dumps(message).replace(" ", ""))
    tape = read(path, "trades", "X")
    assert tape.columns["flags"].tolist() == [BLOCK, RPI, 0]
    assert tape.columns["side"].tolist() == [1, -1, -1]
    assert "1 trades came twice (same id): the first of each is kept" in tape.notes


# --- made by hand ---------------------------------------------------------------------------------------------------


def line(receipt_ms: int, stream: str, **data: object) -> bytes:
    """One message of the combined stream, received at a ms."""
    text = json.dumps({"stream": f"x@{stream}", "data": {"s": "X", **data}}, separators=(",", ":"))
    return f"{1_700_000_000_000 + receipt_ms}000000 {text}\n".encode()


def trade_line(n: int, receipt_ms: int | None = None, **more: object) -> bytes:
    at = receipt_ms if receipt_ms is not None else 10 * n
    time = 1_700_000_000_000 + 10 * n - 5
    row = {"e": "trade", "E": time, "T": time, "t": n, "p": "100.5", "q": "2", "X": "MARKET", "m": False, **more}
    return line(at, "trade", **row)


def write(tmp_path: Path, lines: list[bytes], name: str = "made.log") -> Path:
    path = tmp_path / name
    path.write_bytes(b"".join(lines))
    return path


def test_trades_that_came_twice_are_dropped_missing_ids_are_a_gap_and_insurance_is_flagged(tmp_path: Path) -> None:
    lines = [
        trade_line(1),
        trade_line(2, X="INSURANCE_FUND"),
        trade_line(2),
        trade_line(6),
        trade_line(7, X="NA", p="0", q="0"),
    ]
    tape = read(write(tmp_path, lines), "trades", "X")
    assert tape.columns["flags"].tolist() == [0, INSURANCE, 0]
    assert [gap.rows for gap in tape.gaps] == [3]
    assert tape.gaps[0].since == tape.columns["ts_venue"][1] and tape.gaps[0].until == tape.columns["ts_venue"][2]
    assert any(note.startswith("1 trades came twice") for note in tape.notes)
    assert any(note.startswith("3 trade ids are missing in 1 places") for note in tape.notes)
    assert any("`X: NA`" in note for note in tape.notes)


def test_venue_times_out_of_order_are_kept_with_their_receipts_and_measured(tmp_path: Path) -> None:
    lines = [trade_line(1), trade_line(4, 41), trade_line(2, 42), trade_line(5)]
    tape = read(write(tmp_path, lines), "trades", "X")
    offsets = [int(time) // 1_000_000 - 1_700_000_000_000 for time in tape.columns["ts_venue"]]
    assert offsets == [5, 35, 15, 45]
    assert tape.max_disorder_ns == 20_000_000
    assert any(
        "1 of 4 rows were received after a row that happened later (by 20.000 ms at most)" in n for n in tape.notes
    )


def test_a_receipt_before_an_earlier_rows_counts_from_that_row_on(tmp_path: Path) -> None:
    tape = read(write(tmp_path, [trade_line(1, 30), trade_line(2, 29), trade_line(3, 31)]), "trades", "X")
    assert [int(ts) // 1_000_000 - 1_700_000_000_000 for ts in tape.columns["ts"]] == [30, 30, 31]
    assert any(note.startswith("1 rows were recorded with a receipt before") for note in tape.notes)


def test_one_trade_is_a_tape(tmp_path: Path) -> None:
    tape = read(write(tmp_path, [trade_line(1)]), "trades", "X")
    assert len(tape) == 1 and texts(tape, "price") == ["100.5"]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([b""], "is empty"),
        ([trade_line(1), trade_line(2, p="NaN")], r"line 2, column `price`: 'NaN' is not a finite number"),
        ([trade_line(1), trade_line(2, p="1e999")], r"line 2, column `price`: '1e999' has more than 18 digits"),
        ([trade_line(1), trade_line(2, p="0")], r"line 2, column `price`: 0.0 is not above zero"),
        ([trade_line(1, q="-1")], r"line 1, column `size`: -1 is not above zero"),
        ([trade_line(1), trade_line(2, q="0")], r"line 2, column `size`: 0 is not above zero"),
        ([trade_line(1), trade_line(2)[:-20]], r"line 2: .* cannot be read as a message"),
        ([trade_line(1), b"garbage\n"], r"line 2: .* begins with no receipt time"),
        ([trade_line(1), trade_line(2, q=2.5)], r"line 2: .*Expected `str`, got `float`"),
        ([trade_line(1, 100_000), trade_line(2)], r"line 2, column `time`: .* 99\.980 s after it should.* sort the"),
        ([trade_line(1), trade_line(2, T=1_800_000_000_000)], r"line 2, column `time`: received 27777\.8 hours before"),
        ([trade_line(1), trade_line(2, T=17)], "line 2: .*17 is no time in ms, us or ns between 2001 and 2116"),
        ([trade_line(1).replace(b'"X"', b'"Y"').replace(b"x@", b"y@")], "has no messages of X; expected one of Y"),
        ([line(1, "kline_1m", e="kline", E=1_700_000_000_000)], "holds no trades of X"),
    ],
    ids=[
        "empty", "nan", "huge", "zero", "negative", "unsized", "cut", "garbage", "float", "unsorted", "astray",
        "timeless", "other", "none",
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_file_and_line(tmp_path: Path, lines: list[bytes], why: str) -> None:
    with pytest.raises(DataError, match=f"made.log: .*{why}|made.log: {why}"):
        read(write(tmp_path, lines), "trades", "X")


def test_a_negative_level_and_a_crossed_quote_are_told(tmp_path: Path) -> None:
    bad = line(
        9, "depth", e="depthUpdate", E=1_700_000_000_001, T=1_700_000_000_001, U=1, u=2, pu=0, b=[["1", "-2"]], a=[]
    )
    with pytest.raises(DataError, match=r"line 1, column `size`: -2 is negative"):
        read(write(tmp_path, [bad]), "depth", "X")
    quote = line(9, "bookTicker", u=1, E=1_700_000_000_001, T=1_700_000_000_001, b="2", B="1", a="1.5", A="1")
    empty = line(9, "bookTicker", u=2, E=1_700_000_000_001, T=1_700_000_000_001, b="0", B="0", a="1.5", A="1")
    tape = read(write(tmp_path, [quote, empty]), "quotes", "X")
    assert "1 of 2 quotes are crossed (bid at or above ask), as recorded" in tape.notes
    assert texts(tape, "bid_size") == ["1", "0"]


def test_a_recording_cut_short_in_its_archive_is_told_with_the_last_line_that_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    whole = gzip.compress(b"".join(trade_line(n) for n in range(1, 3_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut.gz: is damaged or cut short"):
        read(path, "trades", "X")


def test_formats_that_do_not_go_with_a_kind_are_told_with_those_that_do(tmp_path: Path) -> None:
    path = write(tmp_path, [trade_line(1)])
    with pytest.raises(
        UsageError, match="`format: ohlcv` cannot hold trades; known for trades: auto, binance-recording"
    ):
        read(path, "trades", "X", format="ohlcv")
    with pytest.raises(UsageError, match="`format: tardis` cannot hold bars"):
        read(path, "bars", "X", format="tardis", interval_ns=60_000_000_000)
    with pytest.raises(DataError, match="expected l3 in one of these formats: bitstamp"):
        read(path, "l3", "X")


def test_a_snapshot_of_nobody_in_a_session_of_several_symbols_is_refused(tmp_path: Path) -> None:
    update = line(9, "depth", e="depthUpdate", E=1_700_000_000_001, U=1, u=2, b=[["1", "2"]], a=[])
    other = update.replace(b"x@", b"y@").replace(b'"X"', b'"Y"')
    answer = b'1700000000010000000 {"lastUpdateId":1,"bids":[["1","1"]],"asks":[]}\n'
    with pytest.raises(DataError, match="a depth answer that does not say whose it is"):
        read(write(tmp_path, [update, other, answer]), "depth", "X")
    assert np.array_equal(read(write(tmp_path, [update, answer]), "depth", "X").columns["price"], [1, 1])


# --- OKX, Hyperliquid -----------------------------------------------------------------------------------------------


def test_the_book_has_okxs_own_checksum_after_every_message() -> None:
    """OKX (public docs, checksum of `books`): crc32 of the 25 best of both sides, bid and ask in turn, as price:size,
    joined by colons, as a signed 32-bit number. data/README.md: 293 messages of three instruments."""
    import pyarrow as pa

    path = recorded("raw_sessions/okx/2022-05-13.OKX.jsonl.zst")
    told: dict[str, list[int]] = {"BTC-USDT": [], "BTC-USD-220527": [], "UNI-USD-SWAP": []}
    with pa.input_stream(str(path), compression="zstd") as stream:
        rows = [json.loads(text) for text in stream.read().decode().splitlines()]
    for message in (json.loads(row["data"]) for row in rows if row["t"] == "recv"):
        if message["arg"]["channel"] == "books" and "data" in message:
            told[message["arg"]["instId"]].append(message["data"][0]["checksum"])
    assert sum(map(len, told.values())) == 293 - len(told)  # each was acknowledged once
    for symbol, checksums in told.items():
        tape = read(path, "depth", symbol)
        assert [_checksum(sides, tape.price_scale, tape.size_scale) for sides in sides_of(tape)] == checksums


def _checksum(sides: dict[int, dict[int, int]], price_scale: int, size_scale: int) -> int:
    bids = sorted(sides[1].items(), reverse=True)[:25]
    asks = sorted(sides[-1].items())[:25]
    words: list[str] = []
    for bid, ask in zip_longest(bids, asks):
        for level in (bid, ask):
            if level is not None:
                words += [_shortest(level[0], price_scale), _shortest(level[1], size_scale)]
    unsigned = zlib.crc32(":".join(words).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def _shortest(mantissa: int, scale: int) -> str:
    """As OKX writes numbers: no zeros at the end of a fraction."""
    text = f"{Decimal(mantissa).scaleb(-scale):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def test_okxs_message_that_names_another_before_it_is_a_gap(tmp_path: Path) -> None:
    def book(at: int, action: str, seq: int, before: int, bid: str, size: str) -> bytes:
        levels = {"asks": [], "bids": [[bid, size, "0", "1"]], "ts": str(1_700_000_000_000 + at)}
        data = [{**levels, "seqId": seq, "prevSeqId": before}]
        message = {"arg": {"channel": "books", "instId": "X"}, "action": action, "data": data}
        return f"{1_700_000_000_005 + at}000000 {json.dumps(message)}\n".encode()

    lines = [book(0, "snapshot", 10, -1, "1", "1"), book(10, "update", 12, 10, "1", "2")]
    lines += [book(20, "update", 19, 17, "1", "3"), book(30, "snapshot", 25, -1, "2", "4")]
    tape = read(write(tmp_path, lines), "depth", "X")
    assert texts(tape, "size") == ["1", "2", "4"]
    assert [(gap.since // 10**6, gap.until // 10**6, gap.rows) for gap in tape.gaps] == [
        (1_700_000_000_010, 1_700_000_000_030, 1)
    ]


def test_hyperliquids_books_are_snapshots_and_its_trades_have_the_takers_side() -> None:
    """data/README.md: 46 l2Book messages (20 levels a side) and 9 of trades in 25 s."""
    path = recorded("l2/hyperliquid/btcusd_20250126.gz")
    with gzip.open(path) as stream:
        told = [trade for _, m in plain(list(stream)) if m["channel"] == "trades" for trade in m["data"]]
    tape = read(path, "depth", "BTC")
    assert len(tape) == 46 * 40 and (tape.columns["flags"] & SNAPSHOT).all()
    assert all(0 < bid < ask for _, (bid, _, ask, _) in books(tape))
    trades = read(path, "trades", "BTC")
    assert len(trades) == len(told)
    assert trades.columns["side"].tolist() == [1 if trade["side"] == "B" else -1 for trade in told]
    assert [float(text) for text in texts(trades, "size")] == [float(trade["sz"]) for trade in told]
