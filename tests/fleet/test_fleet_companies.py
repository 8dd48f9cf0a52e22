"""`companies.yml`: read whole, all that is wrong said at once, secrets where it says, and shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.fleet import values
from ap_connectors.fleet.companies import read
from tests.fleet.conftest import VIC, Fleet, needs_postgresql, wait_for

GOOD = """\
warehouse: warehouse.duckdb
defaults:
  pipelines: [vic-to-warehouse]
  settings:
    tap-vicai: {region: no, start_date: 2026-01-01, client_secret: '${SECRET_{COMPANY}}'}
companies:
- id: acme-1
  name: Ąžuolas & Co
  settings: {tap-vicai: {client_id: 0123}}
- id: beta
  settings:
    tap-vicai: {client_id: b, client_secret: {file: 'secrets/{company}'}, rate_limit: {requests: 250}}
    tap-ivesk-for-vic: {api_key: {command: [pass, 'ivesk/{company}']}, company_codes: [0123, '0456']}
    mapper-ivesk-vicai: {company_code: 0123, vat_classes: v.csv, accounts: a.csv}
    target-vicai: {client_id: b, client_secret: x}
  pipelines: [vic-to-warehouse, ivesk-to-vic]
"""


def complaint(folder: Path, text: str) -> list[str]:
    path = folder / "companies.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Stop) as found:
        read(path)
    head, *problems = str(found.value).split("\n")
    assert head == f"{path} is not usable:"
    return [problem.strip() for problem in problems]


def test_defaults_and_types(tmp_path: Path) -> None:
    """What YAML takes for truth, numbers and dates stays text where a setting is one."""
    (tmp_path / "companies.yml").write_text(GOOD, encoding="utf-8")
    fleet = read(tmp_path / "companies.yml")
    acme, beta = fleet.companies
    assert (acme.id, acme.name, acme.pipelines) == ("acme-1", "Ąžuolas & Co", ("vic-to-warehouse",))
    assert fleet.settings_of(acme, fleet.pipelines["vic-to-warehouse"], "tap-vicai") == {
        "region": "no",
        "start_date": "2026-01-01",
        "client_id": "0123",
        "client_secret": "${SECRET_ACME_1}",
    }
    pipeline = fleet.pipelines["ivesk-to-vic"]
    tap = fleet.settings_of(beta, pipeline, "tap-ivesk")
    assert tap["company_codes"] == ["0123", "0456"]
    assert tap["api_key"].words == ("pass", "ivesk/beta")
    assert tap["documents_dir"] == str(tmp_path / "output" / "documents" / "beta")
    assert fleet.settings_of(beta, pipeline, "mapper-ivesk-vicai")["company_code"] == "0123"
    warehouse = fleet.settings_of(beta, fleet.pipelines["vic-to-warehouse"], "target-warehouse")
    assert (warehouse["company"], warehouse["schema"]) == ("beta", "vicai")


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = """\
warehous: x
time_limit: soon
defaults: {pipelines: [vic-to-warehous]}
companies:
- id: acme
  nam: x
  settings:
    tap-vicai: {client_idd: secret-4711, client_secret: secret-4711, rate_limit: secret-4711}
    tap-vicay: {x: secret-4711}
    target-warehouse: {company: x}
- {id: acme, pipelines: [vic-to-warehouse], settings: {tap-vicai: {client_id: a, client_id: b}}}
- {name: nameless}
- id: ../etc
- id: Acme
  pipelines: [erp-to-vic]
  settings: {tap-saft: {path: {command: []}}}
