"""The command line: what it prints where, which files it leaves, how it ends."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from command_line import FILES, REPOSITORY, SHORT, CommandLine, Finished, environment, program, strategy_set
from core.command_line.arguments import VERBS
from core.command_line.progress import Progress, line, wants_lines

HEAVY = ("numpy", "pandas", "pyarrow", "aiohttp", "ccxt", "numba", "asyncio", "anyio")


@pytest.fixture
def anyclock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)


# --- a run ------------------------------------------------------------------------------------------------------------


def test_a_run_leaves_exactly_the_files_of_the_design_and_points_latest_at_them(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT)
    assert done.code == 0
    assert {path.name for path in done.folder.iterdir()} == FILES
    assert (anyclock.folder / "runs/latest").resolve() == done.folder.resolve()
    assert done.manifest["status"] == "complete"


def test_stdout_is_the_summary_and_ends_with_the_run_folder_and_stderr_is_silent_off_a_terminal(
    anyclock: CommandLine,
) -> None:
    done = anyclock(*SHORT)
    assert done.err == ""
    assert done.out.startswith("quickstart  2024-01-01 00:00:00 to 2024-01-03 00:00:00 UTC\n")
    assert done.out.splitlines()[-1] == f"run folder: runs/{done.folder.name}"
    assert "\x1b" not in done.out


def test_json_is_one_object_with_the_summary_that_ends_with_the_run_folder(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT, "--json")
    printed = json.loads(done.out)
    assert list(printed)[-1] == "run_folder"
    assert printed["run_folder"] == f"runs/{done.folder.name}"
    assert (printed["status"], printed["exit_code"], printed["error"]) == ("complete", 0, None)
    assert {key: printed[key] for key in done.summary} == done.summary


def test_the_manifest_says_from_what_and_with_what_the_run_was_made(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT)
    manifest, fills = done.manifest, (done.folder / "fills.csv").read_text().count("\n") - 1
    assert manifest["argv"] == list(SHORT)
    assert (manifest["mode"], manifest["seed"]) == ("backtest", 7)
    assert manifest["counts"]["rows"] == 2 * 24 * 60
    assert manifest["counts"]["fills"] == fills > 0
    (tape,) = manifest["tapes"]
    assert (tape["symbol"], tape["rows"], tape["gaps"]) == ("BTCUSDT", 2880, [])
    assert {"python", "numpy", "msgspec"} <= set(manifest["versions"])
    assert len(manifest["events_sha256"]) == len(manifest["journal_sha256"]["journal.msgpack"]) == 64
    assert set(manifest["wall_seconds"]) == {"load", "run", "report"}


def test_the_written_config_runs_again_to_the_same_events(anyclock: CommandLine) -> None:
    """Resolved means: nothing of the command line is missing in it. Ids are counted under the config's digest."""
    first = anyclock(*SHORT)
    again = anyclock("--config", str(first.folder / "config.yaml"), "--out", "again")
    assert again.code == 0
    (folder,) = [path for path in (anyclock.folder / "again").iterdir() if not path.is_symlink()]
    for name in ("events_sha256", "config_sha256"):
        assert json.loads((folder / "manifest.json").read_text())[name] == first.manifest[name]


def test_a_run_writes_into_the_folder_it_is_told(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT, "--out", "elsewhere/deep")
    assert done.wrote_nothing
    assert done.out.splitlines()[-1].startswith("run folder: elsewhere/deep/quickstart-")


def test_what_a_strategy_prints_goes_to_stderr_when_stdout_is_one_json_object(anyclock: CommandLine) -> None:
    """From its import on. Without --json its words stay where it wrote them."""
    module = anyclock.module(
        "talks",
        "import sys\nprint('imported')\nclass Mine:\n    warmup = 2879\n"
        "    def generate_signals(self, m, p):\n        print('called')\n",
    )
    done = anyclock(*SHORT, *strategy_set(module, window="2879"), "--json")
    assert json.loads(done.out)["status"] == "complete"
    assert set(done.err.splitlines()) == {"imported", "called"}
    sys.modules.pop(module)
    assert anyclock(*SHORT, *strategy_set(module, window="2879")).out.startswith("imported\ncalled\n")


