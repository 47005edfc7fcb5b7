"""What must agree across a scenario file: symbols, handles, groups, and rules that a venue does not have.

Works on the raw nodes, so that these contradictions are reported together with wrong keys and types, also where a part
of the file did not decode. A node of the wrong shape is passed over here: the decoder has reported it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from core.errors import Problem
from core.settings.scalars import nearest
from core.settings.yaml_nodes import Node

LINEAR = ("binance-usdm", "bybit-linear")
RULE_VENUES: dict[str, tuple[str, ...]] = {
    "price_range": ("binance-spot", "bybit-spot"),
    "price_limit": ("bybit-linear", "bybit-spot"),
    "market_take_bound": ("binance-usdm",),
    **dict.fromkeys(("brackets", "liquidation_fee", "funding_interval_h", "funding_cap", "funding_floor"), LINEAR),
}
"""Instrument keys that are rules of some venues only; elsewhere they would be ignored in silence."""
TAPE_KEY_VENUES: dict[str, tuple[str, ...]] = {"funding": LINEAR, "adl": LINEAR}
ACCOUNT_KEY_VENUES: dict[str, tuple[str, ...]] = {"positions": LINEAR}
ORDER_KEY_VENUES: dict[str, tuple[str, ...]] = {
    "quote_qty": ("binance-spot", "bybit-spot"),
    "slippage_tolerance": ("bybit-linear", "bybit-spot"),
    "slippage_tolerance_type": ("bybit-linear", "bybit-spot"),
}


def crossings(root: Node) -> Iterator[Problem]:
    """Every contradiction between two places of the file."""
    yield from _symbols(root)
    yield from _handles(root)
    yield from _groups(root)
    yield from _wallet(root)
    yield from _venue(root)


def symbols_of(root: Node) -> list[str]:
    """The symbols under `instruments`, in the file's order."""
    return list(_mapping(root, "instruments"))


def handles_of(root: Node) -> list[str]:
    """Every handle a request names, also one that is only canceled or amended and that the venue never knew."""
    found: dict[str, None] = {}
    for request in items(root, "requests"):
        for kind in ("submit", "amend", "cancel"):
            handle = child(child(request, kind), "id")
            if handle is not None and isinstance(handle.value, str):
                found[handle.value] = None
    return list(found)


def hint(word: str, names: Iterable[str], *, else_all: bool = False) -> str:
    """`, did you mean `x`?` for the nearest of the names; where none is near, nothing or all of them."""
    known = list(names)
    near = nearest(word, known)
    if near is not None:
        return f", did you mean `{near}`?"
    return f", expected one of: {', '.join(known)}" if else_all and known else ""


def _symbols(root: Node) -> Iterator[Problem]:
    known = symbols_of(root)
    if not known:
        instruments = child(root, "instruments")
        if instruments is not None and isinstance(instruments.value, dict):
            yield Problem(instruments.line, instruments.path, "expected at least one symbol")
        return
    named = [child(row, "symbol") for row in items(root, "tape")]
    for request in items(root, "requests"):
        named += [child(wish, "symbol") for wish in (child(request, "submit"), child(request, "cancel_all")) if wish]
    for node in named:
        if node is not None and isinstance(node.value, str) and node.value not in known:
            yield Problem(node.line, node.path, f"`{node.value}` is not in `instruments`{hint(node.value, known)}")
    account = child(root, "account")
    for key in ("positions", "leverage"):
        for symbol, node in _mapping(account, key).items():
            if symbol not in known:
                yield Problem(node.line, node.path, f"`{symbol}` is not in `instruments`{hint(symbol, known)}")


def _handles(root: Node) -> Iterator[Problem]:
    first: dict[str, Node] = {}
    for submit in _submits(root):
        handle = child(submit, "id")
        if handle is None or not isinstance(handle.value, str):
            continue
        if handle.value in first:
            message = f"`{handle.value}` is the handle of line {first[handle.value].line} already; to repeat what the "
            yield Problem(handle.line, handle.path, message + "venue sees, give `client_id`")
        first.setdefault(handle.value, handle)


def _groups(root: Node) -> Iterator[Problem]:
    groups = [group for submit in _submits(root) if (group := child(submit, "oco")) is not None]
    sizes = Counter(group.value for group in groups if isinstance(group.value, str))
    for group in groups:
        if isinstance(group.value, str) and sizes[group.value] == 1:
            others = [name for name in sizes if name != group.value]
            yield Problem(
                group.line, group.path, f"the group `{group.value}` has no other order{hint(group.value, others)}"
            )


def _wallet(root: Node) -> Iterator[Problem]:
    account = child(root, "account")
    wallet = child(account, "wallet")
    if wallet is None:
        return
    quotes = sorted({_quote(spec) for spec in _mapping(root, "instruments").values()})
    if len(quotes) > 1:
        message = f"is short for the balance of one quote asset, found {', '.join(quotes)}: write `balances`"
        yield Problem(wallet.line, wallet.path, message)
    elif quotes and quotes[0] in _mapping(account, "balances"):
        yield Problem(wallet.line, wallet.path, f"says the same as `balances.{quotes[0]}`; expected one of them")


def _venue(root: Node) -> Iterator[Problem]:
    venue_node = child(root, "venue")
    venue = venue_node.value if venue_node is not None else None
    if not isinstance(venue, str):
        return
    owners = [(spec, RULE_VENUES) for spec in _mapping(root, "instruments").values()]
    owners += [(submit, ORDER_KEY_VENUES) for submit in _submits(root)]
    owners += [(row, TAPE_KEY_VENUES) for row in items(root, "tape")]
    owners += [(account, ACCOUNT_KEY_VENUES)] if (account := child(root, "account")) is not None else []
    for owner, table in owners:
        for key, venues in table.items():
            node = child(owner, key)
            if node is not None and node.value and venue not in venues:
                message = f"is a rule of {' and '.join(venues)}; this scenario's venue is {venue}"
                yield Problem(node.line, node.path, message)
    for spec in _mapping(root, "instruments").values():
        percent = child(spec, "percent_price")
        if (
            percent is not None
            and _mapping(spec, "percent_price").keys() & {"bid_up", "ask_up"}
            and "spot" not in venue
        ):
            yield Problem(
                percent.line, percent.path, f"multipliers per side are a spot rule, found {venue}: `up`, `down`"
            )


# --- steps through nodes --------------------------------------------------------------------------------------------


def child(node: Node | None, key: str) -> Node | None:
    """What stands under a key; None where the key, or a mapping that could hold it, is absent."""
    return _mapping_of(node).get(key)


def items(node: Node | None, key: str) -> list[Node]:
    """The entries of the list under a key; none where there is no list."""
    found = child(node, key)
    return found.value if found is not None and isinstance(found.value, list) else []


def _mapping(node: Node | None, key: str) -> dict[str, Node]:
    return _mapping_of(child(node, key))


def _mapping_of(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _submits(root: Node) -> list[Node]:
    return [submit for request in items(root, "requests") if (submit := child(request, "submit")) is not None]


def _quote(spec: Node) -> str:
    quote = child(spec, "quote")
    return quote.value if quote is not None and isinstance(quote.value, str) else "USDT"
