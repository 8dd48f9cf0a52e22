"""The story that the demo tells: everything, then nothing new, then only what changed; and a load the other way."""

from dataclasses import dataclass

from ap_connectors.sandbox.process import SandboxProcess
from demo import hooks, plugins, source
from demo.acts import Act, Places, Say
from demo.books import Books
from demo.erp import story as erp
from demo.meltano import Meltano, Run
from demo.pipes import story as pipes
from demo.vic import story as vic

DOCUMENTS = 400
ADDED = 25
AGAIN = 3


@dataclass(frozen=True)
class Evidence:
    """What Įvesk holds at the end, and what its runs have read; and the evidence of the other parts."""

    source: Books
    acts: tuple[Act, ...]
    hooks: hooks.Evidence
    vic: vic.Evidence
    erp: erp.Evidence
    pipes: pipes.Evidence


def play(places: Places, say: Say) -> Evidence:
    """Installs, serves, runs and runs again; `say` gets a title when something begins, and then what came of it."""
    places.clear()
    say("Plugins", "")
    say("", f"{len(plugins.ALL)} of Meltano's {'installed' if plugins.ensure(*plugins.ALL) else 'installed already'}")

    say("Sandbox", "")
    with SandboxProcess(DOCUMENTS, invoices=vic.INVOICES) as sandbox:
        everything = source.read(sandbox.control)
        say("", f"Įvesk at {sandbox.url}; {len(everything.documents)} of {DOCUMENTS} documents are exported")
        meltano = Meltano(
            places.ivesk_system,
            places.log,
            {
                "TAP_IVESK_API_URL": sandbox.ivesk_url,
                "TAP_IVESK_API_KEY": sandbox.api_key,
                "TAP_IVESK_DOCUMENTS_DIR": str(places.ivesk_documents),
                "TARGET_DUCKDB_PATH": str(places.warehouse),
            },
        )

        def act(name: str, news: Books) -> Act:
            say(name, "")
            run = meltano.run("tap-ivesk", "target-duckdb")
            say("", _told(run))
            return Act(name, run, _records(news))

        first = act("First run", everything)
        second = act("Second run", Books({}, {}))
        say("Meanwhile", "")
        changed = {*sandbox.control.add(ADDED), *sandbox.control.export(count=AGAIN)}
        say("", f"{ADDED} new documents are exported, and {AGAIN} old ones once more")
        at_last = source.read(sandbox.control)
        news = {key: document for key, document in at_last.documents.items() if key in changed}
        third = act("Third run", Books(news, {}))
        acts = (first, second, third)
        hooked = hooks.play(places, sandbox, say, meltano.settings)
        at_last = source.read(sandbox.control)
        of_vic = vic.play(places, sandbox, say)
        compared = pipes.compare(places, sandbox)
        of_erp = erp.play(places, sandbox, say)
        return Evidence(at_last, acts, hooked, of_vic, of_erp, pipes.play(places, sandbox, say, compared))


def _records(news: Books) -> dict[str, int]:
    documents = len(news.documents)
    return {"exported_documents": documents, "exported_document_lines": news.lines, "document_files": documents}


def _told(run: Run) -> str:
    read = [run.records.get(stream, 0) for stream in _records(Books({}, {}))]
    if not any(read):
        return "nothing new, so nothing read"
    return "{} documents, {} lines, {} PDFs".format(*read)
