"""The first screen runs, and so does every other block of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from document import PAGES, REPOSITORY, STANDS_FOR, Reader, blocks, first_missing


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_does_what_the_page_says(page: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(page):
        reader.follow(block)


def test_make_run_is_the_command_the_tests_run_in_its_place() -> None:
    recipe = f"\t@$(BIN)/{STANDS_FOR['make run']} $(ARGS)\n"
    assert recipe in (REPOSITORY / "Makefile").read_text()


def test_the_first_screen_has_both_commands_and_what_the_first_one_prints() -> None:
    screen = (REPOSITORY / "README.md").read_text().splitlines()[:60]
    assert [word for word in ("make run", "make test", "generate_signals") if word not in "\n".join(screen)] == []
    assert "<!-- output -->" in screen


def test_stated_output_must_come_whole_and_in_order() -> None:
    printed = ["a 1", "b 2", "c 3"]
    assert first_missing(["a 1", "c ..."], printed) is None
    assert first_missing(["c 3", "a 1"], printed) == "a 1"
    assert first_missing(["a"], printed) == "a"
