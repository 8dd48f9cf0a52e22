"""What is wrong in `companies.yml` as people write it: its cause once, and what to write instead."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.test_fleet_companies import complaint

IDS = [f"imone-{number:02}" for number in range(1, 41)]


def test_what_looks_like_a_variable(tmp_path: Path) -> None:
    """No service gets it for the secret; what is wrong for all is said once, at its line or its first company."""
    text = """\
warehouse: $WAREHOUSE
defaults:
  pipelines: [ivesk-to-warehouse]
  settings:
    tap-ivesk:
      api_key: '${IVESK_{company}}'
    tap-vicai: {client_id: '$VIC_{COMPANY}', client_secret: '${VIC_{COMPANI}}'}
companies:
- {id: acme, settings: {tap-ivesk: {user_agent: 'cost ${'}, tap-vicai: {client_id: '${AP-ID}', client_secret: '$x'}}}
"""
    told = complaint(tmp_path, text + "".join(f"- id: {one}\n" for one in IDS))
    own = "line 9, acme: tap-vicai:"
    assert [one for one in told if "user_agent" not in one] == [
        "line 7, defaults: tap-vicai: client_id: $VIC_{COMPANY} is not a variable here; write '${VIC_{COMPANY}}' "
        "(a secret that reads so belongs in a {file: PATH}).",
        "line 7, defaults: tap-vicai: client_secret: ${VIC_{COMPANI}} names no variable; write '${VIC_{COMPANY}}'.",
        "line 1: warehouse: $WAREHOUSE is not a variable here; write '${WAREHOUSE}' "
        "(a secret that reads so belongs in a {file: PATH}).",
        f"{own} client_id: ${{AP-ID}} names no variable; write '${{AP_ID}}'.",
        f"{own} client_secret: $x is not a variable here; write '${{x}}' "
        f"(a secret that reads so belongs in a {{file: PATH}}).",
        "line 10, imone-01: tap-ivesk: api_key: ${IVESK_{company}} names no variable, for it gives ${IVESK_imone-01}; "
        "write '${IVESK_{COMPANY}}'. (So 39 times more.)",
    ]


def test_the_cause_is_said_and_not_what_follows(tmp_path: Path) -> None:
    companies = "companies:\n" + "".join(f"- id: {one}\n" for one in IDS)
    pipeline = "  pipelines: [ivesk-to-warehouse]\n"
    for head, said in (
        (
            f"warehouse: w\ndefaults:\n{pipeline}  settings: {{tap-ivesk: {{api_keyy: x}}}}\n",
            "line 4, defaults: tap-ivesk: api_keyy is not a setting; did you mean api_key?",
        ),
        (
            f"warehouse: w\ndefaults:\n{pipeline}  settings: {{tap-iveks: {{api_key: x}}}}\n",
            "line 4, defaults: tap-iveks is not installed here; did you mean tap-ivesk?",
        ),
        (
            f"warehous: w\ndefaults:\n{pipeline}  settings: {{tap-ivesk: {{api_key: x}}}}\n",
            "line 1: warehous is not known here; did you mean warehouse?",
        ),
        (
            f"warehouse: w\ndefault:\n{pipeline}  settings: {{tap-ivesk: {{api_key: x}}}}\n",
            "line 3: default is not known here; did you mean defaults?",
        ),
    ):
        assert complaint(tmp_path, head + companies) == [said]


def test_cells_of_a_list(tmp_path: Path) -> None:
    """The file, the column and how it is written, once for all rows."""
    head = "warehouse: w\ndefaults: {pipelines: [ivesk-to-warehouse]}\ncompanies: {csv: clients.csv}\n"
    rows = "".join(f"{one};k{one};[391016469\n" for one in IDS)
    path = tmp_path / "clients.csv"
    path.write_text(f"id;tap-ivesk.api_key;tap-ivesk.company_codes\n{rows}", encoding="utf-8")
    assert complaint(tmp_path, head) == [
        "clients.csv, row 2, imone-01: tap-ivesk: company_codes must be a list. In the column tap-ivesk.company_codes "
        'write 1234, or several with commas in quotes: "1234, 5678". (So 39 times more.)'
    ]
    path.write_text("id,tap-ivesk.api_key\na,${KEY}\nb,$KEY\nc,x$y\n", encoding="utf-8")
    said = "names no variables; write {} into the settings of defaults, in companies.yml."
    assert complaint(tmp_path, head) == [
        f"clients.csv, row {row}, {one}: tap-ivesk: api_key: a list {said.format(text)}"
        for row, one, text in ((2, "a", "${KEY}"), (3, "b", "$KEY"))
    ]
