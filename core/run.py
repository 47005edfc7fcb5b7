"""The command line: `python -m core.run`, installed as `anyclock`. Imported by nobody.

stdout is the result, progress and log go to stderr. Exit codes: 0 ok, 1 strategy error or failed check, 2 config or
usage, 3 data, 4 venue or network, 5 risk halt, 6 unresolved orders at stop, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from core.cli_arguments import VERBS, check_run, parse_run, parse_verb, unknown_verb
from core.errors import AnyclockError, InvariantBroken, UsageError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Prints errors, never a traceback of a user's error without --debug."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read us has read enough (`| head`). Python flushes stdout once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except InvariantBroken as error:
        return _our_bug(error)
    except AnyclockError as error:
        return _told(error, debug)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _our_bug(error)


def _dispatch(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        if arguments[0] not in VERBS:
            raise UsageError(unknown_verb(arguments[0]))
        from core.cli_verbs import run_verb

        return run_verb(arguments[0], parse_verb(arguments[0], arguments[1:]))
    options = parse_run(arguments)
    check_run(options)
    from core.cli_run import run_config

    return run_config(options, arguments)


def _told(error: AnyclockError, debug: bool) -> int:
    """An error with a known owner: one text, and the traceback only on request."""
    from core.report.plain_text import printable

    if debug:
        import traceback

        traceback.print_exception(error)
    print("\n".join(printable(line) for line in str(error).splitlines()), file=sys.stderr)
    return error.exit_code


def _our_bug(error: BaseException) -> int:
    import traceback

    traceback.print_exception(error)
    print("this is a bug of ours, not of your config: please report it with the lines above", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
