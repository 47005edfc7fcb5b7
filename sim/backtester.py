"""A backtest in three lines, for notebooks and scripts.

from sim.backtester import Backtester
result = Backtester("configs/quickstart.yaml").run()
result.summary["sharpe"], result.trades.to_pandas()
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError

if TYPE_CHECKING:
    from core.plan import Plan
    from core.result import RunResult


class Backtester:
    """One config, run as a backtest. It may be run as often as one likes; each run is a new one."""

    def __init__(
        self,
        config: str | Path | Plan,
        *,
        set: str | Sequence[str] = (),
        strategies: Mapping[str, Any] | None = None,
        save: bool = False,
    ) -> None:
        """`set` changes values of the file, as `--set` does: `("run.seed=8",)`.

        `strategies` hands in finished objects by the name they have in the config, in place of their `class`; such an
        object keeps its state from run to run. `save` leaves a run folder. Raises ConfigError with all problems.
        """
        from core.compose import read_plan

        assignments = (set,) if isinstance(set, str) else tuple(set)
        self.plan: Plan = read_plan(config, assignments) if isinstance(config, str | Path) else config
        known = {entry.name for entry in self.plan.config.strategies}
        self._strategies = dict(strategies or {})
        for name in self._strategies:
            if name not in known:
                raise UsageError(f"strategies: the config has no strategy called {name!r}; it has {', '.join(known)}")
        self._save = save

    def run(self) -> RunResult:
        """Run to the end of the data. Raises StrategyError, DataError, VenueError; UsageError inside a running loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run_async())
        raise UsageError(
            "an event loop is running here already (a notebook has one): write `result = await "
            "Backtester(...).run_async()`"
        )

    async def run_async(self) -> RunResult:
        """The same inside a running loop."""
        from core.compose import compose
        from core.result import make_result
        from core.saved_run import SavedRun

        saved = SavedRun(self.plan, mode="backtest") if self._save else None
        engine = compose(
            self.plan, journal_path=None if saved is None else saved.open, strategies=dict(self._strategies)
        )
        try:
            async with engine:
                await engine.run()
        except BaseException as error:
            if saved is not None and saved.folder is not None:
                text = str(error) or type(error).__name__
                if engine.is_entered:
                    saved.finish("incomplete", engine.parts.run, error=text)
                else:
                    saved.abandon(text)
            raise
        return make_result(engine.parts.run) if saved is None else saved.finish("complete", engine.parts.run)
