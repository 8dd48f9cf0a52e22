"""The pipelines' page of the report, and what does not tie."""

from collections.abc import Iterator

from demo.pipes import across
from demo.pipes.story import Evidence
from demo.table import money


def lines(evidence: Evidence) -> Iterator[str]:
    """Purchases in Įvesk = training invoices at Vic.ai + what was set aside, by currency."""
    aside = [one for key, one in evidence.purchases.items() if key in evidence.reasons]
    bought, there, kept = (
        across.totals(evidence.purchases.values()),
        across.at_vic(evidence.trained),
        across.totals(aside),
    )
    wide = max(len(money(amount)) for sums in (bought, there, kept) for amount in sums.values())
    yield ""
    yield f"  currency  {'purchases':>{wide}}   {'at Vic.ai':>{wide}}   {'set aside':>{wide}}"
    for name in sorted(bought, key=lambda one: (one != "EUR", one)):
        sides = (bought[name], there.get(name, 0 * bought[name]), kept.get(name, 0 * bought[name]))
        verdict = "ties" if sides[0] == sides[1] + sides[2] else "DOES NOT TIE"
        yield f"  {name:8}  {'   '.join(f'{money(side):>{wide}}' for side in sides)}  {verdict}"


def summary(evidence: Evidence) -> str:
    """What ties, in a line."""
    aside = len(evidence.reasons)
    return (
        f"Purchases: {len(evidence.purchases)} in Įvesk = {evidence.trained.total()} training invoices at Vic.ai "
        f"+ {aside} set aside and explained, to the cent."
    )


def differences(evidence: Evidence) -> Iterator[str]:
    """Says in a line each what is not as it should be."""
    for act in evidence.acts:
        for fact, expected in act.expected.items():
            if act.facts[fact] != expected:
                yield f"{act.name}: {fact} is {act.facts[fact]}, not {expected}"
    aside = {key: one for key, one in evidence.purchases.items() if key in evidence.reasons}
    if len(evidence.purchases) != evidence.trained.total() + len(aside):
        yield f"{len(evidence.purchases)} purchases: {evidence.trained.total()} came, {len(aside)} were set aside"
    there = across.at_vic(evidence.trained)
    for name, total in across.totals(one for key, one in evidence.purchases.items() if key not in aside).items():
        if there.get(name) != total:
            yield f"purchases in {name}: {total} in Įvesk, {there.get(name)} at Vic.ai"
    if evidence.told.keys() != evidence.reasons.keys():
        yield f"{len(evidence.told)} documents have an error in Įvesk, {len(evidence.reasons)} were set aside"
    for one in evidence.ties:
        if not one.ties:
            yield f"ap-tieout {one.name} finds differences:\n{one.said}"
