"""Examples of the command, shown in its help."""


def examples(*lines: str) -> str:
    """The end of a help text: `lines` as they are typed, without the word `lro`. Nothing in them is wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  lro {line}" for line in lines)])


START = examples(
    """start POST https://host/greeting/ann:send -d '{"text": "Hello"}' --wait""",
    "start PUT https://host/book/emma -d @book.json --save-token token.json",
)
WAIT = examples("wait https://host/status/7f3a --timeout 60 --to .", "wait token.json -o json")
RESUME = examples("resume token.json --endpoint https://host")
STATUS = examples("status https://host/status/7f3a", "status token.json -o json")
CANCEL = examples("cancel https://host/status/7f3a --wait")
RESULT = examples("result https://host/status/7f3a", "result https://host/status/7f3a --to report.pdf")
DELETE = examples("delete https://host/status/7f3a")
RETRY = examples("retry https://host/status/7f3a --wait")
LIST = examples(
    """list https://host/status --filter "status eq 'Failed'" --limit 20""", "list https://host/status --no-header"
)
WATCH = examples(
    "watch https://host/status", """watch https://host/status --filter "kind eq 'book:load'" --until-ended"""
)
CHECK = examples(
    "check https://host/api",
    """check https://host/api --action greeting/ann:send --input '{"text": "Hello"}' -o json""",
)
ARM_ID = "/subscriptions/1/resourceGroups/g/providers/Contoso.Library/shelves/poetry"
ARM = {
    "put": examples(f"""arm put {ARM_ID} --api-version 2026-01-01 -d '{{"location": "westeurope"}}' --wait"""),
    "patch": examples(f"""arm patch {ARM_ID} --api-version 2026-01-01 -d '{{"tags": {{"a": "b"}}}}'"""),
    "delete": examples(f"arm delete {ARM_ID} --api-version 2026-01-01 --wait"),
    "action": examples(f"arm action {ARM_ID} startMigration --api-version 2026-01-01 -d @target.json --wait"),
}
CALL = examples("""odata call https://host/odata GenerateReport -d '{"format": "csv"}' --wait""")
BATCH = examples("odata batch https://host/odata -d @requests.json --continue-on-error -o json")
