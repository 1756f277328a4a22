"""
Add a gateway of your own, or any server that speaks a known format, under a name.

    EXAMPLE_BASE_URL=https://llm.example.com/v1 EXAMPLE_API_KEY=... python examples/gateway.py
"""

from ai_lib import (
    AiClient,
    ChatCompletionRequest,
    ProviderSpec,
    Quirks,
    register_provider,
)

GATEWAY = ProviderSpec(
    id="gateway",
    dialect="openai_chat",
    base_url="https://llm.example.com/v1",
    base_url_env="EXAMPLE_BASE_URL",
    api_key_env="EXAMPLE_API_KEY",
    default_model="our-model",
    headers={"x-team": "search"},
    quirks=Quirks(drop=("seed",)),  # how it differs from the plain format, as data
)


def main() -> None:
    register_provider(GATEWAY)
    request = ChatCompletionRequest("auto", "Name three primes.", seed=7)
    with AiClient("gateway") as client:
        print(client.prepare(request).to_curl())  # what would be sent, the key left out
        response = client.chat_completion(request)
    print(response.text)
    print(*response.warnings, sep="\n")


if __name__ == "__main__":
    main()
