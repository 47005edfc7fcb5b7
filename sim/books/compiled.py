"""The kernel compiled: the same functions over the same arrays, many times faster.

Nobody imports numba but this file.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

from sim.books import kernel as source
from sim.books import kernel_levels, kernel_math, kernel_queues, kernel_state, kernel_triggers


@cache
def kernel() -> Any:
    """`advance` of `sim.books.kernel`, compiled; the machine code is cached beside it. Imports numba (half a second or
    so).
    `entry_for(rows, state)` is the quick way into it for who calls often.

    Each function is built over a copy of the module's names, in which the functions it calls are the compiled ones;
    all but the outermost are inlined, since handing arrays on costs more than the work.
    """
    import numba

    modules = (kernel_math, kernel_triggers, kernel_queues, kernel_levels, source)
    names: dict[str, Any] = {}
    for module in modules:
        names |= vars(module)
    own = {module.__name__ for module in modules}
    functions = [f for f in names.values() if isinstance(f, FunctionType) and f.__module__ in own]
    # numba's cache looks at the file of the outermost function alone; its name says what all of them were.
    written = sha256(b"".join(_text(module) for module in (*modules, kernel_state))).hexdigest()[:12]
    for function in functions:
        twin = FunctionType(function.__code__, names, function.__name__)
        twin.__module__ = function.__module__
        twin.__qualname__ = f"{function.__name__}_{written}"
        compiled = numba.njit(cache=True, nogil=True, forceinline=function is not source.advance)
        names[function.__name__] = compiled(twin)
    advance = names["advance"]

    def entry_for(rows: kernel_state.Rows, state: kernel_state.State) -> Any:
        """`advance` for arrays of the types and layouts of these. Called plainly it finds them out for all fourteen
        each time, which takes four times as long (measured) as everything else about a call; asking here takes a
        millisecond."""
        return advance.compile(tuple(numba.typeof(given) for given in (rows, 0, 0, state)))

    return SimpleNamespace(advance=advance, entry_for=entry_for)


def _text(module: Any) -> bytes:
    return Path(module.__file__).read_bytes()
