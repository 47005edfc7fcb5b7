"""Dumps and files of ticks, orders, marks and funding: rows, ranges and single values as they stand in the file, the
same tape whatever the wrapping, and each kind of bad input told with its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files import BAR_FORMATS, Format
from adapters.formats import FORMATS
from core.errors import DataError
from core.tape import ADD, DELETE, LAST, MODIFY, RPI, SNAPSHOT, Tape
from recorded import books, increasing, read, recorded, texts

DAY_2020 = 1_582_329_600
"""2020-02-22T00:00:00Z."""


def write(tmp_path: Path, text: str | bytes, name: str = "made.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- Binance's dumps ------------------------------------------------------------------------------------------------

SPOT_TRADES = """\
{h}100,60000.10,0.5,30000.05,1735689599999,true,true
101,60000.20,1.25,75000.25,1735689600010866,false,true
"""
FUTURES_AGG = """\
{h}7,60000.1,0.5,100,101,1735689599999,true
8,60000.2,1.25,102,102,1735689600010,false
"""


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (SPOT_TRADES, "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch"),
        (FUTURES_AGG, "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"),
    ],
)
def test_trade_dumps_read_the_same_with_and_without_header_in_a_zip_and_plain(
    tmp_path: Path, text: str, header: str
) -> None:
    """Spot's times turn from ms to us on 2025-01-01: 1735689600010866 is 00:00:00.010866 (contract, section 1)."""
    tape = read(write(tmp_path, text.format(h="")), "trades", "BTCUSDT")
    assert texts(tape, "price") == ["60000.1", "60000.2"] and texts(tape, "size") == ["0.50", "1.25"]
    assert tape.columns["side"].tolist() == [-1, 1]
    assert int(tape.columns["ts_venue"][0]) == 1_735_689_599_999_000_000
    assert int(tape.columns["ts_venue"][1]) // 1_000_000 == 1_735_689_600_010
    assert tape.columns["ts"].tolist() == tape.columns["ts_venue"].tolist()
    headed = write(tmp_path, text.format(h=header + "\n"), "headed.csv")
    assert read(headed, "trades", "BTCUSDT").tape_id == tape.tape_id
    zipped = tmp_path / "BTCUSDT-trades-2025-01-01.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("BTCUSDT-trades-2025-01-01.csv", text.format(h=""))
    assert read(zipped, "trades", "BTCUSDT").tape_id == tape.tape_id


def test_microseconds_of_the_contracts_example_are_kept(tmp_path: Path) -> None:
    tape = read(write(tmp_path, SPOT_TRADES.format(h="")), "trades", "BTCUSDT")
    assert int(tape.columns["ts_venue"][1]) == 1_735_689_600_010_866_000


def test_doubles_are_dropped_and_missing_ids_listed_in_dumps(tmp_path: Path) -> None:
    rows = SPOT_TRADES.format(h="") + "101,60000.20,1.25,75000.25,1735689600010866,false,true\n"
    rows += "105,60000.30,1,60000.3,1735689601000000,false,true\n"
    tape = read(write(tmp_path, rows), "trades", "BTCUSDT")
    assert len(tape) == 3
    assert [(gap.since, gap.until, gap.rows) for gap in tape.gaps] == [
        (1_735_689_600_010_866_000, 1_735_689_601_000_000_000, 3)
    ]


def test_book_ticker_dumps_are_quotes_by_transaction_time(tmp_path: Path) -> None:
    rows = "4001,100.10,2,100.20,3.5,1700000000001,1700000000004\n4002,100.10,0,100.30,1,1700000000009,1700000000011\n"
    tape = read(write(tmp_path, rows), "quotes", "X")
    assert texts(tape, "bid_price") == ["100.1", "100.1"] and texts(tape, "bid_size") == ["2.0", "0.0"]
    assert texts(tape, "ask_price") == ["100.2", "100.3"] and texts(tape, "ask_size") == ["3.5", "1.0"]
    assert tape.columns["ts_venue"].tolist() == [1_700_000_000_001_000_000, 1_700_000_000_009_000_000]


