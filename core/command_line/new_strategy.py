"""A strategy and its config to start from; the pair runs as it is written."""

from __future__ import annotations

import importlib.util
import keyword
from pathlib import Path

from core.atomic_file import write_atomically
from core.errors import UsageError

STRATEGY = '''"""{title}: holds while the close is above its average. Change it to your idea."""


class {title}:
    """Called with every closed bar. Anything with this method is a strategy; there is nothing to inherit from."""

    def __init__(self, length=50, fraction="0.5"):
        self.length = length
        self.fraction = fraction
        self.warmup = length  # closed bars before the first call

    def generate_signals(self, market_data, position_state):
        closes = market_data.close[-self.length:]  # numpy, oldest first; the last one just closed
        price = market_data.bar.close
        average = closes.mean()
        if price > average and not position_state.qty:
            return {{"action": "buy", "fraction": self.fraction}}  # a market order; add "price" for a limit order
        if price < average and position_state.qty:
            return {{"close": True}}
        return None
'''
CONFIG = """# Run with: python -m core.run --config {name}.yaml
run: {{name: {name}, seed: 7}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "10000"}}, leverage: 2}}
data:
  # Your own: source: {{kind: file, path: my.csv}}, or {{kind: binance, start: 2025-05-04, end: 2025-06-03}}
  - {{symbol: BTCUSDT, kind: bars, interval: 15m, source: {{kind: synthetic, days: 30}}}}
strategies:
  - {{name: {name}, class: "{name}:{title}", symbols: [BTCUSDT], params: {{length: 50, fraction: "0.5"}}}}
risk: {{max_leverage: 2, max_drawdown: "0.5"}}
"""


def write_strategy(folder: Path, name: str) -> tuple[Path, Path]:
    """Write `NAME.py` and `NAME.yaml` into a folder. Raises UsageError, and writes nothing, where one is there."""
    if not (name.isascii() and name.isidentifier() and not name.startswith("_")) or keyword.iskeyword(name):
        raise UsageError(f"`{name}` is no name for a Python module: use letters, digits and underscores, like my_idea")
    paths = folder / f"{name}.py", folder / f"{name}.yaml"
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} is there already and stays as it is: choose another name")
    if importlib.util.find_spec(name) is not None:
        raise UsageError(f"a module called {name} exists already, and Python would find that one: choose another name")
    title = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    for path, template in zip(paths, (STRATEGY, CONFIG), strict=True):
        write_atomically(path, [template.format(name=name, title=title).encode()])
    return paths