@pytest.mark.parametrize("moment", ["import", "call"])
def test_a_strategy_that_changes_the_working_directory_does_not_take_the_results_along(
    anyclock: CommandLine, moment: str
) -> None:
    move = "os.chdir(os.path.dirname(__file__) + '/away')\n"
    module = anyclock.module(
        f"moves_on_{moment}",
        f"import os\n{move if moment == 'import' else ''}class Mine:\n    warmup = 1\n"
        f"    def generate_signals(self, m, p):\n        {move if moment == 'call' else 'pass'}\n",
    )
    (anyclock.folder / "away").mkdir()
    done = anyclock(*SHORT, *strategy_set(module))
    assert done.code == 0
    assert Path.cwd() == anyclock.folder / "away" and list(Path.cwd().iterdir()) == []
    assert {path.name for path in done.folder.iterdir()} == FILES
    assert done.out.splitlines()[-1] == f"run folder: runs/{done.folder.name}"
    for name in ("config.yaml", "manifest.json"):
        assert str(anyclock.folder) not in (done.folder / name).read_text()


def test_a_drawdown_halt_lets_the_run_complete_and_returns_5_with_the_reason(anyclock: CommandLine) -> None:
    """One fee of 0.05 % of half the capital is more than a drawdown of 0.0001."""
    done = anyclock(*SHORT, "--set", "risk.max_drawdown=0.0001")
    assert done.code == 5
    assert done.err.startswith("trading was halted: equity ")
    assert (done.manifest["status"], list(done.manifest["halted"])) == ("complete", ["account"])
    assert any("trading was halted for account" in warning for warning in done.summary["warnings"])
    assert {path.name for path in done.folder.iterdir()} == FILES


def test_a_kill_switch_denies_every_order_and_says_so(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT, "--set", "risk.kill_switch=true")
    assert done.code == 5
    assert done.summary["fill_count"] == 0
    assert any("denied by our own checks" in warning for warning in done.summary["warnings"])


def test_paper_on_a_tape_ends_with_the_same_account_as_the_backtest(anyclock: CommandLine) -> None:
    backtest = anyclock(*SHORT, "--json", "--out", "backtest")
    paper = anyclock(*SHORT, "--json", "--out", "paper", "--mode", "paper", "--tape")
    assert paper.code == 0
    assert json.loads(paper.out)["events_sha256"] == json.loads(backtest.out)["events_sha256"]


