"""The reference pages name what the program knows: every key, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config_keys import Section, sections
from core.compose import check
from core.hosting.signals import ALIASES, CHOICES, KEYS
from document import PAGES, REPOSITORY
from sim.backtester import Backtester

ROW = re.compile(r"^\| `(?P<key>\w+)` \| .* \| (?P<default>[^|]*) \| [^|]* \|$")


def documented(page: str) -> dict[str, list[tuple[str, str]]]:
    """Section to its rows (key, default), as a page's tables have them; without `kind:` and backticks."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in (REPOSITORY / page).read_text().splitlines():
        if line.startswith("## "):
            path, _, kind = line[3:].replace("`", "").partition(", kind: ")
            heading = path.split(", ")[0] + (f" kind: {kind}" if kind else "")
            rows = found.setdefault("" if heading == "The file" else heading, [])
        elif match := ROW.match(line):
            rows.append((match["key"], match["default"].strip("`")))
    return found


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.heading or "top")
def test_the_config_page_has_every_key_of_a_section_with_its_default_and_no_other(section: Section) -> None:
    assert documented("docs/config.md").get(section.heading) == [(key.name, key.default) for key in section.keys]


def test_the_config_page_has_no_section_that_is_none() -> None:
    assert set(documented("docs/config.md")) == {section.heading for section in sections()}


def test_the_strategy_page_names_every_signal_key_and_every_word_one_may_be() -> None:
    text = (REPOSITORY / "docs/your_strategy.md").read_text()
    table = text.partition("## What it may answer")[2].partition("\n## ")[0]
    rows = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert rows == KEYS | set(ALIASES)
    words = {word for choice in CHOICES.values() for word in choice}
    assert {word for word in words if f"`{word}`" not in table} == set()


@pytest.mark.parametrize("config", sorted((REPOSITORY / "configs").iterdir()), ids=lambda path: path.name)
def test_every_config_that_comes_with_the_program_is_free_of_problems(config: Path) -> None:
    assert check(config)[0] == f"{config}: ok"


def test_the_config_for_files_runs_on_a_csv_at_the_path_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    rows = [f"{1_746_316_800_000 + at * 60_000},60000,60010,59990,60000,5" for at in range(100)]
    (tmp_path / "data/BTCUSDT-1m.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    result = Backtester(REPOSITORY / "configs/files.yaml").run()
    assert (result.summary["start"], result.summary["end"]) == (
        "2025-05-04T00:00:00.000000000Z",
        "2025-05-04T01:40:00.000000000Z",
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_link_between_pages_leads_to_a_file(page: str) -> None:
    folder = (REPOSITORY / page).parent
    links = re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / page).read_text())
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_at_most_120_columns(page: str) -> None:
    assert [line for line in (REPOSITORY / page).read_text().splitlines() if len(line) > 120] == []