def test_a_depth_dump_is_a_book_and_bands_of_per_cent_are_none(tmp_path: Path) -> None:
    head = "symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu\n"
    rows = [
        "X,1700000000001,500,500,b,snap,99.9,1,-1",
        "X,1700000000001,500,500,a,snap,100.1,2,-1",
        "X,1700000000101,495,505,b,set,99.9,0,494",
        "X,1700000000101,495,505,b,set,99.8,4,494",
        "X,1700000000201,506,510,a,set,100.0,5,505",
    ]
    tape = read(write(tmp_path, head + "\n".join(rows)), "depth", "X")
    assert [best for _, best in books(tape)] == [(999, 1, 1001, 2), (998, 4, 1001, 2), (998, 4, 1000, 5)]
    bands = write(tmp_path, "timestamp,percentage,depth,notional\n2024-01-01 00:00:09,-5,1,2\n", "bands.csv")
    with pytest.raises(DataError, match="is a bookDepth dump: it sums sizes in bands"):
        read(bands, "depth", "X")


def test_the_recorded_samples_of_depth_dumps_have_their_counted_rows() -> None:
    """data/README.md: 100 rows each, one side; the snapshot's best bid is its first row, 20377.00 x 1.770."""
    tape = read(recorded("l2/binance-vision-format/btcusdt-depth-snap.csv"), "depth", "BTCUSDT")
    assert len(tape) == 100 and (tape.columns["flags"] & SNAPSHOT).all()
    assert next(books(tape))[1] == (203_770, 1_770, 0, 0)
    assert len(read(recorded("l2/binance-vision-format/btcusdt-depth-update.csv"), "depth", "BTCUSDT")) == 100


# --- Bybit's dumps --------------------------------------------------------------------------------------------------

BYBIT_HEAD = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"


def bybit_row(time: str, side: str, size: str, price: str, trade: int, *more: str) -> str:
    ident = f"00000000-0000-5000-8000-{trade:012d}"
    return ",".join([time, "X", side, size, price, "PlusTick", ident, "1e+8", size, "1", *more])


def test_bybit_dumps_are_read_by_header_with_seconds_and_fractions_and_rpi_where_it_is(tmp_path: Path) -> None:
    rows = [bybit_row("1700000000.1234", "Buy", "0.001", "100.5", 1), bybit_row("1700000001", "Sell", "2", "100.0", 2)]
    tape = read(write(tmp_path, "\n".join([BYBIT_HEAD, *rows])), "trades", "X")
    assert tape.columns["ts_venue"].tolist() == [1_700_000_000_123_400_000, 1_700_000_001_000_000_000]
    assert tape.columns["side"].tolist() == [1, -1] and texts(tape, "size") == ["0.001", "2.000"]
    with_rpi = "\n".join([BYBIT_HEAD + ",RPI", rows[0] + ",false", rows[1] + ",true"])
    path = tmp_path / "X2026-01-01.csv.gz"
    path.write_bytes(gzip.compress(with_rpi.encode()))
    assert read(path, "trades", "X").columns["flags"].tolist() == [0, RPI]


