"""What the short words of order events mean, as sentences: fill rules, and why an order ended.

A run's files carry the words (`queue`, `no_liquidity`); whoever asks for an order's story gets the sentence. The rules
are those of `docs/fills.md`.
"""

from __future__ import annotations

BARS = "bars"

RULES: dict[str, str] = {
    "queue": "the market traded at our price, and what stood ahead of us in the queue had been used up",
    "through": "the market traded beyond our price: whoever took that would have met our order first",
    "crossed": "the other side of the book came to stand at or beyond our price, and no print explains it; filled with "
    "what the model lets us have of it",
    "bar": "the bar's path went strictly through our price; a share of the volume traded there is ours",
    "participation": "the market traded at our price after what was assumed ahead of us; a share of each print is ours",
    "self": "two orders of this account met, and neither mode nor venue prevented it",
    "liquidation": "the venue closed the position because its margin was used up",
    "adl": "the venue closed the position to settle the losses of others",
}
TAKEN = {
    "bars": "a taker: the price of the bar's path when it arrived, plus half the spread and its own impact, on the "
    "tick away from us",
    "trades": "a taker: the last print's price, plus half the spread and its own impact, on the tick away from us",
}
"""What a taker meets where there is no book to walk."""
WALK = "a taker: it took what this level showed and nobody had taken yet; the best price comes first"

CANCELED: dict[str, str] = {
    "request": "because we asked",
    "post_only": "it was post-only and would have taken",
    "amend": "the venue's answer to an amend that left nothing of it",
}
EXPIRED: dict[str, str] = {
    "ioc": "immediate-or-cancel: what could not trade at once is given up",
    "fok": "fill-or-kill: not all of it could trade at once, so nothing did",
    "no_liquidity": "a market order found no more to take",
    "slippage": "the next price lay beyond the venue's bound for takers",
    "gtd": "its good-till date has come",
    "stp": "self-trade prevention: it met an order of this account",
    "reduce_only": "there was no position left that it could reduce",
    "liquidation": "the venue took over the position",
    "price_range": "its price lay outside of what the venue allows",
    "oco": "one cancels the other: another order of its group has happened",
    "trigger_rejected": "its trigger fired, and the venue then refused the order",
}


def rule_words(rule: str, liquidity: str, kind: str | None) -> str:
    """A sentence for a fill rule; `kind` is that of the tape which caused the fill, None where it is not known."""
    if liquidity == "taker" and rule in ("walk", "bar", "participation"):
        return TAKEN.get(kind or "", WALK)
    return RULES.get(rule, "a rule this version has no words for")


def ending_words(event: str, reason: str) -> str:
    """A sentence for the reason of an `OrderCanceled` or `OrderExpired`; empty where the reason speaks for itself."""
    return (CANCELED if event == "OrderCanceled" else EXPIRED).get(reason, "")