# --- what is loaded ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS)])
def test_help_answers_without_loading_what_a_run_needs(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from core.run import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as error:\n    assert error.code == 0\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--help"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert done.stdout.startswith("usage: python -m core.run")


def test_a_backtest_loads_none_of_the_slow_libraries(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom core.run import main\nassert main(sys.argv[1:]) == 0\n"
        "print('loaded:', [n for n in ('pandas', 'pyarrow', 'aiohttp', 'ccxt', 'numba') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *SHORT],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "loaded: []", done.stderr


def test_the_help_names_every_verb_and_every_exit_code(anyclock: CommandLine) -> None:
    text = anyclock("--help").out
    assert all(verb in text for verb in VERBS)
    assert all(f"{code} " in text for code in (0, 1, 2, 3, 4, 5, 6, 130))


# --- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc", "x.yaml"], "unknown verb `chekc`, did you mean `check`?"),
        (["my.yaml"], "a config is named with --config: python -m core.run --config my.yaml"),
        (["--mode", "live"], "live trading is not offered yet: --mode backtest and --mode paper --tape are"),
        (["--mode", "replay"], "replay of a journal is not offered yet: --mode backtest and --mode paper --tape are"),
        (["--mode", "paper"], "paper on a venue's own streams is not offered yet: add --tape"),
        (["--tape"], "--tape belongs to --mode paper"),
        (["--mode", "backtest", "--speed", "3"], "--speed belongs to --mode paper --tape"),
        (["--mode", "paper", "--tape", "--speed", "nan"], "expected a number above 0"),
        (["--sett", "a=b"], "unrecognized arguments: --sett"),
        (["report", "nope"], "there is no run 'nope'"),
        (["new-strategy", "a-b"], "`a-b` is no name for a Python module"),
        (["new-strategy", "json"], "a module called json exists already"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(anyclock: CommandLine, arguments: list[str], said: str) -> None:
    done = anyclock(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert list(anyclock.folder.iterdir()) == []


def test_config_errors_come_all_at_once_with_their_lines_and_nothing_is_started(anyclock: CommandLine) -> None:
    (anyclock.folder / "run.yaml").write_text(
        "run: {name: wrong}\n"
        "venue: {name: binance-usdm}\n"
        'account: {balances: {USDT: "10000"}}\n'
        "data:\n"
        "  - {symbol: BTCUSDT, kind: bars, interval: 1m, source: {kind: synthetic}}\n"
        "strategies:\n"
        '  - {name: ema, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSD]}\n'
        "risk:\n"
        "  max_levrage: 3\n"
    )
    done = anyclock("--config", "run.yaml")
    assert done.code == 2 and done.wrote_nothing
    said = done.err.splitlines()
    assert said[0] == "run.yaml: 2 problems, nothing was started"
    assert "line 7" in said[1] and "$.strategies[0].symbols[0]" in said[1] and "did you mean `BTCUSDT`?" in said[1]
    assert "line 9" in said[2] and "$.risk.max_levrage" in said[2] and "did you mean `max_leverage`?" in said[2]
    assert said[3] == "check again with: python -m core.run check run.yaml"


def test_debug_adds_the_traceback_of_a_users_error(anyclock: CommandLine) -> None:
    assert "Traceback" in anyclock("--config", "nope.yaml", "--debug").err


def test_an_unexpected_error_shows_its_traceback_and_says_that_it_is_ours(
    anyclock: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a planted bug")

    monkeypatch.setattr("core.compose.check", broken)
    done = anyclock("check", "x.yaml")
    assert done.code == 1
    assert "Traceback" in done.err and "RuntimeError: a planted bug" in done.err
    assert done.err.splitlines()[-1].startswith("this is a bug of ours")


def test_a_bug_in_the_middle_of_a_run_leaves_a_folder_marked_failed(
    anyclock: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a planted bug")

    monkeypatch.setattr("core.portfolio.Portfolio.on_fill", broken)
    done = anyclock(*SHORT)
    assert done.code == 1
    assert "a planted bug" in done.err and "this is a bug of ours" in done.err
    assert (done.manifest["status"], done.manifest["error"]) == ("failed", "a planted bug")
    assert "a planted bug" in (done.folder / "run.log").read_text()


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "core.run", *SHORT],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == 0


# --- interrupted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_partial_results_and_returns_130(tmp_path: Path, number: signal.Signals) -> None:
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "core.run", "--set", "data[0].source.days=365"],
        cwd=tmp_path, env=environment(TERM="xterm"), stdout=subprocess.PIPE, stderr=terminal, text=True,
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while b"events/s" not in seen:
        seen += os.read(master, 4096)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    err = _rest(master)
    done = Finished(process.returncode, out, err, tmp_path)
    assert done.code == 130
    assert done.manifest["status"] == "interrupted"
    assert {path.name for path in done.folder.iterdir()} == FILES
    assert f"partial results: runs/{done.folder.name}  (marked interrupted)" in err
    assert done.summary["end"] < "2024-12-30"
    assert any(warning.startswith("this run is interrupted") for warning in done.summary["warnings"])
    assert out.splitlines()[-1] == f"run folder: runs/{done.folder.name}"


def _rest(master: int) -> str:
    """What is left to read of a terminal whose other side is closed."""
    text = b""
    try:
        while chunk := os.read(master, 4096):
            text += chunk
    except OSError:  # Linux says EIO where others say end of file
        return text.decode()
    finally:
        os.close(master)
    return text.decode()


def test_signal_handlers_and_logging_are_as_before_after_a_run(anyclock: CommandLine) -> None:
    def state() -> tuple[Any, ...]:
        root = logging.getLogger()
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), list(root.handlers), root.level

    before = state()
    assert anyclock(*SHORT).code == 0
    assert state() == before


# --- progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "wanted"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),  # no-color.org: only when not empty
        (Terminal(), {"TERM": "dumb"}, False),
    ],
)
def test_lines_are_drawn_on_a_terminal_that_allows_it(stream: Any, variables: dict[str, str], wanted: bool) -> None:
    assert wants_lines(stream, variables) is wanted


def test_the_progress_line_shows_date_share_speed_time_left_and_equity() -> None:
    assert line(1746316800_000000000, 0.345, 412_000.4, 61.0, "10,012.30 USDT") == (
        "2025-05-04 00:00   34%  412,000 events/s  ETA 1 min 01 s  equity 10,012.30 USDT"
    )


def test_progress_is_erased_before_something_that_stays() -> None:
    terminal = Terminal()
    progress = Progress(terminal, shown=True)
    progress.loading("loading X", 1, 2)
    progress.loading("loading X", 2, 2)  # within a fifth of a second: not drawn
    progress.clear()
    assert terminal.getvalue() == "\r\x1b[Kloading X   50%  1 rows\r\x1b[K"


def test_with_quiet_nothing_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    assert program(*SHORT, "--quiet", cwd=tmp_path).err == ""


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_check_reads_everything_and_starts_nothing(anyclock: CommandLine) -> None:
    done = anyclock("check", str(REPOSITORY / "configs/quickstart.yaml"))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].endswith("quickstart.yaml: ok")
    assert done.wrote_nothing