def test_a_bybit_dump_that_is_newest_first_is_read_from_its_end_and_says_so(tmp_path: Path) -> None:
    rows = [bybit_row(f"170000000{n}.5", "Buy", "1", "100", n) for n in (3, 2, 1)]
    tape = read(write(tmp_path, "\n".join([BYBIT_HEAD, *rows])), "trades", "X")
    assert [int(ts) // 10**9 for ts in tape.columns["ts_venue"]] == [1_700_000_001, 1_700_000_002, 1_700_000_003]
    assert "the file is newest first: read from its end" in tape.notes


def test_bybits_spot_dump_has_other_words_and_is_understood(tmp_path: Path) -> None:
    rows = "id,timestamp,price,volume,side\n1,1700000000123,100.5,0.01,buy\n2,1700000000124,100.4,3,sell\n"
    tape = read(write(tmp_path, rows), "trades", "X")
    assert tape.columns["side"].tolist() == [1, -1] and texts(tape, "size") == ["0.01", "3.00"]


# --- Tardis ---------------------------------------------------------------------------------------------------------


def test_a_day_of_tardis_trades_has_all_rows_both_times_and_the_delays_that_were_counted() -> None:
    """data/README.md: 137988 rows, ids without a hole, first 9682 x 0.132 bought, delay 114 to 620 ms, median 130."""
    tape = read(recorded("trades/binance-usdm/BTCUSDT-trades.2020-02-22.tardis.csv.gz"), "trades", "BTCUSDT")
    assert len(tape) == 137_988 and tape.gaps == ()
    assert texts(tape, "price")[0] == "9682.00" and texts(tape, "size")[0] == "0.132"
    assert int(tape.columns["side"][0]) == 1
    delays = (tape.columns["ts"] - tape.columns["ts_venue"]) / 1e6
    assert [round(float(delay)) for delay in (delays.min(), delays.max(), np.median(delays))] == [114, 620, 130]
    assert tape.columns["ts_venue"][0] // 10**9 == DAY_2020 + 2
    assert tape.columns["ts_venue"][-1] // 10**9 == DAY_2020 + 86_393


def test_tardis_quotes_are_read_whatever_the_order_of_their_columns() -> None:
    """data/README.md: 9999 rows of ask_amount,ask_price,bid_price,bid_amount; first 9681.92 x 0.67 / 9682 x 0.84."""
    tape = read(recorded("quotes/binance-usdm/BTCUSDT-quotes.2020-02-22.tardis.csv.gz"), "quotes", "BTCUSDT")
    assert len(tape) == 9_999
    first = [texts(tape, name)[0] for name in ("bid_price", "bid_size", "ask_price", "ask_size")]
    assert first == ["9681.92", "0.670", "9682.00", "0.840"]


def test_tardis_snapshots_are_whole_messages_and_differences_are_grouped_by_receipt() -> None:
    folder = "l2/tardis-format"
    for depth in (25, 5):
        tape = read(recorded(f"{folder}/binance-futures_book_snapshot_{depth}_BTCUSDT.csv"), "depth", "BTCUSDT")
        assert len(tape) == 10 * 2 * depth and int((tape.columns["flags"] & LAST != 0).sum()) == 10
        # first row: asks[0] 11657.08 x 1.714, bids[0] 11657.07 x 10.896
        assert next(books(tape))[1] == (1_165_707, 10_896, 1_165_708, 1_714)
    tape = read(recorded(f"{folder}/deribit_incremental_book_L2_BTC-PERPETUAL.csv"), "depth", "BTC-PERPETUAL")
    assert tape.columns["flags"].tolist() == [SNAPSHOT] * 14 + [SNAPSHOT | LAST]
    assert texts(tape, "price")[0] == "6421.5" and texts(tape, "size")[0] == "18640"


def test_tardis_auctions_are_left_out_and_other_symbols_are_not_read(tmp_path: Path) -> None:
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    rows = "e,X,1600000000000000,1600000000100000,1,unknown,10,1\ne,X,1600000000000001,1600000000100000,2,buy,10,1\n"
    rows += "e,Y,1600000000000001,1600000000100000,1,sell,11,1\n"
    path = write(tmp_path, head + rows)
    tape = read(path, "trades", "X")
    assert tape.columns["side"].tolist() == [1]
    assert "1 trades of an unknown side (auctions): left out" in tape.notes
    with pytest.raises(DataError, match="holds no rows of Z; it holds X, Y"):
        read(path, "trades", "Z")


# --- orders ---------------------------------------------------------------------------------------------------------


def test_bitstamps_orders_are_all_there_but_those_without_price_or_beginning() -> None:
    """data/README.md: 314057 rows, 49 with price 0. Counted here with csv: orders that end without having begun."""
    path = recorded("l3/bitstamp/btcusd-orders.csv.gz")
    tape = read(path, "l3", "BTCUSD")
    alive: set[str] = set()
    unknown = unpriced = 0
    with gzip.open(path, "rt") as stream:
        for row in csv.DictReader(stream):
            if float(row["price"]) == 0:
                unpriced += 1
            elif row["action"] == "created":
                alive.add(row["id"])
            elif row["id"] not in alive:
                unknown += 1
            elif row["action"] == "deleted":
                alive.discard(row["id"])
    assert unpriced == 49
    assert len(tape) == 314_057 - unpriced - unknown
    assert increasing(tape.columns["ts"]) and (tape.columns["ts"] >= tape.columns["ts_venue"]).all()
    snapshot = tape.columns["flags"] & SNAPSHOT != 0
    assert (tape.columns["action"][snapshot] == ADD).all() and len(set(tape.columns["ts_venue"][snapshot])) == 1
    assert np.unique(tape.columns["action"]).tolist() == [ADD, MODIFY, DELETE]
    left = _alive(tape)
    assert len(left) == len(alive)


def _alive(tape: Tape) -> set[int]:
    alive: set[int] = set()
    for order, action in zip(tape.columns["order_id"].tolist(), tape.columns["action"].tolist(), strict=True):
        if action == DELETE:
            alive.remove(order)
        else:
            alive.add(order)
    return alive


def test_bitstamps_trades_have_the_takers_side() -> None:
    """data/README.md: 284 rows, the first 78319.0 x 0.121, a buy."""
    tape = read(recorded("l3/bitstamp/btcusd-trades.csv"), "trades", "BTCUSD")
    assert len(tape) == 284 and texts(tape, "price")[0] == "78319"
    assert texts(tape, "size")[0] == "0.12100000" and int(tape.columns["side"][0]) == 1


# --- ccxt -----------------------------------------------------------------------------------------------------------


def test_trades_of_ccxt_give_one_tape_whether_stored_as_json_text_or_as_float_columns() -> None:
    """data/README.md: 12477 Binance spot aggTrades, ids without a hole, the same in both files."""
    folder = "trades/binance-spot/XRPETH-aggtrades.2019-10"
    exact = read(recorded(f"{folder}.ccxt.json.gz"), "trades", "XRPETH")
    floats = read(recorded(f"{folder}.feather"), "trades", "XRPETH")
    assert len(exact) == 12_477 and exact.gaps == ()
    assert texts(exact, "price")[0] == "0.00141342" and int(exact.columns["side"][0]) == -1
    assert floats.tape_id == exact.tape_id


def test_ccxts_own_digits_count_where_the_venues_trade_is_not_there(tmp_path: Path) -> None:
    rows = [{"timestamp": 1_700_000_000_001, "side": "buy", "price": 0.1, "amount": 12.5, "id": "7"}]
    tape = read(write(tmp_path, json.dumps(rows), "t.json"), "trades", "X")
    assert texts(tape, "price") == ["0.1"] and texts(tape, "size") == ["12.5"]


def test_trades_in_parquet_need_no_ids(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    times = pyarrow.array([1_700_000_000_001, 1_700_000_000_002], pyarrow.timestamp("ms", "UTC"))
    columns = {"timestamp": times, "side": ["buy", "sell"], "price": [0.1, 0.2], "amount": [12.5, 1.0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    tape = read(tmp_path / "t.parquet", "trades", "X")
    assert texts(tape, "price") == ["0.1", "0.2"] and tape.columns["side"].tolist() == [1, -1]
    assert tape.columns["ts_venue"].tolist() == [1_700_000_000_001_000_000, 1_700_000_000_002_000_000]


# --- marks, indexes, funding ----------------------------------------------------------------------------------------


def test_mark_bars_have_the_interval_of_their_rows_and_no_volume() -> None:
    """data/README.md: 266 rows of 8 h from 2025-03-06 16:00; Bybit's 18805 of 1 h, whose volume is missing or 0."""
    folder = "mark_price/binance-usdm"
    tape = read(recorded(f"{folder}/BTCUSDT-mark-8h.2025-03_2025-06.feather"), "marks", "BTCUSDT")
    assert len(tape) == 266 and tape.interval_ns == 8 * 3_600 * 10**9
    assert int(tape.columns["ts_venue"][0]) - tape.interval_ns == 1_741_276_800 * 10**9
    assert texts(tape, "open")[0] == "90776.94748889" and texts(tape, "low")[0] == "87808.72914815"
    assert sorted(tape.columns) == ["close", "high", "low", "open", "ts", "ts_venue"]
    path = recorded("mark_price/bybit-linear/BTCUSDT-mark-1h.2023_2026-02.feather")
    assert len(read(path, "marks", "BTCUSDT")) == 18_805


def test_pages_of_mark_klines_in_one_zip_are_put_in_order() -> None:
    """data/README.md: 1521 daily rows from 2019-12-23 without a hole; the first opens at 7559.44418192."""
    tape = read(recorded("mark_price/binance-usdm/BTCUSDT-markPriceKlines-1d.zip"), "marks", "BTCUSDT")
    assert len(tape) == 1_521 and tape.gaps == () and tape.interval_ns == 86_400 * 10**9
    assert texts(tape, "open")[0] == "7559.44418192"
    assert int(tape.columns["ts_venue"][0]) == 1_577_145_600 * 10**9


def test_funding_rates_are_kept_to_the_nanosecond_with_the_mark_where_the_row_says_it(tmp_path: Path) -> None:
    """data/README.md: 266 rates in column `open`; the first is 0.00006818 at 2025-03-06 16:00."""
    tape = read(recorded("funding/binance-usdm/BTCUSDT-funding.2025-03_2025-06.feather"), "funding", "BTCUSDT")
    assert len(tape) == 266 and texts(tape, "rate")[:2] == ["0.00006818", "-0.00000612"]
    assert int(tape.columns["ts_venue"][0]) // 10**9 == 1_741_276_800
    assert not tape.columns["mark"].any()
    rows = "fundingTime,fundingRate,markPrice\n1700000000005,0.0001,60000.12345678\n1700028800000,-0.0002,60001\n"
    own = read(write(tmp_path, rows), "funding", "BTCUSDT")
    assert own.columns["ts_venue"].tolist() == [1_700_000_000_005_000_000, 1_700_028_800_000_000_000]
    assert texts(own, "rate") == ["0.0001", "-0.0002"] and texts(own, "mark")[0] == "60000.12345678"


def test_rates_without_a_header_and_with_days_without_dashes_are_read() -> None:
    """data/README.md: 4320 rows 2019-11-14 00:00 .. 2023-10-23 16:00, extremes -0.00375 and 0.00375."""
    tape = read(recorded("funding/bybit-inverse/BTCUSD-funding.2019_2023.csv"), "funding", "BTCUSD")
    assert len(tape) == 4_320
    assert tape.columns["ts_venue"][[0, -1]].tolist() == [1_573_689_600 * 10**9, 1_698_076_800 * 10**9]
    assert (int(tape.columns["rate"].min()), int(tape.columns["rate"].max())) == (-375_000, 375_000)
    assert tape.size_scale == 8


# --- what is wrong --------------------------------------------------------------------------------------------------

TARDIS = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
BEGIN = TARDIS + "e,X,1600000000000000,1600000000100000,1,"
OHLC = "time,open,high,low,close\n2025-01-01,1,1,1,1\n"


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("trades", "", "is empty"),
        ("trades", TARDIS, "has a header and nothing below it"),
        ("trades", BEGIN + "buy,NaN,1\n", "line 2, column `price`: 'NaN' is not a fin"),
        ("trades", BEGIN + "hold,1,1\n", "line 2, column `side`: 'hold' is unknown"),
        ("trades", BEGIN + "buy,0,1\n", "line 2, column `price`: 0 is not above zero"),
        ("trades", TARDIS + "e,X,16,1600000000100000,1,buy,1,1\n", "line 2, column `timestamp`: '16' is no time"),
        ("trades", BEGIN + "buy,1\n", "line 2 has 7 fields; expected 8 fields"),
        ("trades", "a,b,c\n1,2,3\n", "which is none of them; expected trades in one of these formats: binance-r"),
        ("quotes", BEGIN + "buy,1,1\n", "I find none for bid_price"),
        ("l3", BEGIN + "buy,1,1\n", "which hold trades, quotes, depth; expected l3"),
        ("marks", OHLC, "holds one row"),
        ("marks", OHLC + "2025-01-02,0,1,0,1\n", "line 3, column `open`: 0 is not above"),
        ("funding", "time,rate\n2025-01-01,0.0001\n2025-01-01,0.0001\n", "line 3, column `time`: .* not come after"),
        ("funding", "time,rate\n2025-01-01,1.5\n", "line 2, column `rate`: 1.5 is no rate"),
        ("funding", "time,size\n2025-01-01,1.5\n", "I find no rate"),
        ("trades", "[{\"timestamp\":1,\"side\":\"buy\"}]", "cannot be read as ccxt trades"),
    ],
)  # fmt: skip
def test_each_kind_of_bad_file_is_told_with_its_line(tmp_path: Path, kind: str, text: str, why: str) -> None:
    with pytest.raises(DataError, match=f"made.csv: .*{why}|made.csv: {why}"):
        read(write(tmp_path, text), kind, "X")


@pytest.fixture(scope="module")
def small() -> list[tuple[str, str, bytes]]:
    """A small file of each format, made here."""
    trade = '{"e":"trade","E":17000000000%02d,"T":17000000000%02d,"s":"X","t":%d,"p":"1.5","q":"2","m":false}'
    hft = "".join(f'17000000000{n}000000 {{"stream":"x@trade","data":{trade % (n, n, n)}}}\n' for n in range(10, 60))
    depth = "".join(
        f'17000000000{n}000000 {{"stream":"x@depth","data":{{"e":"depthUpdate","E":17000000000{n},"s":"X",'
        f'"U":{n},"u":{n},"b":[["1.5","{n}"]],"a":[["1.{n}","2"]]}}}}\n'
        for n in range(60, 90)
    )
    rows = "".join(f"e,X,16000000000000{n},16000000001000{n},{n},buy,1.5,1\n" for n in range(10, 60))
    agg = "".join(f"{n},1.5,2,1,1,17000000000{n},true\n" for n in range(10, 60))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", agg)
    return [
        ("trades", "hft", hft.encode()),
        ("depth", "depth", depth.encode()),
        ("trades", "tardis", (TARDIS + rows).encode()),
        ("trades", "hft.gz", gzip.compress(hft.encode(), mtime=0)),
        ("trades", "agg.zip", packed.getvalue()),
    ]


@given(data=st.data())
def test_spoiled_bytes_give_a_tape_or_a_data_error_and_nothing_else(
    small: list[tuple[str, str, bytes]], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kind, name, content = data.draw(st.sampled_from(small))
    spoiled = bytearray(content)
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        spoiled[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("spoiled") / name
    path.write_bytes(bytes(spoiled[: data.draw(st.integers(1, len(spoiled)))]))
    try:
        tape = read(path, kind, "X")
    except DataError as error:
        assert name in str(error)
    else:
        assert increasing(tape.columns["ts"]) and (tape.columns["ts"] >= tape.columns["ts_venue"]).all()
        assert (tape.columns["price"] > 0).all()


def test_the_page_about_data_names_every_format_with_its_kinds_and_no_other() -> None:
    page = (Path(__file__).parents[1] / "docs/data.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.partition("| `format`")[2].partition("\n\n")[0].splitlines()[2:]]
    told = {name.strip(" `"): kinds.strip() for names, _, kinds in rows for name in names.split(",")}
    assert told.pop("tape") == "every kind" and {told.pop(name) for name in BAR_FORMATS} == {"bars"}
    assert {name: sorted(kinds.split(", ")) for name, kinds in told.items()} == {
        name: sorted(entry.kinds) for name, entry in FORMATS.items()
    }
    assert set(get_args(Format)) == {"auto", "tape", *BAR_FORMATS, *FORMATS}


def test_numbers_that_do_not_fit_beside_finer_ones_of_another_block_are_told_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """17 digits before the dot and 8 behind it need 25: an int64 holds 18. Blocks of one line each."""
    monkeypatch.setattr("adapters.wrapped.BLOCK_BYTES", 1)
    rows = [TARDIS.strip(), "e,X,1600000000000000,1600000000100000,1,buy,12345678901234567,1"]
    rows.append("e,X,1600000000000000,1600000000100000,2,buy,0.00000001,1")
    with pytest.raises(DataError, match="line 2, column `price`: '12345678901234567' needs more than 18 digits"):
        read(write(tmp_path, "\n".join(rows)), "trades", "X")


def test_the_tape_does_not_depend_on_the_length_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{n},{100 + n / 10},{n}.5,1,17000000000{n},true" for n in range(10, 60)]
    path = write(tmp_path, "\n".join(rows))
    whole = read(path, "trades", "X")
    for size in (1, 7, 200):
        monkeypatch.setattr("adapters.wrapped.BLOCK_BYTES", size)
        assert read(path, "trades", "X").tape_id == whole.tape_id


def test_a_word_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2, column `symbol`: a word of 5000 characters"):
        read(write(tmp_path, TARDIS + f"e,{'X' * 5_000},1600000000000000,1600000000100000,1,buy,1,1\n"), "trades", "X")


def test_a_zst_cut_short_is_told_as_damage(tmp_path: Path) -> None:
    whole = recorded("raw_sessions/bybit-v5/2026-08-09.BYBIT.jsonl.zst").read_bytes()
    with pytest.raises(DataError, match=r"cut\.zst: is damaged or cut short"):
        read(write(tmp_path, whole[: len(whole) // 2], "cut.zst"), "trades", "SOLUSDT")


# --- any CSV of trades ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,price,amount,side\n1704067200000,100.5,0.25,buy\n1704067200500,100.4,1,sell\n",
        "Side;Price;Quantity;Date\nBUY;100.5;0.25;2024-01-01T00:00:00Z\nSell;100.4;1;2024-01-01T00:00:00.5Z\n",
        "id,time,price,qty,is_buyer_maker\n7,1704067200000,100.5,0.25,false\n9,1704067200500,100.4,1,True\n",
        "symbol,ts,p,q,side\nBTC/USD,1704067200,100.5,0.25,b\nBTC/USD,1704067200.5,100.4,1,s\n",
    ],
)
def test_trades_of_any_exchange_are_read_by_the_names_of_their_columns(tmp_path: Path, text: str) -> None:
    """The flag "buyer is maker" says that the seller was the aggressor."""
    tape = read(write(tmp_path, text), "trades", "BTCUSDT")
    assert (texts(tape, "price"), texts(tape, "size")) == (["100.5", "100.4"], ["0.25", "1.00"])
    assert tape.columns["side"].tolist() == [1, -1]
    assert tape.columns["ts_venue"].tolist() == [1_704_067_200_000_000_000, 1_704_067_200_500_000_000]


def test_columns_of_other_names_are_told_to_a_csv_of_trades(tmp_path: Path) -> None:
    path = write(tmp_path, "when,rate,lots,who\n1704067200000,100.5,0.25,buy\n")
    with pytest.raises(DataError, match="is none of them"):
        read(path, "trades", "BTCUSDT")
    columns = {"time": "when", "price": "rate", "qty": "lots", "side": "who"}
    tape = read(path, "trades", "BTCUSDT", format="csv", columns=columns)
    assert texts(tape, "price") == ["100.5"]
    with pytest.raises(DataError, match=r"I find none for time, side; .*`columns: {time: ..., side: ...}`"):
        read(path, "trades", "BTCUSDT", format="csv", columns={"price": "rate", "qty": "lots"})


def test_a_trade_that_comes_twice_by_its_id_counts_once(tmp_path: Path) -> None:
    head = "trade_id,timestamp,price,amount,side\n"
    row = "{},1704067200000,100.5,0.25,buy\n"
    tape = read(write(tmp_path, head + row.format("a1") + row.format("a1") + row.format("b2")), "trades", "BTCUSDT")
    assert len(tape) == 2 and "1 trades came twice (same id): the first of each is kept" in tape.notes


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            "X,1704067200000,100.5,0.25,buy\nY,1704067200000,9.5,1,buy\n",
            "holds trades of X, Y; expected one symbol",
        ),
        ("X,1704067200000,100.5,0.25,long\n", "line 2, column `side`: 'long' is unknown; expected buy or sell"),
        ("X,1704067200000,-1,0.25,buy\n", "line 2, column `price`: -1"),
        ("X,1704067200000,1,0.25,buy\nX,1704067100000,1,0.25,buy\n", "line 3, column `time`"),
    ],
)
def test_a_csv_of_trades_that_contradicts_itself_is_refused_with_its_line(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(DataError, match=re.escape(told)):
        read(write(tmp_path, f"symbol,timestamp,price,amount,side\n{rows}"), "trades", "BTCUSDT")
