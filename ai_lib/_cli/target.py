"""
Who is asked: the options that say it, and the client that they make.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

import attrs

from ai_lib._cli.terminal import note

if TYPE_CHECKING:
    from ai_lib import AiClient


@attrs.frozen(kw_only=True)
class Who:
    """
    A provider, and maybe a model of it.

    Attributes:
        provider: Its id or an alias.

        model: The provider's name of the model; ``None``: its default.
    """

    provider: str
    model: str | None = None

    def open(self) -> AiClient:
        """
        Make the client.

        Raises:
            ConfigurationError: No such provider, no key, no such model.
        """
        from ai_lib import AiClient

        return AiClient(self.provider, model=self.model)


def add_target_arguments(parser: ArgumentParser) -> None:
    """
    Add ``--provider`` and ``--model``.
    """
    add_provider_argument(parser)
    model: Any = parser.add_argument(
        "-m",
        "--model",
        metavar="NAME",
        help="the provider's name of the model, or PROVIDER/NAME, or a GGUF file",
    )
    model.completer = _complete_model


def add_provider_argument(parser: ArgumentParser) -> None:
    """
    Add ``--provider`` alone.
    """
    provider: Any = parser.add_argument(
        "-p",
        "--provider",
        metavar="ID",
        help="who is asked, such as openai or local",
    )
    provider.completer = _complete_provider


def _complete_provider(**_: Any) -> list[str]:
    from ai_lib._core.registry import providers

    return [spec.id for spec in providers()]


def _complete_model(*, parsed_args: Namespace, prefix: str, **_: Any) -> list[str]:
    """
    List the default models, and files: what can be told without asking anybody.
    """
    from argcomplete.completers import FilesCompleter

    from ai_lib._core.registry import find_provider, providers

    files: list[str] = FilesCompleter(["gguf"])(prefix)
    if parsed_args.provider:
        spec = find_provider(parsed_args.provider)
        return [*files, *filter(None, [spec.default_model])]
    return [
        *files,
        *(f"{one.id}/{one.default_model}" for one in providers() if one.default_model),
    ]


def choose(
    provider: str | None, model: str | None = None, *, before: Who | None = None
) -> tuple[Who, AiClient]:
    """
    Make the client that the options mean, and say who it is where they do not.

    Args:
        provider: What ``--provider`` says.

        model: What ``--model`` says.

        before: Whom a conversation that is resumed was held with.

    Raises:
        ConfigurationError: No such provider, no key, no such model.
    """
    from ai_lib._core.registry import split_model_string
    from ai_lib._core.routes import embedded_names
    from ai_lib._core.targets import first_configured

    who = None
    named = split_model_string(model) if model and not provider else None
    if provider:
        who = Who(provider=provider, model=model)
    elif model and model.lower().endswith(".gguf"):
        who = Who(provider="local", model=model)
    elif named:
        who = Who(provider=named[0].id, model=named[1] or None)
    elif before is not None:
        who = Who(provider=before.provider, model=model or before.model)
    if who is not None:
        return who, who.open()
    spec = first_configured()
    if spec is None:
        note(f"no key is set; using the local model ({embedded_names()[0]})")
        who = Who(provider="local", model=model)
        return who, who.open()
    who = Who(provider=spec.id, model=model)
    client = who.open()
    note(title(client))
    return who, client


def title(client: AiClient) -> str:
    """
    Name provider and model, as far as they are known before anybody is asked.
    """
    model = model_of(client)
    return f"{client.provider}, {model}" if model else client.provider


def model_of(client: AiClient) -> str:
    """
    Name the model that is asked; empty: the server decides, or nobody has said.
    """
    from ai_lib import ConfigurationError

    try:
        model = client.default_chat_model()
    except ConfigurationError:
        return ""
    return "" if model == "auto" else model