def test_check_notes_a_file_that_is_not_there(anyclock: CommandLine) -> None:
    config = str(REPOSITORY / "configs/files.yaml")
    note = "  note: data/BTCUSDT-1m.csv: there is no such file; a run needs it"
    assert note in anyclock("check", config).out.splitlines()
    (anyclock.folder / "data").mkdir()
    (anyclock.folder / "data/BTCUSDT-1m.csv").write_text("time,open,high,low,close,volume\n")
    assert "note" not in anyclock("check", config).out


def test_check_of_a_wrong_config_returns_2(anyclock: CommandLine) -> None:
    done = anyclock("check", str(REPOSITORY / "configs/quickstart.yaml"), "--set", "run.sed=1")
    assert done.code == 2
    assert "did you mean `seed`?" in done.err


def test_report_prints_the_summary_of_a_run_again(anyclock: CommandLine) -> None:
    first = anyclock(*SHORT)
    for name in ("latest", first.folder.name, f"runs/{first.folder.name}"):
        again = anyclock("report", name)
        assert (again.code, again.out) == (0, first.out)
    assert json.loads(anyclock("report", "latest", "--json").out) == first.summary


def test_report_of_a_run_without_results_says_why(anyclock: CommandLine) -> None:
    (anyclock.folder / "runs/crashed").mkdir(parents=True)
    (anyclock.folder / "runs/crashed/manifest.json").write_text('{"status": "running"}')
    done = anyclock("report", "crashed")
    assert done.code == 3
    assert "the run ended before its results were written" in done.err


def test_a_new_strategy_runs_as_it_is_written_and_is_never_overwritten(anyclock: CommandLine) -> None:
    made = anyclock("new-strategy", "made_by_the_test")
    assert made.code == 0
    assert made.out.splitlines()[-1] == "run it: python -m core.run --config made_by_the_test.yaml"
    done = anyclock("--config", "made_by_the_test.yaml")
    assert done.code == 0
    assert done.summary["trade_count"] > 0
    text = (anyclock.folder / "made_by_the_test.py").read_bytes()
    again = anyclock("new-strategy", "made_by_the_test")
    assert again.code == 2 and "is there already" in again.err
    assert (anyclock.folder / "made_by_the_test.py").read_bytes() == text


def test_scenario_and_parity_hand_over_what_was_asked(anyclock: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def scenarios(paths: list[str], *, json: bool, out: Any, err: Any) -> int:
        print(paths, json, file=out)
        return 1

    parity = types.ModuleType("core.parity")
    parity.run_parity = lambda config, sets: (0, f"{config} {sets}")
    monkeypatch.setattr("core.compose.run_scenarios", scenarios)
    monkeypatch.setitem(sys.modules, "core.parity", parity)
    done = anyclock("scenario", "a.yaml", "b", "--json")
    assert (done.code, done.out) == (1, "['a.yaml', 'b'] True\n")
    assert anyclock("parity", "--config", "x.yaml", "--set", "a=b").out == "x.yaml ('a=b',)\n"


def test_a_strategy_that_halts_alone_lets_the_run_complete_and_returns_1(anyclock: CommandLine) -> None:
    module = anyclock.module(
        "halts_alone", "class Mine:\n    warmup = 1\n    def generate_signals(self, m, p):\n        return 1 / 0\n"
    )
    done = anyclock(*SHORT, *strategy_set(module, on_error="halt"))
    assert done.code == 1
    assert done.manifest["status"] == "complete"
    assert "halted on the way: mine: it failed in generate_signals: ZeroDivisionError" in done.err