"""
    assert complaint(tmp_path, text) == [
        "line 11: client_id is given twice here; leave one.",
        "line 1: warehous is not known here; did you mean warehouse?",
        "line 3, defaults: there is no pipeline vic-to-warehous; did you mean vic-to-warehouse?",
        "line 6, acme: nam is not known here; did you mean name?",
        "line 8, acme: tap-vicai: client_idd is not a setting; did you mean client_id?",
        "line 8, acme: tap-vicai: rate_limit must be an object.",
        "line 9, acme: tap-vicay is not installed here; did you mean tap-vicai?",
        "line 10, acme: target-warehouse: company follows from the company's id; leave it out.",
        "line 11, acme: tap-vicai: client_secret is missing.",
        "line 11, acme: the id is taken by another company; each needs one of its own.",
        "line 12, companies: each needs an id of letters, digits, '.', '_' and '-', 64 at most, with a letter or a "
        "digit first.",
        "line 13, companies: the id ../etc cannot be: each needs an id of letters, digits, '.', '_' and '-', 64 at "
        "most, with a letter or a digit first.",
        "line 16, Acme: tap-saft: path: must be {file: PATH}, or {command: [PROGRAM, ARGUMENT, ...]} with texts.",
        "line 14, Acme: target-vicai: client_id and client_secret are missing.",
        "line 14, Acme: the id is taken by another company, acme: capitals, '.', '_' and '-' tell no two apart; each "
        "needs one of its own.",
        "line 2, time_limit: must be a whole number, 1 or more.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("companies: 7", "must be a list"),
        ("companies: {csv: gone.csv}", "gone.csv: No such file"),
        ("", "must be a list"),
        ("companies: {query: {database: x}}", "query needs database and sql"),
        ("companies: []", "has no company; each is an entry with an id."),
        ("companies: {csv: header.csv}", "the list has no company: there is nothing below its header."),
        ("companies: {csv: blank.csv}", "the list has no company: there is nothing below its header."),
        ("companies: {csv: empty.csv}", "empty.csv: is empty; the first line names the columns."),
        ("companies: {csv: twice.csv}", "the column name is there twice; leave one."),
        ("companies: {csv: misspelt.csv}", "the column nmae is not known; did you mean name?"),
        ("companies: {query: {database: firm.duckdb, sql: SELECT 1 AS id WHERE false}}", "the query found no row."),
    ],
)
def test_no_list_of_companies(tmp_path: Path, text: str, said: str) -> None:
    lists = {"header": "id;name\n", "blank": "id,name\n,\n,\n", "empty": "", "twice": "id,name,name\na,b,c\n"}
    for name, content in {**lists, "misspelt": "id,nmae\na,b\n"}.items():
        (tmp_path / f"{name}.csv").write_text(content, encoding="utf-8")
    duckdb.connect(tmp_path / "firm.duckdb").close()
    (problem,) = complaint(tmp_path, text)
    assert said in problem


def test_files_with_secrets_that_everyone_may_read(fleet: Fleet) -> None:
    """Each is named once in a run, whoever reads it: the file itself, the list, the files of secrets."""
    for number in (1, 2):
        (fleet.folder / f"c{number}.secret").write_text(fleet.of(number).client_secret, encoding="utf-8")
    rows = "id,tap-vicai.client_id,target-vicai.client_secret\nc1,a,b\nc2,a,b\n"
    (fleet.folder / "list.csv").write_text(rows, encoding="utf-8")
    secret = {"client_secret": {"file": "{company}.secret"}}
    settings = {"tap-vicai": secret, "target-vicai": {"client_id": "x"}, "tap-saft": {"path": "gone"}}
    fleet.write(
        warehouse="postgresql://ap:geheim-4711@127.0.0.1:9/w",
        companies={"csv": "list.csv"},
        defaults={"pipelines": [VIC, "erp-to-vic"], "settings": settings},
        retries=0,
    )
    fleet.path.chmod(0o644)
    said = fleet.ask("run", expect=1)
    assert f"{fleet.path}: holds secrets, which may be in files or in the environment instead" in said
    assert "list.csv: holds secrets" in said
    assert f"in 2 files. Run: chmod 600 {fleet.folder / 'c1.secret'} {fleet.folder / 'c2.secret'}" in said
    assert said.count("chmod 600") == 3, said
    assert "geheim" not in said + fleet.written
    for path in (fleet.path, *fleet.folder.glob("*.secret"), fleet.folder / "list.csv"):
        path.chmod(0o600)
    assert "chmod" not in fleet.ask("run", expect=1)


def test_variables_that_are_not_there(fleet: Fleet) -> None:
    """In every place alike: company, setting, variable, and the one that is probably meant."""
    own = fleet.credentials(1)
    fleet.write(
        {"id": "c1", "settings": {"tap-vicai": {**own, "client_secret": "${AP_SECRET_C}"}}},
        {"id": "c2", "settings": {"tap-vicai": {**own, "client_secret": "${AP_EMPTY}"}}},
        {"id": "c4", "settings": {"tap-vicai": own}, "warehouse": "${AP_WAREHOUS}"},
    )
    unset = "is not set in the environment; did you mean"
    told = {
        "c1": f"tap-vicai: client_secret: the variable AP_SECRET_C {unset} AP_SECRET_C1?",
        "c2": "tap-vicai: client_secret: the variable AP_EMPTY is empty in the environment.",
        "c4": f"target-warehouse: database: the variable AP_WAREHOUS {unset} AP_WAREHOUSE?",
    }
    env = {"AP_SECRET_C1": "x", "AP_EMPTY": " ", "AP_WAREHOUSE": "y"}
    assert {name: one["error"] for name, one in fleet.run(env=env, expect=1).items()} == told
    said = fleet.ask("check", env=env, expect=1)
    assert all(f"{name} {VIC}: failed: {words}\n" in said for name, words in told.items())
    assert told["c1"] in fleet.ask("remove", "c1", env=env, expect=2)
    fleet.write(fleet.company(1), state="${AP_STAT}")
    assert "state: the variable AP_STAT is not set" in fleet.ask("run", env=env, expect=2)
    assert "state: the variable AP_STAT is not set" in fleet.ask("status", env=env, expect=2)
    fleet.write({"id": "c1", "settings": {"tap-vicai": {**own, "client_secret": {"env": "X"}}}})
    assert "client_secret: a variable of the environment is written as '${X}'; else" in fleet.ask("check", expect=2)


def test_what_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "companies.yml"
    path.write_text("companies: [a\nb: {", encoding="utf-8")
    with pytest.raises(Stop, match="line 2: is not valid YAML"):
        read(path)


def test_companies_of_a_csv_file(tmp_path: Path) -> None:
    head = "warehouse: w.duckdb\ndefaults: {pipelines: [vic-to-warehouse], settings: {tap-vicai: {region: 'no'}}}\n"
    (tmp_path / "list.csv").write_text(
        "id;name;tap-vicai.client_id;tap-vicai.client_secret;tap-vicai.company_ids\n"
        'acme;Ąžuolas;012;${HOME}$;"[""ALL""]"\nbeta;;b;c;017, 18\n',
        encoding="utf-8",
    )
    path = tmp_path / "companies.yml"
    path.write_text(f"{head}companies: {{csv: list.csv}}\n", encoding="utf-8")
    acme, beta = read(path).companies
    assert (acme.name, beta.name) == ("Ąžuolas", "beta")
    fleet = read(path)
    found = fleet.settings_of(acme, fleet.pipelines["vic-to-warehouse"], "tap-vicai")
    assert found["client_id"] == "012"
    assert found["company_ids"] == ["ALL"]
    # A row names no variable: it is the secret itself.
    from ap_connectors.fleet.values import fetched  # noqa: PLC0415

    assert fetched(found["client_secret"], "x", []) == "${HOME}$"
    # A list needs no brackets.
    assert fleet.settings_of(beta, fleet.pipelines["vic-to-warehouse"], "tap-vicai")["company_ids"] == ["017", "18"]


_FAILS = ["sh", "-c", "echo part-4711; echo first >&2; echo 'no entry for c4 (part-4711)' >&2; exit 3"]
SHORT = """\
warehouse: w.duckdb
defaults: {pipelines: [vic-to-warehouse], settings: {tap-vicai: {client_id: a, client_secret: '${S_{COMPANY}}'}}}
companies:
- id: acme
  name: Ąžuolas UAB
