"""Full loads of `deletes: mirror`: what of Vic.ai's they no longer have, and whether that may be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ap_connectors.singer.schema import canonical
from target_vicai.context import LoadContext
from target_vicai.sink import VicSink
from target_vicai.streams import ALL


@dataclass(frozen=True)
class FullLoad:
    """A complete full load of a stream: its version, the input's name of the stream, and what holds back its STATE."""

    version: int
    stream: str
    number: int


@dataclass(frozen=True)
class Deletes:
    """What a full load no longer has: the stream, the natural keys, and how many records Vic has with such a key."""

    stream: str
    keys: tuple[str, ...]
    total: int

    @property
    def fraction(self) -> float:
        """The part of the records that would be deleted."""
        return len(self.keys) / self.total if self.total else 0.0


def deletes_of(loads: Mapping[str, FullLoad], sinks: Mapping[str, VicSink], context: LoadContext) -> Iterator[Deletes]:
    """Yield what is to be deleted, children before parents. Records without an id of the ERP's do not count."""
    for sink in reversed(ALL):
        if load := loads.get(sink.name):
            cache, owns = context.cache(sink.name), sinks[canonical(sink.name)].owns
            unseen = cache.unseen_keys(load.version)
            keys = tuple(key for key in unseen if all(owns(each.record) for each in cache.by_key(key)))
            yield Deletes(sink.name, keys, cache.count_keyed())


def refusals_of(deletes: Iterable[Deletes], unread: Mapping[str, int], *, most: float) -> Iterator[str]:
    """Yield the reasons why nothing may be deleted; `most` is the fraction of a stream's records that may be."""
    for one in deletes:
        if one.keys and (count := unread.get(one.stream)):
            yield f"{count} records of {one.stream} could not be read, so it is not known what is gone"
        elif one.fraction > most:
            told = f"{len(one.keys)} of {one.total} {one.stream} would be deleted"
            yield f"{told}, more than max_delete_fraction ({most:g})"
