"""Pages of a list: where one begins, where it ends, and the cursor that leads to the next."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from ap_sandbox.vicai.answers import ENCODER, Refusal
from ap_sandbox.vicai.collection import Entry
from ap_sandbox.vicai.store import Store, shuffle_key, shuffled

Keep = Callable[[Entry], bool]
_AFTER = "\U0010ffff"  # behind every id


@dataclass(frozen=True)
class Ask:
    """What a list call asks for.

    `order` is "internal", "external" or "id"; `since` microseconds or wall-clock digits accordingly; `keep` are the
    filters, all of which a record must pass.
    """

    resource: str
    order: str
    limit: int
    cursor: str | None = None
    since: Any = None
    descending: bool = False
    keep: Sequence[Keep] = ()


@dataclass(frozen=True)
class Page:
    """The records of a page, and the cursor of the next one if more follow."""

    entries: list[Entry]
    following: str | None


def page(store: Store, ask: Ask) -> Page:
    """Return one page.

    Raises:
        Refusal: 400, the cursor is not one of this list's.
    """
    entries, position = _walk(store, ask)
    found = list(islice(entries, ask.limit + 1))
    if len(found) <= ask.limit:
        return Page(found, None)
    taken = found[: ask.limit]
    options = store.options
    if options.empty_page_every:
        store.list_answers += 1
        if store.list_answers % options.empty_page_every == 0:
            return Page([], _token(position))
    if options.cursors == "offset":
        return Page(taken, _token((position or 0) + ask.limit))
    return Page(taken, _token(list(_key(store, ask)(taken[-1]))))


def _key(store: Store, ask: Ask) -> Callable[[Entry], tuple[Any, str]]:
    return shuffle_key if store.options.order == "shuffled" else store[ask.resource].key(ask.order)


def _walk(store: Store, ask: Ask) -> tuple[Iterator[Entry], Any]:
    """The records from the cursor on, and what the cursor holds (None = the beginning)."""
    collection, options, key = store[ask.resource], store.options, _key(store, ask)
    position = None if ask.cursor is None else _position(ask.cursor)
    keep = list(ask.keep)
    first = 0
    if options.order == "shuffled":
        view = shuffled(list(collection.by_id.values()))
        if ask.since is not None:
            keep.append(_since(collection.key(ask.order), ask.since, options.since_is == "inclusive"))
    else:
        view = collection.sorted(ask.order)
        if ask.since is not None:
            first = bisect_left(view, (ask.since, "" if options.since_is == "inclusive" else _AFTER), key=key)
    last, skip = len(view), 0
    if isinstance(position, int):
        skip = position
    elif position is not None:
        try:
            if ask.descending:
                last = min(last, bisect_left(view, tuple(position), key=key))
            else:
                first = max(first, bisect_right(view, tuple(position), key=key))
        except TypeError:
            raise _wrong_cursor() from None
    places = range(last - 1, first - 1, -1) if ask.descending else range(first, last)
    walk = (entry for place in places if all(fits(entry := view[place]) for fits in keep))
    if not keep:
        walk = (view[place] for place in places)
    return islice(walk, skip, None), position


def _since(key: Callable[[Entry], tuple[Any, str]], since: Any, inclusive: bool) -> Keep:
    if inclusive:
        return lambda entry: bool(key(entry)[0] >= since)
    return lambda entry: bool(key(entry)[0] > since)


def _token(position: Any) -> str:
    return base64.urlsafe_b64encode(ENCODER.encode(position)).decode().rstrip("=")


def _position(token: str) -> Any:
    try:
        position = msgspec.json.decode(base64.urlsafe_b64decode(token.encode("ascii") + b"=="))
    except ValueError:
        raise _wrong_cursor() from None
    if position is None or (isinstance(position, int) and position >= 0):
        return position
    if isinstance(position, list) and len(position) == 2:
        return position
    raise _wrong_cursor()


def _wrong_cursor() -> Refusal:
    return Refusal(400, "cursor is not one that x-next has told.")
