"""Runs whose config wants the brackets as the venue tells them: asked once, kept, told, in place of the stored ones."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from adapters.binance.brackets import BinanceBrackets
from adapters.cache import QUARANTINE
from adapters.kept.kept_brackets import KeptBrackets
from command_line import CommandLine
from core.compose import compose, read_plan
from core.errors import ConfigError, DataError, UsageError, VenueError
from core.margin import Tier
from core.plan import Plan
from loopback import Loopback, listening
from signed_loopback import BRACKETS, SignedLoopback
from test_binance_brackets import KEY, NOW_MS, SECRET, door, told

CONFIG = """
run: {{name: told, seed: 7, start: {start}, cache: cache}}
venue: {venue}
account: {{balances: {{USDT: "10000"}}, leverage: {leverage}}}
data:
  - {{symbol: BTCUSDT, kind: bars, interval: 1h, source: {{kind: synthetic, days: 2, start: {start}}}}}
strategies:
  - {{name: ema, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], params: {{fast: 2, slow: 4, qty: "0.01"}}}}
"""
CREDENTIALS = "api_key: env:A_KEY, api_secret: env:A_SECRET"
WITH_KEY = f"{{{{name: binance-usdm, brackets: {{{{kind: binance, base_url: '{{url}}', {CREDENTIALS}}}}}}}}}"
WITHOUT = "{{name: binance-usdm, brackets: {{kind: binance, base_url: '{url}'}}}}"
BYBIT = "{{name: bybit-linear, brackets: {{kind: bybit, base_url: '{url}'}}}}"
TWO = told("BTCUSDT", (0, 500, 0.004, 50, 0), (500, 1_000_000, 0.01, 20, 3))
"""Above 500 USDT no more than 20x: at 25x a position of 0.01 BTC is too large."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_SECRET", SECRET)
    monkeypatch.chdir(tmp_path)


def plan_of(venue: str, url: str, *, leverage: int = 25, start: str = "2024-11-01") -> Plan:
    text = CONFIG.format(venue=venue.format(url=url), leverage=leverage, start=start)
    return read_plan("told.yaml", text=text)


async def run(plan: Plan) -> Any:
    """The parts of a finished run."""
    async with compose(plan) as engine:
        await engine.run()
        return engine.parts.run


def tiers_of(done: Any) -> list[Tier]:
    return list(done.plan.tiers(("binance-usdm", "BTCUSDT"), done.start))


# --- what a run trades under ----------------------------------------------------------------------------------------


async def test_told_brackets_bound_what_a_run_may_hold() -> None:
    """The stored ones allow 100x and more at this size; the told ones end at 500 USDT for 25x."""
    async with listening(door(BTCUSDT=TWO)) as url:
        done = await run(plan_of(WITH_KEY, url))
    assert [(str(tier.floor), str(tier.mmr)) for tier in tiers_of(done)][:2] == [("0", "0.004"), ("500", "0.01")]
    reasons = {order.reason for order in done.working.all.values()}
    assert len(reasons) > 1 and all("at 25x its bracket ends at 500" in reason for reason in reasons)
    assert "BTCUSDT: brackets as binance-usdm told them at 2024-10-24T00:00:00Z" in done.plan.warnings