- id: 007"""


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + SHORT.encode(),
        SHORT.encode("utf-16"),
        SHORT.replace("\n", "\r\n").encode(),
        SHORT.partition("companies:")[0].encode() + b"companies: {csv: list.csv}",
    ],
    ids=["BOM", "UTF-16", "CRLF", "CSV"],
)
def test_however_an_editor_saves_it(tmp_path: Path, content: bytes) -> None:
    rows = "\ufeffid\tname\r\nacme\tĄžuolas UAB\r\n\r\n\t\r\n007\t"
    (tmp_path / "list.csv").write_bytes(rows.encode())
    (tmp_path / "companies.yml").write_bytes(content)
    found = [(company.id, company.name) for company in read(tmp_path / "companies.yml").companies]
    assert found == [("acme", "Ąžuolas UAB"), ("007", "007")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        # By {COMPANY} one would get the other's secrets.
        (
            "- id: acme_1\n- id: acme-1",
            "acme-1: the id is taken by another company, acme_1: capitals, '.', '_' and '-'",
        ),
        ("- id: acme\n- id: Acme", "Acme: the id is taken by another company, acme: capitals, "),
        ('- id: acme\n- id: "a\\e[1mb"', "the id a\\x1b[1mb cannot be: each needs an id of letters, digits, "),
        ("- id: acme\n\t- id: beta", "line 5: is not valid YAML: a tab is before the text. Indent with blanks."),
        ("- id: a\n  warehouse: {company}.duckdb", "a brace stands in quotes: '{company}.duckdb'."),
    ],
)
def test_ids_that_cannot_be(tmp_path: Path, changed: str, said: str) -> None:
    (tmp_path / "companies.yml").write_text(SHORT.partition("- id")[0] + changed, encoding="utf-8")
    with pytest.raises(Stop) as caught:
        read(tmp_path / "companies.yml")
    assert said in str(caught.value)


def test_a_row_of_more_fields_than_columns(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("id,name,tap-vicai.client_id\nx1,Berg, Dahl AS,012\n", encoding="utf-8")
    (problem,) = complaint(tmp_path, "companies: {csv: list.csv}")
    assert "row 2 has 4 fields, and the list 3 columns" in problem


@pytest.mark.parametrize("column", ["tap-vicai.api_url", "target-vicai.stream_maps", "tap-saft.path", "command", "x.y"])
def test_a_list_names_neither_files_nor_addresses(tmp_path: Path, column: str) -> None:
    (tmp_path / "list.csv").write_text(f"id,{column}\nacme,x\n", encoding="utf-8")
    (problem,) = complaint(tmp_path, "companies: {csv: list.csv}")
    assert f"the column {column}" in problem


def test_companies_of_a_query(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "firm.duckdb") as connection:
        connection.execute("CREATE TABLE clients AS SELECT 'acme' AS id, 'Acme AS' AS name, 'i' AS c, 's' AS s")
    text = """\
