"""``continuity dead-letters``."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, TypeAlias

import typer

from continuity.api.operations.v1.dead_letter_pb2 import DeadLetter
from continuity.cli.exits import ExitCode, exit_code
from continuity.cli.failures import failure
from continuity.cli.letters import content_document, described, harmless, letter_document, row, written
from continuity.cli.output import facts, table
from continuity.cli.session import AsJson, Session, execute
from continuity.client import CallFailed, ContinuityClient
from continuity.client.dead_letters import CONSUMERS

app = typer.Typer(
    name="dead-letters", help="Events that a service could not handle and has put aside.", no_args_is_help=True
)

MAX_PAGE_SIZE = 500

LetterId: TypeAlias = tuple[str, str]
"""The service that could not handle the event, and the id under which it keeps it; written ``service/id``."""
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="As `list` shows them.", show_default=False)]


def _known(consumer: str) -> str:
    if consumer and consumer not in CONSUMERS:
        raise typer.BadParameter(f"there is no service {consumer!r}; it must be one of {', '.join(CONSUMERS)}")
    return consumer


Consumer = Annotated[
    str, typer.Option("--consumer", callback=_known, help="Only those of this service.", show_default=False)
]


@app.command("list")
def list_letters(
    consumer: Consumer = "",
    limit: Annotated[int, typer.Option(min=1, help="How many of each service, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters."""

    async def work(session: Session) -> ExitCode:
        async with session.connected() as client:
            letters, code = await _letters(session, client, _asked(consumer), limit)
        shown = table(("id", "event", "subject", "project", "reason", "since"), map(row, letters))
        found = {"dead_letters": [letter_document(letter) for letter in letters]}
        session.output.show(found, shown if letters else "no dead letters")
        return code

    execute(work, as_json=as_json)


@app.command()
def show(id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")], as_json: AsJson = False) -> None:
    """Show a dead letter: why it is one, its headers, its payload and where its handler broke."""
    (wanted,) = _parsed([id])

    async def work(session: Session) -> None:
        async with session.connected() as client:
            found = await client.dead_letters.get(*wanted)
        letter, content = found.dead_letter, found.content
        everything = {**letter_document(letter), **content_document(letter, content)}
        session.output.show(everything, facts(described(letter, content)), *filter(None, [harmless(content.stack)]))

    execute(work, as_json=as_json)


@app.command()
def replay(
    ids: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, or all of --consumer.")] = False,
    consumer: Consumer = "",
    as_json: AsJson = False,
) -> None:
    """Have events handled again, as if they had never been tried; `list` shows those that fail again."""
    if bool(ids) == every or (consumer and not every):
        raise typer.BadParameter("give either ids or --all, the latter with or without --consumer")
    named = _parsed(ids or [])

    async def work(session: Session) -> ExitCode:
        async with session.connected() as client:
            found, code = await _letters(session, client, _asked(consumer) if every else (), None)
            wanted = named or [(letter.consumer, letter.id) for letter in found]
            return max(code, await _each(session, wanted, client.dead_letters.replay, "replayed"))

    execute(work, as_json=as_json)


@app.command()
def drop(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="As `list` shows them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget events for good."""
    wanted = _parsed(ids)
    if not yes:
        _confirm(len(wanted))

    async def work(session: Session) -> ExitCode:
        async with session.connected() as client:
            return await _each(session, wanted, client.dead_letters.drop, "dropped")

    execute(work, as_json=as_json)


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask; say --yes")
    if not typer.confirm(f"forget {count} dead letter{'s' if count > 1 else ''} for good?", err=True):
        raise typer.Exit(ExitCode.FAILED)


def _asked(consumer: str) -> tuple[str, ...]:
    return (consumer,) if consumer else CONSUMERS


def _parsed(ids: Iterable[str]) -> list[LetterId]:
    parsed = []
    for each in ids:
        consumer, slash, id = each.partition("/")
        if consumer not in CONSUMERS or not slash or not id:
            raise typer.BadParameter(f"{each!r} is no id of a dead letter; they look like {CONSUMERS[0]}/4f0c…")
        parsed.append((consumer, id))
    return list(dict.fromkeys(parsed))


async def _letters(
    session: Session, client: ContinuityClient, consumers: Iterable[str], limit: int | None
) -> tuple[list[DeadLetter], ExitCode]:
    """Return the letters of those services that answer, and how that went."""
    consumers = tuple(consumers)
    answers = await asyncio.gather(*(_of(client, each, limit) for each in consumers), return_exceptions=True)
    letters: list[DeadLetter] = []
    code = ExitCode.OK
    for consumer, answer in zip(consumers, answers, strict=True):
        if isinstance(answer, CallFailed) and len(consumers) > 1:
            session.output.note(f"continuity: {consumer}: {failure(answer)['message']}")
            code = ExitCode.UNAVAILABLE
        elif isinstance(answer, BaseException):
            raise answer
        else:
            letters += answer
    return letters, code


async def _of(client: ContinuityClient, consumer: str, limit: int | None) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    async for letter in client.dead_letters.list(consumer, page_size=min(limit or MAX_PAGE_SIZE, MAX_PAGE_SIZE)):
        letters.append(letter)
        if len(letters) == limit:
            break
    return letters


async def _each(
    session: Session, wanted: Iterable[LetterId], act: Callable[[str, str], Awaitable[None]], done: str
) -> ExitCode:
    """Act on each; one that cannot be acted on is told of and keeps the others from nothing."""
    acted: list[str] = []
    failed: list[dict[str, Any]] = []
    code = ExitCode.OK
    for consumer, id in wanted:
        try:
            await act(consumer, id)
            acted.append(written(consumer, id))
        except CallFailed as error:
            failed.append({"id": written(consumer, id), **failure(error)})
            session.output.note(f"continuity: {failed[-1]['message']}")
            code = exit_code(error)
    session.output.show({done: acted, "failed": failed}, f"{done} {len(acted)}")
    return code
