"""
``ai-lib models``: what a provider offers.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from ai_lib._cli.providers import add_filter, fits
from ai_lib._cli.target import add_provider_argument, choose
from ai_lib._cli.terminal import note, print_table

if TYPE_CHECKING:
    from ai_lib import ModelInfo
    from ai_lib._cli import Commands

EXAMPLES = """\
examples:
  ai-lib models -p groq
  ai-lib models -p openai gpt mini
  ai-lib models -p openrouter --json | jq -r '.[].id'

Without --provider the first provider is asked whose key is in the environment.
"""


def add(commands: Commands) -> None:
    """
    Add the command.
    """
    models = commands.add(
        "models",
        help="list the models that a provider offers",
        description="Ask a provider which models it offers, and list them.",
        examples=EXAMPLES,
        run=_run,
    )
    add_filter(models, "what a model's name must hold")
    add_provider_argument(models)
    models.add_argument(
        "--json", action="store_true", help="print them as a JSON array"
    )


def _run(options: Namespace) -> int:
    _, client = choose(options.provider)
    with client:
        models = client.list_models()
    found = [one for one in models if fits(options.filter, one.id, one.name)]
    if options.json:
        import json

        from ai_lib import to_dict

        print(json.dumps(to_dict(found), indent=1))
    elif found:
        print_table(
            ("MODEL", "NAME", "READS", "WRITES", "OWNER"), [_row(one) for one in found]
        )
    if not found:
        note(f"none of {len(models)} models fits" if models else "it lists no model")
        return 1
    return 0


def _row(model: ModelInfo) -> tuple[str, ...]:
    return (
        model.id,
        model.name if model.name != model.id else "",
        _tokens(model.context_window),
        _tokens(model.max_output_tokens),
        model.owner or "",
    )


def _tokens(number: int | None) -> str:
    return "" if number is None else str(number)
