"""
``ai-lib providers``: who can be asked, and whose key is set. Nobody is asked, and no key is shown.
"""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from ai_lib._cli.terminal import note, print_table

if TYPE_CHECKING:
    from ai_lib._cli import Commands
    from ai_lib._core.providers import ProviderSpec

EXAMPLES = """\
examples:
  ai-lib providers
  ai-lib providers --set
  ai-lib providers mistral
  ai-lib providers --json | jq -r '.[] | select(.set) | .id'

KEY says where the key is looked for: the variable that holds it, else the first of those
that may.
"""


def add(commands: Commands) -> None:
    """
    Add the command.
    """
    providers = commands.add(
        "providers",
        help="list who can be asked, and whose key is set",
        description="List the providers: dialect, default model, where the key is looked for, whether it is set.",
        examples=EXAMPLES,
        run=_run,
    )
    add_filter(providers, "what a provider's name or dialect must hold")
    providers.add_argument(
        "--set", action="store_true", help="those alone whose key is set, or not needed"
    )
    providers.add_argument(
        "--json", action="store_true", help="print them as a JSON array"
    )


def add_filter(parser: Any, what: str) -> None:
    """
    Add the words that what is listed must hold.
    """
    parser.add_argument(
        "filter",
        nargs="*",
        metavar="FILTER",
        help=f"{what}, in small or capital letters",
    )


def fits(words: list[str], *texts: str | None) -> bool:
    """
    Tell whether each of *words* is in one of *texts*.
    """
    all_of_it = "\n".join(text for text in texts if text).lower()
    return all(word.lower() in all_of_it for word in words)


def _run(options: Namespace) -> int:
    from ai_lib._core.registry import load_installed, providers

    for error in load_installed():
        note(str(error))
    found = [
        described
        for spec in providers()
        if fits(options.filter, spec.id, spec.name, spec.dialect, *spec.aliases)
        and ((described := _described(spec))["ready"] or not options.set)
    ]
    if options.json:
        import json

        print(json.dumps(found, indent=1))
    elif found:
        print_table(
            ("PROVIDER", "DIALECT", "DEFAULT MODEL", "KEY", "SET"),
            [_row(one) for one in found],
        )
    if not found:
        note("no provider fits; ai-lib providers lists all")
        return 1
    return 0


def _described(spec: ProviderSpec) -> dict[str, Any]:
    variables = [*spec.api_key_env, *spec.token_env]
    if not spec.embedded:
        variables.append("AI_API_KEY")
    is_set = next((name for name in variables if os.environ.get(name, "").strip()), "")
    return {
        "id": spec.id,
        "name": spec.name or spec.id,
        "dialect": spec.dialect,
        "default_model": _default_model(spec),
        "key_variables": variables,
        "key_required": spec.key_required,
        "set": is_set or None,
        "ready": bool(is_set) or not spec.key_required,
        "sunset": spec.sunset or None,
    }


def _default_model(spec: ProviderSpec) -> str | None:
    from ai_lib._core.errors import ConfigurationError
    from ai_lib._core.targets import resolve_model

    try:
        return resolve_model(spec, None)
    except ConfigurationError:
        return None


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    variables = one["key_variables"]
    answered = "yes" if one["set"] else "no" if one["key_required"] else "not needed"
    return (
        one["id"],
        one["dialect"],
        one["default_model"] or "",
        one["set"] or (variables[0] if variables else ""),
        answered,
    )
