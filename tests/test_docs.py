"""The documentation: its commands run, what it shows is what comes, its links lead somewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import make_contract
from harness.contract import OUTCOMES
from harness.wire import ARVADOS
from harness.wire.arvados import READ_FIELDS
from tests.limits import LIMIT_S

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SERVER = "http://127.0.0.1:8000"
TOKENS = "shared: first-dispatch-token\nstranger: other-dispatch-token\n"

NOT_RUN = {
    "make run": "it would install into the folder under test; CI runs it from nothing",
    "docker build -t lockrace -f lockrace.Dockerfile .": "no Docker here",
    f'docker run --rm --network host -v "$PWD:/work" lockrace run --target {SERVER} --token-file tokens.yaml': "same",
}
LEASES = "lockrace run --start './leases --port {port}' --token-file tokens.yaml --profile leases.profile.yaml"
SHORTENED = {  # these play every scenario; other tests do that
    LEASES: "--select two_lockers,listings",
    f"lockrace run --target {SERVER} --token-file tokens.yaml": "--select two_lockers",
    "lockrace run --target https://containers.example.org --token-file tokens.yaml": "--select two_lockers",
    "lockrace run --start './server --port {port}' --ready /healthz --token-file tokens.yaml": "--select DUR-1",
    "lockrace run --start 'uvicorn app:app --port {port}'": "--select DUR-1,LIST-1",
}
VIOLATES = {  # these end with 1, all others with 0
    "lockrace run --target reference:keep_auth --select stolen_lock_early_auth",
    "lockrace recheck lockrace-out/histories/stolen_lock_early_auth.jsonl",
    "lockrace report lockrace-out/histories/stolen_lock_early_auth.jsonl --out again.html",
    "lockrace run my_race.race.yaml --target reference:lock_noop",
    "lockrace run --start 'uvicorn app:app --port {port}' --select two_lockers",
    "lockrace run --start 'uvicorn app:app --port {port}'",
    "lockrace replay 'two_lockers:[a_lock,b_lock]' --start 'uvicorn app:app --port {port}'",
    "lockrace explore both_lock.race.yaml --target asgi:app:app",
}
TOGETHER = [  # pages that show one run; it is made once
    ROOT / "README.md",
    ROOT / "docs/how-to/read-a-report.md",
    ROOT / "docs/how-to/known-violation.md",
]


class Shown(NamedTuple):
    command: str
    output: list[str]  # what the page shows of it; "..." where lines are left out
    line: int


def blocks(page: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Fenced blocks: line, language, lines."""
    language, start, inside = None, 0, []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            if language is None:
                language, start, inside = line[3:], number, []
            else:
                yield start, language, inside
                language = None
        elif language is not None:
            inside.append(line)


def commands(page: Path) -> list[Shown]:
    found: list[Shown] = []
    for start, _, lines in blocks(page):
        own = False
        for number, line in enumerate(lines, start + 1):
            if line.startswith("$ "):
                own = True
                found.append(Shown(line[2:], [], number))
            elif own:
                found[-1].output.append(line)
    return found


def shown_in(page: Path, language: str) -> str:
    """The text of the first block in a language."""
    return next("\n".join(lines) + "\n" for _, found, lines in blocks(page) if found == language)


