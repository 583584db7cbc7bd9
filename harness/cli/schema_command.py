"""`lockrace schema`: JSON Schemas, for editors and for those who read our files."""

import json

import click


@click.command("schema", short_help="Print a JSON Schema.")
@click.argument("what", type=click.Choice(["scenario", "profile", "history", "results"]), default="scenario")
def command(what: str) -> int:
    """Print the JSON Schema of scenario files or profiles (for completion in an editor), histories, or results.json."""
    click.echo(json.dumps(_schema(what), indent=2, ensure_ascii=False))
    return 0


def _schema(what: str) -> object:
    if what == "scenario":
        from harness.scenario.schema import scenario_schema  # noqa: PLC0415

        return scenario_schema()
    if what == "profile":
        from harness.profile import profile_schema  # noqa: PLC0415

        return profile_schema()
    if what == "history":
        from harness.history import history_schema  # noqa: PLC0415

        return history_schema()
    from harness.report.results_json import results_schema  # noqa: PLC0415

    return results_schema()