async def test_what_was_told_is_kept_and_a_key_is_only_needed_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run asks nothing, with no key in the environment, and is the same to the byte."""
    venue, digests = door(BTCUSDT=TWO), []
    async with listening(venue) as url:
        for _ in range(2):
            done = await run(plan_of(WITH_KEY, url))
            digests.append((done.journal.events_sha256, done.plan.warnings))
            monkeypatch.delenv("A_KEY", raising=False)
    assert digests[0] == digests[1] and len(venue.signed) == 1


async def test_a_run_before_the_answer_says_that_it_guesses() -> None:
    async with listening(door(BTCUSDT=TWO)) as url:
        done = await run(plan_of(WITH_KEY, url, start="2024-03-01"))
    assert (
        "BTCUSDT: brackets as binance-usdm told them at 2024-10-24T00:00:00Z; that they were the same on 2024-03-01 is "
        "a guess" in done.plan.warnings
    )


async def test_without_a_key_the_stored_brackets_stand_and_the_run_says_so() -> None:
    """Nothing is asked; BTCUSDT of 2024-11-01 has the tiers stored of 2024-10-24."""
    venue = door(BTCUSDT=TWO)
    async with listening(venue) as url:
        done = await run(plan_of(WITHOUT, url))
    assert venue.asked == [] and len(tiers_of(done)) == 12
    assert done.plan.warnings[:2] == [
        "BTCUSDT: binance-usdm tells its brackets to a key alone and none is given, so the stored ones stand for them; "
        "name one in `api_key` and `api_secret`",
        "BTCUSDT: brackets as stored, of 2024-10-24T00:00:00Z",
    ]


async def test_a_key_the_environment_does_not_have_ends_the_run_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was named, so the stored ones are not what is wanted."""
    monkeypatch.delenv("A_SECRET")
    venue = door(BTCUSDT=TWO)
    async with listening(venue) as url:
        with pytest.raises(UsageError, match="`api_secret: env:A_SECRET`: the environment has no A_SECRET"):
            await run(plan_of(WITH_KEY, url))
    assert venue.asked == []


async def test_leverage_is_measured_by_the_told_brackets_not_by_the_stored() -> None:
    """The told ones allow 50x; 60x is in the stored ones, but of no use."""
    async with listening(door(BTCUSDT=TWO)) as url:
        with pytest.raises(UsageError, match=r"told.yaml: account.leverage: 60x is more than .* BTCUSDT: 50x"):
            await run(plan_of(WITH_KEY, url, leverage=60))


async def test_bybit_tells_its_brackets_through_the_same_door_and_to_everybody() -> None:
    """Two rows of risk-limit: the limit of one is the floor of the next, the last one ends the list."""
    rows = [
        {"symbol": "BTCUSDT", "riskLimitValue": "500", "maintenanceMargin": "0.005", "initialMargin": "0.01",
         "maxLeverage": "100"},
        {"symbol": "BTCUSDT", "riskLimitValue": "900", "maintenanceMargin": "0.02", "initialMargin": "0.04",
         "maxLeverage": "25"},
    ]  # fmt: skip
    venue = Loopback(now_ms=NOW_MS)
    venue.bodies["/v5/market/risk-limit?linear"] = {"retCode": 0, "result": {"list": rows}, "time": NOW_MS}
    async with listening(venue) as url:
        done = await run(plan_of(BYBIT, url))
        assert (await run(plan_of(BYBIT, url))).plan.warnings == done.plan.warnings
    tiers = done.plan.tiers(("bybit-linear", "BTCUSDT"), done.start)
    assert [(int(t.floor), str(t.mmr), int(t.max_leverage)) for t in tiers] == [
        (0, "0.005", 100), (500, "0.02", 25), (900, "0.02", 0),
    ]  # fmt: skip
    assert "BTCUSDT: brackets as bybit-linear told them at 2024-10-24T00:00:00Z" in done.plan.warnings
    assert venue.paths() == ["/v5/market/risk-limit"]


async def test_a_venue_that_lists_no_bracket_is_told() -> None:
    """Bybit answers so for a contract that is gone: an account without brackets would never be liquidated."""
    venue = Loopback(now_ms=NOW_MS)
    venue.bodies["/v5/market/risk-limit?linear"] = {"retCode": 0, "result": {"list": []}, "time": NOW_MS}
    async with listening(venue) as url:
        with pytest.raises(VenueError, match=r"the brackets of BTCUSDT told at .* cannot be: there are none"):
            await run(plan_of(BYBIT, url))