OTHER_WORDS = {"leases.profile.yaml": "yaml", "make-container": "python"}
"""Files that the page on other words shows, and in which of its blocks."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader has: the files of the tutorial, tokens, and a server of their own."""
    for name in ("app.py", "both_lock.race.yaml"):
        (tmp_path / name).write_text((ROOT / "docs/tutorial" / name).read_text("utf-8"), "utf-8")
    (tmp_path / "tokens.yaml").write_text(TOKENS)
    own = tmp_path / "server"
    own.write_text(f'#!/bin/sh\nexec {sys.executable} -m reference_server --database ./own.sqlite "$@"\n')
    leases = tmp_path / "leases"
    leases.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/profile/leases_server.py "$@"\n')
    for name, language in OTHER_WORDS.items():
        (tmp_path / name).write_text(shown_in(ROOT / "docs/how-to/other-words.md", language))
    for program in (own, leases, tmp_path / "make-container"):
        program.chmod(0o755)
    return tmp_path


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that was started by hand, for the addresses that pages name."""
    folder = tmp_path_factory.mktemp("by_hand")
    (folder / "tokens.yaml").write_text(TOKENS)
    process = subprocess.Popen(
        [sys.executable, "-m", "reference_server", "--end-with-stdin", "--token-file", "tokens.yaml"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    found = None
    for line in process.stdout:
        if "ready" in line and (found := re.search(r"https?://\S+", line)):
            break
    assert found is not None
    yield found.group()
    process.stdin.close()
    process.stdout.close()
    process.wait(LIMIT_S)


class Reader:
    """Types the commands of pages in one folder, each once, and looks at what comes."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder, self._address = folder, address
        self._done: dict[str, subprocess.CompletedProcess[str]] = {}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {name: text for name, text in os.environ.items() if not name.startswith(("LOCKRACE", "PYTHONPATH"))}
        self._environment = own | {"PATH": path, "HOME": str(folder)}

    def follow(self, page: Path) -> None:
        mended = mend_at(page)
        for shown in commands(page):
            if mended and shown.line > mended:
                app = self._folder / "app.py"
                app.write_text(mend(app.read_text("utf-8"), page), "utf-8")
                mended = 0
            if shown.command.startswith("export "):
                self._environment |= dict(word.split("=", 1) for word in shown.command.split()[1:])
            elif shown.command not in NOT_RUN:
                self._check(shown, f"{page.relative_to(ROOT)}:{shown.line}: {shown.command}")

    def _check(self, shown: Shown, place: str) -> None:
        done = self._done.get(shown.command) or self._type(shown.command)
        printed = done.stdout + done.stderr
        assert done.returncode == (shown.command in VIOLATES), f"{place}\n{printed[-3000:]}"
        missing = [line for line in shown.output if not stands_in(line, printed)]
        assert not missing, f"{place} does not print\n" + "\n".join(missing) + f"\nbut\n{printed[-6000:]}"

    def _type(self, command: str) -> subprocess.CompletedProcess[str]:
        typed = f"{command} {SHORTENED.get(command, '')}"
        for named in (SERVER, "https://containers.example.org"):
            typed = typed.replace(named, self._address)
        self._done[command] = subprocess.run(
            ["sh", "-c", typed],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        return self._done[command]


def stands_in(line: str, output: str) -> bool:
    """Whether a line that a page shows is one of those printed, numbers and who of A and B was first apart."""
    return line == "..." or plain(line) in {plain(one) for one in output.splitlines()}


def plain(line: str) -> str:
    line = line.replace(f"{ROOT}/", "")
    line = re.sub(r"req-\w+", "req", re.sub(r"\s+", " ", line))
    line = re.sub(r"\b[AB](?=['#\b])|as far as .*;", "X", line)
    return re.sub(r"\d+(\.\d+)?", "N", re.sub(r"[▶┌│└]", "", line)).strip()


def mend_at(page: Path) -> int:
    """The line where the tutorial mends its server; 0 on every other page."""
    lines = page.read_text("utf-8").splitlines()
    return lines.index("## Mend it") + 1 if page.name == "tutorial.md" else 0


def mend(app: str, page: Path) -> str:
    """The server with the function that the tutorial gives at the end in place of its own."""
    (_, better) = ("\n".join(lines) for _, language, lines in blocks(page) if language == "python")
    head = better.splitlines()[0]
    old = app[app.index(head) : app.index("\n\n\n", app.index(head))]
    assert old != better
    return app.replace(old, better)


@pytest.mark.timeout(3600)  # many commands, each a few processes
@pytest.mark.parametrize(
    "pages",
    [TOGETHER, *([page] for page in PAGES if commands(page) and page not in TOGETHER)],
    ids=lambda pages: pages[0].stem,
)
def test_every_command_does_what_its_page_says(pages: list[Path], folder: Path, address: str) -> None:
    reader = Reader(folder, address)
    for page in pages:
        reader.follow(page)


def test_exceptions_are_commands_of_pages() -> None:
    everything = {shown.command for page in PAGES for shown in commands(page)}
    assert not (NOT_RUN.keys() | SHORTENED.keys() | VIOLATES) - everything


def test_the_tutorial_shows_the_files_that_are_run() -> None:
    shown = {
        language: "\n".join(lines) + "\n" for _, language, lines in reversed(list(blocks(ROOT / "docs/tutorial.md")))
    }
    assert shown["python"] == (ROOT / "docs/tutorial/app.py").read_text("utf-8")
    assert shown["yaml"] == (ROOT / "docs/tutorial/both_lock.race.yaml").read_text("utf-8")


def test_the_profile_that_is_shown_is_the_one_that_is_tested() -> None:
    shown = shown_in(ROOT / "docs/how-to/other-words.md", "yaml")
    assert shown == (ROOT / "tests/profile/leases.profile.yaml").read_text("utf-8")


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_no_machine(page: Path) -> None:
    found = re.findall(r"(?:/home|/root|/work(?!\")|/Users|/tmp)/\S*", page.read_text("utf-8"))
    assert not found


def test_the_reference_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, "docs/make_reference.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert made.stdout == (ROOT / "docs/reference.md").read_text("utf-8"), (
        "write it anew: python docs/make_reference.py > docs/reference.md"
    )


def test_the_table_of_transitions_is_the_one_that_is_played() -> None:
    assert make_contract.page() == make_contract.PAGE.read_text("utf-8"), "write it anew: python docs/make_contract.py"


def test_the_contract_page_tells_every_request_and_outcome() -> None:
    text = make_contract.PAGE.read_text("utf-8")
    for op, call in ARVADOS.profile.calls.items():
        path = call.path.removeprefix("/arvados/v1").replace("{uuid}", "UUID")
        assert f"| {op} | `{call.method} {path}" in text
    rows = dict(re.findall(r"^\| (\d{3}) \| (\w+) \|", text, re.MULTILINE))
    single = [one for one in ARVADOS.profile.outcomes if len(one.statuses or ()) == 1 and not one.headers]
    assert rows == {str(status): one.outcome for one in single for status in one.statuses or ()}
    assert all(f"| {outcome} |" in text for outcome in OUTCOMES)
    shown = text.partition("**The fields of a container**")[2].partition(".\n")[0]
    assert all(f"`{field}`" in shown for field in READ_FIELDS)


def test_the_readme_tells_the_exit_codes() -> None:
    rows = re.findall(r"^\| \d+ \| .* \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    reference = (ROOT / "docs/reference.md").read_text("utf-8")
    assert rows
    assert all(row in reference for row in rows)


def test_the_picture_is_small() -> None:
    picture = (ROOT / "docs/pictures/violation.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 200_000