warehouse: w.duckdb
defaults: {pipelines: [vic-to-warehouse]}
companies:
  query:
    database: firm.duckdb
    sql: SELECT id, name, c AS "tap-vicai.client_id", s AS "tap-vicai.client_secret" FROM clients
"""
    (tmp_path / "companies.yml").write_text(text, encoding="utf-8")
    (company,) = read(tmp_path / "companies.yml").companies
    assert (company.id, company.name) == ("acme", "Acme AS")


def test_secrets_come_from_files_commands_and_variables_and_are_nowhere(fleet: Fleet) -> None:
    secret = fleet.of(1).client_secret
    path = fleet.folder / "secrets" / "c1"
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text(f"{secret}\n", encoding="utf-8")
    own = fleet.credentials(1)
    fleet.write(
        {"id": "c1", "settings": {"tap-vicai": {**own, "client_secret": {"file": "secrets/{company}"}}}},
        {
            "id": "c2",
            "settings": {
                "tap-vicai": {**fleet.credentials(2), "client_secret": {"command": ["echo", fleet.of(2).client_secret]}}
            },
        },
        {"id": "c3", "settings": {"tap-vicai": {**fleet.credentials(3), "client_secret": "${AP_SECRET_{COMPANY}}"}}},
        {"id": "c4", "settings": {"tap-vicai": {**fleet.credentials(4), "client_secret": {"command": _FAILS}}}},
        {"id": "c5", "settings": {"tap-vicai": {**fleet.credentials(5), "client_secret": {"file": "secrets/none"}}}},
        retries=0,
    )
    done = fleet.done("run", env={"AP_SECRET_C3": fleet.of(3).client_secret, "LOGLEVEL": "debug"})
    said = (done.stdout + done.stderr).decode()
    assert "3 of 5 pipelines done" in said
    assert "tap-vicai: client_secret: the command sh ended with status 3: no entry for c4 (***)." in said
    assert f"tap-vicai: client_secret: {fleet.folder}/secrets/none: No such file or directory." in said
    for number in (1, 2, 3):
        assert fleet.of(number).client_secret not in said + fleet.written
        assert not fleet.differences(number)


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_COMMAND_SECONDS", 2)
    hangs = values.Command(("sh", "-c", "sleep 600 & echo $! > pid; wait"), str(tmp_path))
    with pytest.raises(Stop, match=r"api_key: the command sh did not end within 2 s\.") as caught:
        values.fetched(hangs, "api_key", [])
    assert "sleep" not in str(caught.value)
    state = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    wait_for(lambda: not state.exists() or ") Z " in state.read_text())


def test_pipelines_of_the_file_s_own(fleet: Fleet, tmp_path: Path) -> None:
    """Any tap and any target: also programs that are installed elsewhere."""
    program = fleet.folder / "tap-own"
    program.write_text(
        "#!/bin/sh\n"
        'echo \'{"type": "SCHEMA", "stream": "dues", "schema": {"properties": {"id": {"type": "string"}}}, '
        '"key_properties": ["id"]}\'\n'
        'echo \'{"type": "RECORD", "stream": "dues", "record": {"id": "7"}}\'\n'
        'echo \'{"type": "STATE", "value": {"bookmarks": {}}}\'\n',
        encoding="utf-8",
    )
    program.chmod(0o700)
    gone, refused = fleet.folder / "tap-gone", fleet.folder / "tap-refused"
    refused.touch(0o600)
    common = {"target": "target-warehouse", "schema": "erp"}
    own = {f"{path.name[4:]}-to-warehouse": {"tap": str(path), **common} for path in (program, gone, refused)}
    fleet.write(
        *({"id": name[:-13], "pipelines": [name]} for name in own if name != "own-to-warehouse"),
        {"id": "c1", "pipelines": ["own-to-warehouse"]},
        pipelines=own,
    )
    ends = fleet.run(expect=1)
    found = ends["c1"]
    assert (found["status"], found["written"]) == ("done", 1)
    # In words, not by the names of classes.
    assert ends["gone"]["error"] == f"{gone}: the program cannot be run: No such file or directory."
    assert ends["refused"]["error"] == f"{refused}: the program cannot be run: Permission denied."
    assert fleet.rows("SELECT id, company FROM erp.dues") == [("7", "c1")]


def test_files_of_a_pipeline_of_the_file_s_own_are_in_folders_of_the_company(fleet: Fleet) -> None:
    """What a target sets aside and remembers of one company is never in a file of another's."""
    program = fleet.folder / "tap-erp"
    vendor = {"externalId": "V-1", "externalUpdatedAt": "2026-03-01T10:00:00", "name": "UAB Viena"}
    attached = {"invoiceInternalId": "1", "document": "none.pdf"}
    records = [("vendors", vendor), ("vendors", {"externalId": "V-2"}), ("attachments", attached)]
    messages = [{"type": "SCHEMA", "stream": name, "schema": {}, "key_properties": []} for name in dict(records)]
    messages += [{"type": "RECORD", "stream": name, "record": record} for name, record in records]
    lines = "".join(f"{json.dumps(one)}\n" for one in messages)
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}END\n", encoding="utf-8")
    program.chmod(0o700)
    companies = [
        {"id": f"c{n}", "pipelines": ["erp"], "settings": {"target-vicai": {**fleet.credentials(n), "max_rejects": 9}}}
        for n in (1, 2)
    ]
    fleet.write(*companies, pipelines={"erp": {"tap": str(program), "target": "target-vicai"}})
    before = {path.name for path in fleet.folder.iterdir()} | {"output"}
    ends = fleet.run()
    assert {path.name for path in fleet.folder.iterdir()} == before
    for company in ("c1", "c2"):
        (kept,) = (fleet.folder / "output/rejects" / company).iterdir()
        assert ends[company]["rejects"] == [str(kept)]
        text = kept.read_text(encoding="utf-8")
        assert ("V-2" in text, "V-1" in text, "none.pdf" in text) == (True, False, True)


@pytest.mark.long
@needs_postgresql
def test_a_company_that_was_renamed_keeps_its_rows(big_fleet: Fleet) -> None:
    """Its id is what rows have; another name at the service stops the run until the file has it, too."""
    fleet = big_fleet
    name = fleet.name(1)
    fleet.write(fleet.company(1, expected_company=name))
    fleet.run()
    fleet.of(1).control.vicai.options(company="Naujas vardas UAB")
    said = fleet.run(expect=1)["c1"]["error"]
    assert f'expected_company is "{name}"' in said
    assert "if the company was merely renamed, change expected_company" in said
    fleet.write(fleet.company(1, expected_company="Naujas vardas UAB"))
    said = fleet.run(expect=1)["c1"]["error"]
    assert "if the company was merely renamed" in said
    # Another company's credentials under this id.
    fleet.write({"id": "c1", "settings": {"tap-vicai": fleet.credentials(2)}})
    assert "belongs to another company" in fleet.run(expect=1)["c1"]["error"]
    assert fleet.rows("SELECT DISTINCT company FROM vicai.vendors") == [("c1",)]