async def test_each_of_several_venues_tells_its_own() -> None:
    """The same symbol at both: two tiers and an end here, one and an end there."""
    venue = door(BTCUSDT=TWO)
    rows = [{"symbol": "BTCUSDT", "riskLimitValue": "900", "maintenanceMargin": "0.02", "initialMargin": "0.04",
             "maxLeverage": "25"}]  # fmt: skip
    venue.bodies["/v5/market/risk-limit?linear"] = {"retCode": 0, "result": {"list": rows}, "time": NOW_MS}
    async with listening(venue) as url:
        entries = f"{{p: {WITH_KEY.format(url=url)}, q: {BYBIT.format(url=url)}}}"
        text = CONFIG.format(venue=entries, leverage=25, start="2024-11-01").replace("venue:", "venues:")
        bars = next(line for line in text.splitlines() if "kind: bars" in line)
        both = [bars.replace("{symbol", f"{{venue: {name}, symbol") for name in ("p", "q")]
        text = text.replace(bars, "\n".join(both))
        done = await run(read_plan("told.yaml", text=text.replace("[BTCUSDT]", '["q:BTCUSDT"]')))
    told = {name: [str(tier.floor) for tier in done.plan.tiers((name, "BTCUSDT"), done.start)] for name in ("p", "q")}
    assert told == {"p": ["0", "500", "1000000"], "q": ["0", "900"]}
    assert sorted(path.parts[2].partition("%40")[0] for path in files()) == ["binance-usdm", "bybit-linear"]


async def test_brackets_of_the_config_itself_are_not_asked_for() -> None:
    own = (
        'instruments: {BTCUSDT: {tick: "0.1", step: "0.001", brackets: [{floor: "0", mmr: "0.01", max_leverage: 30}]}}'
    )
    venue = door(BTCUSDT=TWO)
    async with listening(venue) as url:
        text = CONFIG.format(venue=WITH_KEY.format(url=url), leverage=25, start="2024-11-01")
        done = await run(read_plan("told.yaml", text=f"{text}{own}\n"))
    assert venue.asked == [] and [str(tier.mmr) for tier in tiers_of(done)] == ["0.01"]


# --- what is kept ---------------------------------------------------------------------------------------------------


def kept(url: str) -> KeptBrackets:
    source = BinanceBrackets(base_url=url, retries=0, api_key="env:A_KEY", api_secret="env:A_SECRET")
    opened = source.open(venue="binance-usdm", cache=Path("cache"))
    assert isinstance(opened, KeptBrackets)
    return opened


def files() -> list[Path]:
    return sorted(Path("cache").rglob("*.json"))


