"""From `package.module:Class` to an object that can be called, or one sentence that says why not."""

from __future__ import annotations

import importlib
import inspect
import operator
import sys
import traceback
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.hosting.fault import FAULTS, shown, text_of

WARMUP_MAXIMUM = 1_000_000
"""Bars; the same as the config's `warmup`."""
OPTIONAL = {"on_event": ("event",), "on_start": (), "on_stop": ()}
"""What a strategy may have beside `generate_signals`, and what each is called with."""


def load_strategy(path: str, params: dict[str, Any]) -> Any:
    """The object named by `package.module:Class`, made with its parameters. Raises UsageError in one sentence.

    A module without a class part (`package.module`) is used itself, when it has `generate_signals`.
    """
    module_name, _, attribute = path.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except FAULTS as error:
        trouble = _import_trouble(error, module_name)
        raise UsageError(f"strategy {path}: cannot import {module_name}: {trouble}") from error
    own = [name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module_name]
    if not attribute:
        if not callable(getattr(module, "generate_signals", None)):
            named = f"{module_name}:{own[0]}" if len(own) == 1 else "module:Class"
            raise UsageError(f"strategy {path}: the module has no function generate_signals; name a class as {named}")
        check_strategy(module, path)
        return module
    factory = getattr(module, attribute, None)
    if factory is None:
        raise UsageError(f"strategy {path}: {module_name} has no {attribute}; it has {', '.join(own) or 'no class'}")
    if attribute == "generate_signals":
        raise UsageError(f"strategy {path}: name the module alone, `class: {module_name}`: its function is found there")
    try:
        strategy = factory(**params) if callable(factory) and not hasattr(factory, "__self__") else factory
    except FAULTS as error:
        raise UsageError(f"strategy {path}: cannot be made with params {params}: {_making_trouble(error)}") from error
    if not callable(getattr(strategy, "generate_signals", None)):
        raise UsageError(f"strategy {path}: {attribute} has no method generate_signals(market_data, position_state)")
    check_strategy(strategy, path)
    return strategy


def check_strategy(strategy: Any, name: str) -> None:
    """Raises UsageError for what can be known to fail before the first call: arguments, async, `warmup`."""
    _check_call(name, "generate_signals", strategy.generate_signals, ("market_data", "position_state"))
    for method, arguments in OPTIONAL.items():
        try:
            function = getattr(strategy, method, None)
        except FAULTS as error:
            raise UsageError(f"strategy {name}: {method} cannot be read: {_one_line(text_of(error))}") from error
        if function is None:
            continue
        if not callable(function):
            raise UsageError(f"strategy {name}: {method} is a {type(function).__name__}, expected a method")
        if inspect.iscoroutinefunction(function):
            raise UsageError(
                f"strategy {name}: {method} is async, expected a plain method: only generate_signals may wait"
            )
        _check_call(name, method, function, arguments)
    warmup_of(strategy, name)


def warmup_of(strategy: Any, name: str) -> int | None:
    """The object's own `warmup`, closed bars before the first call; None where it says nothing. Raises UsageError."""
    expected = f"expected 0 to {WARMUP_MAXIMUM:,} (closed bars, a whole number)"
    try:
        given = getattr(strategy, "warmup", None)
        if given is None:
            return None
        text = f"{given!r:.60}"
    except FAULTS as error:
        what = _one_line(text_of(error))
        raise UsageError(f"strategy {name}: warmup cannot be read ({what}), {expected}") from error
    try:
        bars = operator.index(given)
    except TypeError:
        raise UsageError(f"strategy {name}: warmup is {text}, {expected}") from None
    if not 0 <= bars <= WARMUP_MAXIMUM:
        raise UsageError(f"strategy {name}: warmup is {text}, {expected}")
    return bars


def _check_call(name: str, method: str, function: Any, arguments: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # built-in or compiled: its first call tells
    try:
        signature.bind(*arguments)
    except TypeError as error:
        call = f"{method}({', '.join(arguments)})"
        raise UsageError(
            f"strategy {name}: {method}{signature} cannot be called as {call}: {_one_line(str(error))}"
        ) from None


def _import_trouble(error: BaseException, module_name: str) -> str:
    """What went wrong in an import, with the user's file and line."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        line = " ".join((error.text or "").split())
        place = f"{shown(error.filename or module_name)}:{error.lineno}  {line}".rstrip()
        return f"{type(error).__name__}: {error.msg} ({place})"
    text = _one_line(text_of(error))
    if isinstance(error, SyntaxError):  # of the file as a whole: bytes that are no text
        return f"{text} (is it a text file in UTF-8?)"
    if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
        # It is the strategy's own module that is not there: no line of it has run.
        if module_name.endswith(".py"):
            return f"it is named without its ending: `class: {module_name.removesuffix('.py')}`"
        return f"{text}; modules are looked for in the folder the program is started in, and where Python looks"
    return f"{text}{_last_line(error)}"


def _making_trouble(error: BaseException) -> str:
    """What went wrong as an object was made, with the line of its code, if any of it has run."""
    # Python's own sentence about wrong arguments is enough.
    return _one_line(text_of(error).removeprefix("TypeError: ")) + _last_line(error)


def _last_line(error: BaseException) -> str:
    """` (my_bot.py:12)`: the last line outside of this file that an error went through; empty where there is none."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen ")]
    last = frames[-1]
    return "" if last.filename == __file__ else f" ({shown(last.filename)}:{last.lineno})"


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
