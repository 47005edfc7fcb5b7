"""The command line: `python -m core.run`, installed as `anyclock`. Imported by nobody.

stdout is the result, progress and log go to stderr. Exit codes: 0 ok, 1 strategy error or failed check, 2 config or
usage, 3 data, 4 venue or network, 5 risk halt, 6 unresolved orders at stop, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from core.command_line.arguments import VERBS, check_run, parse_run, parse_verb, unknown_verb
from core.errors import INTERRUPTED, AnyclockError, DataError, InvariantBroken, UsageError

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
"""What the operating system answers where a disk is full, over quota, over a limit, read-only or broken."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Prints errors, never a traceback of a user's error without --debug."""
    try:
        return _answer(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        _silence(sys.stdout)  # whoever read us has read enough (`| head`)
        return 0
    except OSError as error:  # what we have to say finds no room
        return _disk_full(error)


def _answer(arguments: list[str]) -> int:
    """Run one command and tell its errors. Raises OSError where stdout or stderr cannot be written."""
    debug = "--debug" in arguments
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except InvariantBroken as error:
        return _our_bug(error)
    except AnyclockError as error:
        return _told(error, debug)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno in DISK_ERRORS):
            raise
        return _our_bug(error)


def _dispatch(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        if arguments[0] not in VERBS:
            raise UsageError(unknown_verb(arguments[0]))
        from core.command_line.verbs import run_verb

        return run_verb(arguments[0], parse_verb(arguments[0], arguments[1:]))
    options = parse_run(arguments)
    check_run(options)
    from core.command_line.runs import run_config

    return run_config(options, arguments)


def _told(error: AnyclockError, debug: bool) -> int:
    """An error with a known owner: one text, and the traceback only on request."""
    from core.plain_text import printable

    if debug:
        import traceback

        traceback.print_exception(error)
    print("\n".join(printable(line) for line in str(error).splitlines()), file=sys.stderr)
    return error.exit_code


def _disk_full(error: OSError) -> int:
    """A disk that takes no more of stdout or stderr; files of a run have their own, better sentence."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _silence(stream)
    what = f"{error.filename}: " if error.filename else ""
    with contextlib.suppress(OSError):  # stderr is on the same disk: the exit code has to do
        print(f"cannot write all of the output: {what}{error.strerror}; make room and run again", file=sys.stderr)
    return DataError.exit_code


def _silence(stream: TextIO) -> None:
    """Let what is left go nowhere: Python flushes once more at exit, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _our_bug(error: BaseException) -> int:
    import traceback

    traceback.print_exception(error)
    print("this is a bug of ours, not of your config: please report it with the lines above", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
