"""What stands at the top of every scenario file: name, level, requirements, tags."""

import re
from dataclasses import dataclass
from typing import cast

from harness.contract import LEVELS, REQUIREMENTS, Level, covers
from harness.scenario import fields
from harness.scenario.fields import Form
from harness.scenario.marks import Mark
from harness.scenario.reader import Source

_FAMILY = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")
_TAG = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")


@dataclass(frozen=True)
class Head:
    """What all instances of one file share."""

    source: Source
    family: str
    summary: str
    level: Level
    requires: tuple[str, ...]
    see: str | None
    tags: tuple[str, ...]
    mark: Mark


def read_head(source: Source, form: Form) -> Head:
    """The head of a file, with a fault noted for each part that is not in order."""
    fields.whole(source, form.need("format"), "format", 1, 1)
    family = fields.text(source, form.need("scenario"), "scenario") or "unnamed"
    if not _FAMILY.match(family):
        form.fault("scenario", f'"{family[:60]}" is no name for a scenario: small letters, digits and underscores')
    level = cast("Level", fields.one_of(source, form.need("level"), "level", LEVELS) or "must")
    return Head(
        source=source,
        family=family,
        summary=fields.text(source, form.need("summary"), "summary") or "",
        level=level,
        requires=read_requires(source, form, level),
        see=_see(source, form),
        tags=_tags(source, form),
        mark=form.mark("scenario"),
    )


def read_requires(source: Source, form: Form, level: Level) -> tuple[str, ...]:
    """The requirement IDs under `requires`, each known and fixed at the level or below it."""
    found = []
    trees = fields.one_or_more(form.need("requires"))
    if form.get("requires") is not None and not trees:
        form.fault("requires", "name at least one requirement")
    for tree in trees:
        requirement = fields.one_of(source, tree, "a requirement", REQUIREMENTS)
        if requirement is None:
            continue
        if not covers(level, REQUIREMENTS[requirement].level):
            needed = REQUIREMENTS[requirement].level
            source.fault(tree.mark, f"{requirement} is of level {needed}; this scenario is of level {level}")
        found.append(requirement)
    return tuple(found)


def _see(source: Source, form: Form) -> str | None:
    tree = form.get("see")
    found = fields.text(source, tree, "see")
    if found is not None and not found.startswith(("https://", "http://")):
        form.fault("see", "see must be an address that begins with https://")
    return found


def _tags(source: Source, form: Form) -> tuple[str, ...]:
    found = []
    for tree in fields.entries(source, form.get("tags"), "tags"):
        tag = fields.text(source, tree, "a tag")
        if tag is not None and not _TAG.match(tag):
            source.fault(tree.mark, f'"{tag[:40]}" is no tag: small letters, digits, - and _')
        found.append(tag or "")
    return tuple(found)
