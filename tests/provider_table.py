"""
Write ``docs/providers.md`` from the catalogue: ``python tests/provider_table.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

COMMAND = "made anew by: python tests/provider_table.py"
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "providers.md"

_HEAD = """\
# Providers

<!-- Written by tests/provider_table.py from the catalogue: change that, and run it. -->

{count} providers are built in. `AiClient("groq")` or `AiClient(Provider.GROQ)` picks one; case, `-`
and `_` do not matter, and the names in brackets will do as well.

```python
from ai_lib import AiClient

with AiClient("groq") as client:
    print(client.provider, client.default_chat_model())
    for model in client.list_models():
        print(model.id, model.context_window)
```

```text
groq openai/gpt-oss-20b
openai/gpt-oss-20b 131072
openai/gpt-oss-120b 131072
```

`list_models()` gives a `ModelInfo` for each model that the provider lists, all pages of them: `id`
(the name to ask for), `name`, `created`, `owner`, `context_window`, `max_output_tokens`, as far as
the provider tells, and its own entry as `raw`. `get_model_info(model)` gives one of them, or raises
`ModelNotFoundError`.

A provider that is not here and speaks a format that is: [adding a provider](adding-a-provider.md).

## Keys and models

The key is the first of these variables that is set, if `api_key=` is not given. The model is what
`"auto"` or an empty name means; a variable of the [last table](#addresses-and-settings) or `model=`
comes before it.

"""

_CAPABILITIES = """\
## What they take

What a provider as a whole can take; a model of it may take less. It is what this library knows, not
a promise of the provider: what a model refuses is an [error](errors.md) in its own words, and what
is known to be refused is [left out, with a warning](requests.md#what-a-provider-does-not-take).

"""

_SETTINGS = """\
## Addresses and settings

Each address can be changed by `base_url=` or the variable. Words in braces are settings: they come
from `provider_options={...}`, else from the variables behind them.

"""

_VERIFIED = """\
## How this was checked

- *recorded traffic*: against exchanges recorded with the provider itself.
- *real server*: against a running server of that kind.
- *documentation*: written from the provider's own documentation, read in November 2026, and not
  tried there.

"""


def page():
    """
    Make the whole page.
    """
    from ai_lib._core.catalog import CATALOG

    head = _HEAD.replace("{count}", str(len(CATALOG)))
    parts = [
        head + _table(_KEYS, map(_key_row, CATALOG)),
        _CAPABILITIES + _table(_capability_heads(), map(_capability_row, CATALOG)),
        _SETTINGS + _table(_ADDRESSES, map(_address_row, CATALOG)),
        _VERIFIED + _ends(CATALOG),
    ]
    return "\n".join(parts).rstrip() + "\n"


_KEYS = ("provider", "name", "key", "model of `auto`", "checked by")
_ADDRESSES = (
    "provider",
    "format",
    "address",
    "variables: address",
    "model",
    "settings",
)


def _table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _code(*words):
    return ", ".join(f"`{word}`" for word in words)


def _key_row(spec):
    aliases = f" ({', '.join(spec.aliases)})" if spec.aliases else ""
    listed = "the first one listed" if spec.first_listed_model else "to be named"
    model = _code(spec.default_model) if spec.default_model else listed
    link = f"[{spec.name or spec.id}]({spec.docs_url})"
    return [f"`{spec.id}`{aliases}", link, _key(spec), model, spec.verified]


def _key(spec):
    ways = []
    if spec.api_key_env:
        ways.append(_code(*spec.api_key_env))
    if spec.token_env:
        ways.append(f"a token: {_code(*spec.token_env)}")
    if spec.aws_service:
        ways.append(f"credentials of AWS (extra `{spec.aws_service}`)")
    elif not spec.key_required:
        ways.append("none needed")
    return "; ".join(ways)


def _capability_heads():
    from ai_lib._core.providers import CAPABILITIES

    return ("provider", *(one.replace("_", " ") for one in CAPABILITIES))


def _capability_row(spec):
    from ai_lib._core.providers import CAPABILITIES

    marks = ("yes" if one in spec.capabilities else "" for one in CAPABILITIES)
    return [f"`{spec.id}`", *marks]


def _address_row(spec):
    settings = [f"`{name}`: {_code(*names)}" for name, names in spec.options.items()]
    dialects = (spec.dialect, *spec.other_dialects)
    address = "a free port of this machine" if spec.embedded else _code(spec.base_url)
    return [
        f"`{spec.id}`",
        _code(*dialects),
        address,
        _code(*spec.base_url_env),
        _code(*spec.model_env),
        "; ".join(settings),
    ]


def _ends(catalog):
    ends = [f"- `{spec.id}`: {spec.sunset}\n" for spec in catalog if spec.sunset]
    return "## What ends\n\n" + "".join(ends) if ends else ""


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # this checkout's catalogue, whatever is installed
    PAGE.write_text(page(), encoding="utf-8")
