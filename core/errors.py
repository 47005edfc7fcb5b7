"""What can go wrong, sorted by whose fault it is and what to do about it.

Each class carries its data and writes its own sentence. `exit_code` is what the command line returns:
0 ok, 1 strategy error or failed check, 2 config or usage, 3 data, 4 venue or network, 5 risk halt,
6 unresolved orders at stop, 130 interrupted.
"""

from __future__ import annotations

from typing import NamedTuple

INTERRUPTED = 130
"""Exit code, as a shell gives it to a program that Ctrl-C ended."""


class AnyclockError(Exception):
    """Root of everything this program raises on purpose; anything else is a bug of ours."""

    exit_code = 1


class Problem(NamedTuple):
    """One thing wrong in a file: where it stands, which key, and what was expected."""

    line: int | None
    path: str
    message: str


class ConfigError(AnyclockError):
    """A config or scenario file is wrong. Holds *all* problems found, not the first."""

    exit_code = 2

    def __init__(self, file: str, problems: list[Problem], *, again: str | None = None) -> None:
        self.file = file
        self.problems = problems
        self.again = again
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        count = len(self.problems)
        head = f"{self.file}: {count} problem{'' if count == 1 else 's'}, nothing was started"
        wheres = [f"line {p.line}" if p.line is not None else "" for p in self.problems]
        width = max((len(w) for w in wheres), default=0)
        paths = max((len(p.path) for p in self.problems), default=0)
        rows = [
            f"  {where:<{width}}  {p.path:<{paths}}  {p.message}".rstrip()
            for where, p in zip(wheres, self.problems, strict=True)
        ]
        tail = [f"check again with: {self.again}"] if self.again else []
        return "\n".join([head, *rows, *tail])


class UsageError(AnyclockError):
    """The program was asked for something it cannot do: wrong flags, a mode that needs more."""

    exit_code = 2


class DataError(AnyclockError):
    """Market data is missing, damaged or contradicts itself. Names the file and the row."""

    exit_code = 3


class VenueError(AnyclockError):
    """The venue or the network between us failed in a way that retrying did not mend."""

    exit_code = 4


class StrategyError(AnyclockError):
    """The user's strategy raised or returned something that is no signal.

    `where` is the user's own file and line, cut out of the traceback; `moment` says which event it was
    looking at.
    """

    exit_code = 1

    def __init__(self, strategy: str, method: str, moment: str, where: str, what: str) -> None:
        self.strategy = strategy
        self.method = method
        self.moment = moment
        self.where = where
        self.what = what
        lines = [f"strategy `{strategy}` failed in {method} at {moment}"]
        lines += [f"  {line}" for line in where.splitlines()]
        lines += [f"  {what}"]
        super().__init__("\n".join(lines))


class RiskHalt(AnyclockError):
    """A limit of the account tripped and the config says that this ends the run."""

    exit_code = 5


class RunOver(AnyclockError):
    """The run ended while a task of the embedding program slept: the moment it waits for never comes."""

    exit_code = 2

    def __init__(self, until: int, ended_at: int) -> None:
        self.until = until
        self.ended_at = ended_at
        super().__init__(
            f"clock.sleep_until({until}) waits for {(until - ended_at) / 1e9:g} s after the end of the run "
            f"({ended_at}): that moment does not come. Catch core.errors.RunOver where a task may outlive the run"
        )


class InvariantBroken(AnyclockError):
    """Our own books contradict each other: a bug of ours, never the user's."""

    exit_code = 1