async def test_an_answer_that_differs_is_kept_beside_the_one_before_an_equal_one_is_not() -> None:
    """Two answers of three: the same, then another a day later. A run takes the newest of before its start."""
    venue = door(BTCUSDT=TWO)
    async with listening(venue) as url:
        for at, rows in enumerate((TWO, TWO, told("BTCUSDT", (0, 900, 0.005, 40, 0)))):
            venue.now_ms, venue.brackets = NOW_MS + at * 86_400_000, {"BTCUSDT": rows}
            answer = await kept(url).load(["BTCUSDT"], anew=True)
        assert [row.since // 1_000_000 for row in answer.tiers["BTCUSDT"]] == [NOW_MS, NOW_MS + 2 * 86_400_000]
        assert [path.name.partition(".")[0] for path in files()] == [str(NOW_MS), str(NOW_MS + 2 * 86_400_000)]
        assert answer == await kept(url).load(["BTCUSDT"])
        early, late = [await run(plan_of(WITH_KEY, url, start=day)) for day in ("2024-10-25", "2024-11-01")]
    assert (len(tiers_of(early)), len(tiers_of(late))) == (3, 2)
    assert len(venue.signed) == 3


async def test_another_host_has_a_folder_of_its_own() -> None:
    """Brackets of a test network never pass for the real ones."""
    async with listening(door(BTCUSDT=TWO)) as url:
        await kept(url).load(["BTCUSDT"])
    (path,) = files()
    assert path.parts[:2] == ("cache", "brackets") and path.parts[2].startswith("binance-usdm%40127.0.0.1")


@pytest.mark.parametrize("at", [0, 20, -1])
async def test_a_flipped_byte_is_noticed_named_set_aside_and_asked_for_again(at: int) -> None:
    venue = door(BTCUSDT=TWO)
    async with listening(venue) as url:
        await kept(url).load(["BTCUSDT"])
        (path,) = files()
        raw = bytearray(path.read_bytes())
        raw[at] ^= 1
        path.write_bytes(raw)
        answer = await kept(url).load(["BTCUSDT"])
    assert len(answer.tiers["BTCUSDT"]) == 1 and len(venue.signed) == 2 and files() == [path]
    assert answer.notes == [
        f"cache file {path} has another sha256 than its name says: renamed to {path.name}{QUARANTINE}, the venue is "
        "asked again when it is needed"
    ]
    assert path.with_name(path.name + QUARANTINE).exists()


async def test_a_kept_answer_that_cannot_be_read_or_moved_is_told_by_its_name() -> None:
    """A folder stands in its place; then the place of what is set aside is taken too."""
    venue = door(BTCUSDT=TWO)
    async with listening(venue) as url:
        await kept(url).load(["BTCUSDT"])
        (path,) = files()
        path.unlink()
        path.mkdir()
        assert "cannot be read (Is a directory): renamed to" in (await kept(url).load(["BTCUSDT"])).notes[0]
        path.unlink()
        path.mkdir()
        (path.with_name(path.name + QUARANTINE) / "full").mkdir()
        with pytest.raises(DataError, match=r"cannot be set aside \(.*\); remove it by hand"):
            await kept(url).load(["BTCUSDT"])


async def test_a_folder_that_cannot_be_written_is_told() -> None:
    Path("cache").write_text("a file stands where the folder would be")
    async with listening(door(BTCUSDT=TWO)) as url:
        with pytest.raises(DataError, match=r"cannot write cache/brackets/.*; choose another `run.cache`"):
            await kept(url).load(["BTCUSDT"])


@pytest.mark.parametrize(
    "rows",
    [
        [(10, 500, 0.004, 50, 0)],
        [(0, 500, 0.004, 50, 0), (0, 900, 0.01, 20, 3)],
        [(0, 500, 4.0, 50, 0)],
        [(0, 500, 0.004, 0, 0)],
        [(0, 500, 0.004, 50, -1)],
        [(0, 0, 0.004, 50, 0)],
        [(0, 500, "NaN", 50, 0)],
        [(0, 500, 0.004, 50, "Infinity")],
    ],
)
async def test_brackets_that_cannot_be_are_refused_and_not_kept(rows: Any) -> None:
    """Not from 0, two from 0, a rate above 1, no leverage, an amount below 0, an end at 0, what is no number."""
    async with listening(door(BTCUSDT=told("BTCUSDT", *rows))) as url:
        with pytest.raises(VenueError, match=r"the brackets of BTCUSDT told at 2024-10-24 .* cannot be: "):
            await kept(url).load(["BTCUSDT"])
    assert files() == []


# --- what a config may say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("venue", "place", "message"),
    [
        ("{name: binance-usdm, brackets: {kind: binance, api_key: env:K}}", "$.venue.brackets.api_secret",
         "missing: a key and its secret go together"),
        ("{name: binance-usdm, brackets: {kind: binance, api_secret: env:K}}", "$.venue.brackets.api_key",
         "missing: a key and its secret go together"),
        ("{name: binance-usdm, brackets: {kind: binance, api_key: abc, api_secret: env:K}}",
         "$.venue.brackets.api_key", "a secret must not stand in a file"),
        ("{name: binance-spot, brackets: {kind: binance}}", "$.venue.brackets",
         "Binance has brackets of binance-usdm alone, not of binance-spot; leave `brackets` out"),
        ("{name: binance-usdm, brackets: {kind: bybit}}", "$.venue.brackets",
         "Bybit has brackets of bybit-linear alone, not of binance-usdm; leave `brackets` out"),
        ("{name: binance-usdm, brackets: {kind: kraken}}", "$.venue.brackets.kind", "expected one of: binance, bybit"),
        ("{name: binance-usdm, brackets: {kind: binance, base_url: ftp://x}}", "$.venue.brackets.base_url",
         "expected a URL such as https://host.example"),
        ("{name: binance-usdm, brackets: told}", "$.venue.brackets", "expected a mapping"),
        ("{name: binance-usdm, bracket: {kind: binance}}", "$.venue.bracket", "did you mean `brackets`?"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_told_with_its_place(venue: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan("told.yaml", text=CONFIG.format(venue=venue, leverage=1, start="2024-11-01"))
    assert any(p.path == place and message in p.message and p.line == 3 for p in caught.value.problems), caught.value


def test_a_key_handed_in_by_a_program_is_named_too() -> None:
    """A struct of its own making is held to the same form."""
    ((place, message),) = BinanceBrackets(api_key=KEY, api_secret="env:A_SECRET").check()
    assert place == "api_key" and "like env:BINANCE_KEY" in message and KEY not in message


# --- the command line -----------------------------------------------------------------------------------------------


class Served:
    """The venue in a loop and thread of its own: a command line brings a loop too."""

    def __init__(self, venue: SignedLoopback) -> None:
        self.venue = venue
        self.url = ""

    def __enter__(self) -> Served:
        self.loop, ready = asyncio.new_event_loop(), threading.Event()

        async def serve() -> None:
            self.over = asyncio.Event()
            async with listening(self.venue) as self.url:
                ready.set()
                await self.over.wait()

        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(serve(),))
        self.thread.start()
        ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()
        self.loop.close()


def test_verify_finds_a_damaged_answer_and_repair_sets_it_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both without the venue; the next run asks again."""
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    folder = tmp_path / ".cache" / "brackets" / "binance-usdm" / "BTCUSDT"
    folder.mkdir(parents=True)
    path = folder / "1729728000000.0123456789abcdef.json"
    path.write_text("{}")
    found = cli("data", "verify")
    assert found.code == 3 and f"{path.name}: has another sha256 than its name says" in found.out
    assert found.err == "1 of 1 file damaged; repair with: python -m core.run data repair\n"
    mended = cli("data", "repair")
    assert mended.code == 0 and f"renamed to {path.name}{QUARANTINE}" in mended.out
    assert cli("data", "verify").out == "0 files in .cache, all as they were written\n"


def test_download_asks_anew_runs_do_not_and_no_file_has_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two downloads and two runs: three requests less. Key, secret and signatures are in no byte of what is left."""
    cli = CommandLine(tmp_path, monkeypatch, capsys)
    with Served(door(BTCUSDT=TWO)) as server:
        text = CONFIG.format(venue=WITH_KEY.format(url=server.url), leverage=25, start="2024-11-01")
        (tmp_path / "told.yaml").write_text(text)
        for _ in range(2):
            done = cli("data", "download", "--config", "told.yaml")
            assert done.code == 0 and done.out.splitlines() == [
                "binance-usdm BTCUSDT brackets: 2 tiers as told at 2024-10-24T00:00Z",
                "binance-usdm BTCUSDT bars: nothing to download, its source is here",
            ]
        listed = cli("data", "list", "--cache", "cache")
        assert listed.out.endswith(" BTCUSDT brackets: 2 tiers, told at 2024-10-24T00:00Z\n")
        (entry,) = json.loads(cli("data", "list", "--json", "--cache", "cache").out)
        assert (entry["kind"], entry["told"], entry["tiers"]) == ("brackets", [NOW_MS * 1_000_000], 2)
        runs = [cli("--config", "told.yaml", "--debug", "--json") for _ in range(2)]
        server.venue.secrets.clear()
        wrong = cli("data", "download", "--config", "told.yaml", "--debug")
    assert len(server.venue.signed) == 3 and [done.code for done in runs] == [0, 0]
    assert runs[0].out != "" and json.loads(runs[0].out)["events_sha256"] == json.loads(runs[1].out)["events_sha256"]
    assert wrong.code == 4 and "code -2015" in wrong.err and BRACKETS in wrong.err
    secrets = [KEY, SECRET, *(query[-64:] for _, query in server.venue.signed)]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    told_to_us = [text.encode() for one in (*runs, wrong) for text in (one.out, one.err)]
    for secret in secrets:
        for spelling in (secret.encode(), base64.b64encode(secret.encode())):
            assert not any(spelling in content for content in (*written, *told_to_us))
    assert any(b"env:A_KEY" in content for content in written) and len(written) > 15
