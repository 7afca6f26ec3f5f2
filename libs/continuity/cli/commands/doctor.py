"""``continuity doctor``."""

from continuity.cli.checks import Check, checks
from continuity.cli.exits import ExitCode
from continuity.cli.output import table
from continuity.cli.session import AsJson, Session, execute


def doctor(as_json: AsJson = False) -> None:
    """Say what is present, what is missing and how to mend it; exit code 1 when something needed is missing."""

    async def work(session: Session) -> ExitCode:
        made = await checks(session.settings)
        rows = [(_mark(check), check.name, check.found, "" if check.ok else check.mend) for check in made]
        document = {"ok": not any(map(_fatal, made)), "checks": [check.document() for check in made]}
        session.output.show(document, table(("", "what", "found", "to mend"), rows))
        return ExitCode.FAILED if any(map(_fatal, made)) else ExitCode.OK

    execute(work, as_json=as_json)


def _fatal(check: Check) -> bool:
    return check.needed and not check.ok


def _mark(check: Check) -> str:
    return "ok" if check.ok else "MISSING" if check.needed else "–"
