"""
Every built-in provider: data only.

Each record is written from the provider's own documentation, read 2026-11, and from recorded traffic
where there is some; ``verified`` says which. Names of variables: the vendor's own beside
``<PREFIX>_API_KEY``, ``<PREFIX>_BASE_URL`` and ``<PREFIX>_MODEL``.
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from ai_lib._core.providers import BatchTerms, ProviderSpec, Quirks


class Provider(StrEnum):
    """
    The built-in providers. Wherever one is asked for, its id as a string will do.
    """

    OPENAI = "openai"
    GROQ = "groq"
    MISTRAL = "mistral"
    AZURE_OPENAI = "azure_openai"
    ANTHROPIC = "anthropic"
    DEEPSEEK = "deepseek"
    QWEN = "qwen"
    BAIDU_WENXIN = "baidu_wenxin"
    TENCENT_HUNYUAN = "tencent_hunyuan"
    IFLYTEK_SPARK = "iflytek_spark"
    MOONSHOT = "moonshot"
    HUGGINGFACE = "huggingface"
    TOGETHER = "together"
    XAI = "xai"
    OPENROUTER = "openrouter"
    REPLICATE = "replicate"
    PERPLEXITY = "perplexity"
    AI21 = "ai21"
    ZHIPUAI = "zhipuai"
    MINIMAX = "minimax"
    GEMINI = "gemini"
    VERTEX = "vertex"
    BEDROCK = "bedrock"
    COHERE = "cohere"
    OLLAMA = "ollama"
    LLAMACPP = "llamacpp"
    VLLM = "vllm"
    LMSTUDIO = "lmstudio"
    FIREWORKS = "fireworks"
    CEREBRAS = "cerebras"
    SAMBANOVA = "sambanova"
    NVIDIA = "nvidia"
    CLOUDFLARE = "cloudflare"
    DATABRICKS = "databricks"
    NEBIUS = "nebius"
    DEEPINFRA = "deepinfra"
    ZAI = "zai"
    LOCAL = "local"


_RECORDED = "recorded traffic"

# What most servers of open models can do, and all that OpenAI's format can carry.
_OPEN_MODELS = (
    "tools",
    "images",
    "json_mode",
    "json_schema",
    "reasoning",
    "list_models",
)
_ALL = (*_OPEN_MODELS, "audio", "files", "logprobs")

_JSON_ONLY = ("text", "json_object")
_LOGPROBS = ("logprobs", "top_logprobs")
_PENALTIES = ("frequency_penalty", "presence_penalty")

_GLM_ERRORS = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), "auth"),
    **dict.fromkeys(("1110", "1111", "1112"), "permission"),
    **dict.fromkeys(("1113", "1304", "1308", "1309", "1310"), "quota"),
    **dict.fromkeys(("1210", "1212", "1213", "1214", "1215"), "invalid"),
    **dict.fromkeys(("1211", "1221", "1222"), "model"),
    **dict.fromkeys(("1230", "1234", "500"), "server"),
    "1261": "context",
    "1301": "content",
    "1302": "rate",
    "1303": "rate",
    "1305": "overloaded",
}

# Zhipu and Z.ai: one contract, two hosts, separate accounts.
_GLM = Quirks(
    drop=("seed", "n", "metadata", "parallel_tool_calls", *_LOGPROBS, *_PENALTIES),
    rename={"user": "user_id"},
    ranges={"temperature": (0, 1), "top_p": (0.01, 1)},
    families="glm",
    max_stop=4,
    stream_usage=False,
    tool_choice={"none": None},
    response_formats=_JSON_ONLY,
    empty_content="",
    replay="reasoning_content",
    error_codes=_GLM_ERRORS,
)

_SPARK_ERRORS = {
    **dict.fromkeys(("10003", "10004", "10005", "10163"), "invalid"),
    **dict.fromkeys(("10006", "10007", "11202", "11203"), "rate"),
    **dict.fromkeys(("10008", "10110"), "overloaded"),
    **dict.fromkeys(("10013", "10014", "10019"), "content"),
    "10907": "context",
    "11200": "permission",
    "11201": "quota",
}

_MINIMAX_ERRORS = {
    **dict.fromkeys(("1000", "1013", "1024", "1033"), "server"),
    **dict.fromkeys(("1002", "1041", "2045"), "rate"),
    **dict.fromkeys(("1004", "2049"), "auth"),
    **dict.fromkeys(("1008", "2056"), "quota"),
    **dict.fromkeys(("1026", "1027"), "content"),
    **dict.fromkeys(("1042", "2013"), "invalid"),
    "1001": "timeout",
    "1039": "context",
}

# Alibaba: what runs out under this name is the tokens of a minute.
_QWEN_ERRORS = {"insufficient_quota": "rate"}

_MISTRAL_ERRORS = {"1500": "model", "invalid_model": "model", "3505": "rate"}

_COHERE_ERRORS = {"too_many_tokens": "context", "invalid_tool_generation": "invalid"}

_OPENAI = Quirks(
    drop=("top_k",),
    # Fewer are refused in the Responses format; Chat does not look at it.
    ranges={"max_tokens": (16, 2**31)},
    families="openai",
    tools_with_effort="openai_responses",
    max_tokens_field="max_completion_tokens",
    max_stop=4,
    developer_role=True,
)

CATALOG: tuple[ProviderSpec, ...] = (
    ProviderSpec(
        id="openai",
        name="OpenAI",
        aliases=("open_ai", "oai"),
        dialect="openai_chat",
        base_url="https://api.openai.com/v1",
        base_url_env=("OPENAI_BASE_URL",),
        api_key_env=("OPENAI_API_KEY",),
        model_env=("OPENAI_MODEL",),
        default_model="gpt-6-luna",
        capabilities=_ALL,
        other_dialects={"openai_responses": "https://api.openai.com/v1"},
        # openai-python, types/batch_create_params.py, read 2026-11; that a file is for one model says the guide.
        batch=BatchTerms(
            api="openai",
            endpoints={
                "openai_chat": "/v1/chat/completions",
                "openai_responses": "/v1/responses",
            },
        ),
        verified=_RECORDED,
        docs_url="https://developers.openai.com/api/reference",
        quirks=_OPENAI,
    ),
    ProviderSpec(
        id="groq",
        name="Groq",
        dialect="openai_chat",
        base_url="https://api.groq.com/openai/v1",
        base_url_env=("GROQ_BASE_URL",),
        api_key_env=("GROQ_API_KEY",),
        model_env=("GROQ_MODEL",),
        default_model="openai/gpt-oss-20b",
        capabilities=("tools", "json_mode", "json_schema", "reasoning", "list_models"),
        other_dialects={"openai_responses": "https://api.groq.com/openai/v1"},
        # groq-python, types/batch_create_params.py, read 2026-11: 100 MB, from 24h to 7d.
        batch=BatchTerms(api="openai", max_bytes=100_000_000),
        verified=_RECORDED,
        docs_url="https://console.groq.com/docs/api-reference",
        quirks=Quirks(
            drop=("top_k", "metadata", *_LOGPROBS, *_PENALTIES),
            ranges={"n": (1, 1)},
            families="groq",
            max_tokens_field="max_completion_tokens",
            stream_usage=False,
            message_names=False,
        ),
    ),
    ProviderSpec(
        id="mistral",
        name="Mistral AI",
        aliases=("mistralai",),
        dialect="openai_chat",
        base_url="https://api.mistral.ai/v1",
        base_url_env=("MISTRAL_BASE_URL",),
        api_key_env=("MISTRAL_API_KEY",),
        model_env=("MISTRAL_MODEL",),
        default_model="mistral-small-latest",
        capabilities=(*_OPEN_MODELS, "audio", "files"),
        # "Batch Processing" and the release note on inline batching of 2026-01, read 2026-11.
        batch=BatchTerms(
            api="mistral",
            max_requests=1_000_000,
            inline_requests=100,
            window="24",
        ),
        verified=_RECORDED,
        docs_url="https://docs.mistral.ai/api",
        quirks=Quirks(
            # What it does not know it refuses with 422.
            drop=("top_k", "user", *_LOGPROBS),
            rename={"seed": "random_seed"},
            ranges={"temperature": (0, 1.5)},
            families="mistral",
            stream_usage=False,
            tool_names=True,
            tool_id_length=9,
            tool_choice={"required": "any"},
            empty_content="",
            replay="thinking",
            document_urls=True,
            remote_files=True,
            bare_audio=True,
            error_codes=_MISTRAL_ERRORS,
        ),
    ),
    ProviderSpec(
        id="azure_openai",
        name="Azure OpenAI",
        aliases=("azure", "azureopenai"),
        dialect="openai_chat",
        base_url="https://{resource}.openai.azure.com/openai/v1",
        base_url_env=("AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"),
        api_key_env=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        model_env=("AZURE_OPENAI_MODEL", "AZURE_OPENAI_DEPLOYMENT"),
        key_header="api-key",
        key_prefix="",
        # A token of Entra ID, for the scope https://cognitiveservices.azure.com/.default: a JWT.
        token_env=("AZURE_OPENAI_AD_TOKEN",),
        token_pattern=r"eyJ[\w-]+\.[\w-]+\.[\w-]*",  # noqa: S106 - no password: what one looks like
        options={
            "resource": ("AZURE_RESOURCE_NAME", "AZURE_OPENAI_RESOURCE"),
            "api_version": ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
            # The model behind a deployment, where its name does not tell.
            "base_model": ("AZURE_OPENAI_BASE_MODEL",),
        },
        capabilities=_ALL,
        other_dialects={
            "openai_responses": "https://{resource}.openai.azure.com/openai/v1"
        },
        # "Batch deployments", read 2026-11: a job's endpoint is /chat/completions, whatever its lines ask for.
        batch=BatchTerms(
            api="openai",
            endpoints={
                "openai_chat": "/chat/completions",
                "openai_responses": "/v1/responses",
            },
            endpoint="/chat/completions",
            # "We aim to process batch requests within 24 hours; we do not expire the jobs that take longer."
            hours=float("inf"),
        ),
        verified=_RECORDED,
        docs_url="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
        # OpenAI sums reasoning up only for organisations that were verified; Azure for all.
        quirks=attrs.evolve(_OPENAI, deployments=True, reasoning_summary="auto"),
    ),
    ProviderSpec(
        id="anthropic",
        name="Anthropic",
        aliases=("claude", "anthropic_claude"),
        dialect="anthropic_messages",
        base_url="https://api.anthropic.com/v1",
        base_url_env=("ANTHROPIC_BASE_URL",),
        base_url_suffixes={"ANTHROPIC_BASE_URL": "/v1"},
        api_key_env=("ANTHROPIC_API_KEY", "CLAUDE_API_KEY"),
        model_env=("ANTHROPIC_MODEL", "CLAUDE_MODEL"),
        default_model="claude-haiku-5-5",
        key_header="x-api-key",
        key_prefix="",
        headers={"anthropic-version": "2023-06-01"},
        capabilities=(
            "tools",
            "images",
            "files",
            "json_schema",
            "reasoning",
            "list_models",
        ),
        # "Batch processing", read 2026-11: 100,000 requests or 256 MB, of any models.
        batch=BatchTerms(
            api="anthropic",
            endpoints={"anthropic_messages": ""},
            one_model=False,
            max_requests=100_000,
            max_bytes=256_000_000,
        ),
        verified=_RECORDED,
        docs_url="https://platform.claude.com/docs/en/api/messages",
        quirks=Quirks(
            ranges={"temperature": (0, 1)}, families="anthropic", system_turns=True
        ),
    ),
    ProviderSpec(
        id="deepseek",
        name="DeepSeek",
        dialect="openai_chat",
        base_url="https://api.deepseek.com",
        base_url_env=("DEEPSEEK_BASE_URL",),
        api_key_env=("DEEPSEEK_API_KEY",),
        model_env=("DEEPSEEK_MODEL",),
        default_model="deepseek-flash",
        capabilities=(
            "tools",
            "images",
            "json_mode",
            "reasoning",
            "logprobs",
            "list_models",
        ),
        other_base_urls={"beta": "https://api.deepseek.com/beta"},
        other_dialects={
            "openai_responses": "https://api.deepseek.com",
            "anthropic_messages": "https://api.deepseek.com/anthropic/v1",
        },
        verified=_RECORDED,
        docs_url="https://api-docs.deepseek.com/",
        quirks=Quirks(
            # A seed is accepted, and ignored.
            drop=("n", "top_k", "user", "metadata"),
            efforts={"none": {"thinking": {"type": "disabled"}}},
            response_formats=_JSON_ONLY,
            empty_content="",
            replay="reasoning_content",
        ),
    ),
    ProviderSpec(
        id="qwen",
        name="Alibaba Qwen (DashScope)",
        aliases=("dashscope", "alibaba", "tongyi", "qianwen"),
        dialect="openai_chat",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        base_url_env=("DASHSCOPE_BASE_URL",),
        api_key_env=("DASHSCOPE_API_KEY", "QWEN_API_KEY", "ALIBABA_API_KEY"),
        model_env=("DASHSCOPE_MODEL", "QWEN_MODEL"),
        default_model="qwen-plus",
        capabilities=(*_OPEN_MODELS, "audio", "logprobs"),
        other_base_urls={
            "international": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "us": "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
        },
        other_dialects={
            "anthropic_messages": "https://dashscope.aliyuncs.com/apps/anthropic/v1"
        },
        # "OpenAI Batch接口兼容", read 2026-11: 50,000 requests, 100 MB.
        batch=BatchTerms(api="openai", max_bytes=100_000_000),
        verified=_RECORDED,
        docs_url="https://help.aliyun.com/zh/model-studio/compatibility-of-openai-with-dashscope",
        quirks=Quirks(
            drop=("frequency_penalty", "metadata", "user"),
            ranges={"n": (1, 4)},
            efforts={"none": {"enable_thinking": False}},
            families="qwen",
            tool_choice={"required": None},
            empty_content="",
            error_codes=_QWEN_ERRORS,
        ),
    ),
    ProviderSpec(
        id="baidu_wenxin",
        name="Baidu Wenxin / ERNIE (Qianfan v2)",
        aliases=("baidu", "ernie", "wenxin", "qianfan"),
        dialect="openai_chat",
        base_url="https://qianfan.baidubce.com/v2",
        base_url_env=("BAIDU_WENXIN_BASE_URL", "QIANFAN_BASE_URL"),
        api_key_env=("QIANFAN_API_KEY", "BAIDU_WENXIN_API_KEY", "BAIDU_API_KEY"),
        model_env=("BAIDU_WENXIN_MODEL", "ERNIE_MODEL"),
        default_model="ernie-4.5-turbo-128k",
        capabilities=_OPEN_MODELS,
        docs_url="https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb",
        quirks=Quirks(
            drop=("n", "metadata", *_LOGPROBS),
            efforts={"none": {"enable_thinking": False}},
            max_tokens_field="max_completion_tokens",
            max_stop=4,
            empty_content="",
        ),
    ),
    ProviderSpec(
        id="tencent_hunyuan",
        name="Tencent Hunyuan",
        aliases=("hunyuan", "tencent", "tokenhub"),
        dialect="openai_chat",
        base_url="https://tokenhub.tencentmaas.com/v1",
        base_url_env=("TENCENT_HUNYUAN_BASE_URL",),
        api_key_env=("TENCENT_HUNYUAN_API_KEY", "HUNYUAN_API_KEY", "TOKENHUB_API_KEY"),
        model_env=("TENCENT_HUNYUAN_MODEL", "HUNYUAN_MODEL"),
        default_model="hy3-preview",
        capabilities=("tools", "json_mode", "json_schema", "reasoning", "list_models"),
        other_base_urls={
            "legacy": "https://api.hunyuan.cloud.tencent.com/v1",
            "international": "https://tokenhub-intl.tencentcloudmaas.com/v1",
        },
        docs_url="https://cloud.tencent.com/document/product/1823/132252",
        quirks=Quirks(
            drop=("n", "metadata", *_LOGPROBS),
            base_urls={"hunyuan-.*": "https://api.hunyuan.cloud.tencent.com/v1"},
            empty_content="",
            replay="reasoning_content",
        ),
    ),
    ProviderSpec(
        id="iflytek_spark",
        name="iFlytek Spark",
        aliases=("spark", "iflytek", "xfyun"),
        dialect="openai_chat",
        base_url="https://spark-api-open.xf-yun.com/v2",
        base_url_env=("IFLYTEK_BASE_URL", "SPARK_BASE_URL"),
        api_key_env=("IFLYTEK_API_KEY", "SPARK_API_PASSWORD", "XFYUN_API_PASSWORD"),
        model_env=("IFLYTEK_MODEL", "SPARK_MODEL"),
        default_model="spark-x",
        models_path=None,
        capabilities=("tools", "json_mode", "reasoning"),
        other_base_urls={"v1": "https://spark-api-open.xf-yun.com/v1"},
        docs_url="https://www.xfyun.cn/doc/spark/X1http.html",
        quirks=Quirks(
            drop=("seed", "n", "stop", "metadata", "parallel_tool_calls", *_LOGPROBS),
            ranges={"temperature": (0, 2)},
            efforts={
                "none": {"thinking": {"type": "disabled"}},
                "*": {"thinking": {"type": "enabled"}},
            },
            families="spark",
            stream_usage=False,
            tool_choice={"required": None},
            strict_tools=False,
            response_formats=_JSON_ONLY,
            empty_content="",
            base_urls={
                r"lite|generalv3(\.5)?|pro-128k|max-32k|4\.0ultra": (
                    "https://spark-api-open.xf-yun.com/v1"
                )
            },
            error_codes=_SPARK_ERRORS,
        ),
    ),
    ProviderSpec(
        id="moonshot",
        name="Moonshot AI (Kimi)",
        aliases=("kimi", "moonshotai"),
        dialect="openai_chat",
        base_url="https://api.moonshot.ai/v1",
        base_url_env=("MOONSHOT_BASE_URL",),
        api_key_env=("MOONSHOT_API_KEY", "KIMI_API_KEY"),
        model_env=("MOONSHOT_MODEL", "KIMI_MODEL"),
        default_model="kimi-k3",
        capabilities=_OPEN_MODELS,
        other_base_urls={"china": "https://api.moonshot.cn/v1"},
        verified=_RECORDED,
        docs_url="https://platform.kimi.ai/docs/api/chat",
        quirks=Quirks(
            drop=("seed", "top_k", "user", "metadata", *_LOGPROBS),
            ranges={"temperature": (0, 1)},
            families="moonshot",
            max_tokens_field="max_completion_tokens",
            strict_tools=False,
            empty_content="",
            replay="reasoning_content",
            remote_images=False,
        ),
    ),
    ProviderSpec(
        id="huggingface",
        name="Hugging Face Inference Providers",
        aliases=("hf", "hugging_face"),
        dialect="openai_chat",
        base_url="https://router.huggingface.co/v1",
        base_url_env=("HUGGINGFACE_BASE_URL", "HF_BASE_URL"),
        api_key_env=("HF_TOKEN", "HUGGINGFACE_API_KEY", "HUGGINGFACEHUB_API_TOKEN"),
        model_env=("HUGGINGFACE_MODEL", "HF_MODEL"),
        default_model="openai/gpt-oss-120b",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        other_dialects={"openai_responses": "https://router.huggingface.co/v1"},
        verified=_RECORDED,
        docs_url="https://huggingface.co/docs/inference-providers",
        quirks=Quirks(drop=("metadata",)),
    ),
    ProviderSpec(
        id="together",
        name="Together AI",
        aliases=("together_ai", "togetherai"),
        dialect="openai_chat",
        base_url="https://api.together.ai/v1",
        base_url_env=("TOGETHER_BASE_URL",),
        api_key_env=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        model_env=("TOGETHER_MODEL",),
        default_model="openai/gpt-oss-20b",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        other_base_urls={"classic": "https://api.together.xyz/v1"},
        # "Batch inference", and the reference of POST /batches and POST /files/upload, read 2026-11.
        batch=BatchTerms(
            api="openai",
            max_bytes=100_000_000,
            upload_path="/files/upload",
            upload_fields={"purpose": "batch-api", "file_name": "batch.jsonl"},
        ),
        verified=_RECORDED,
        docs_url="https://docs.together.ai/reference/chat-completions-1",
        quirks=Quirks(drop=("metadata", "user"), logprobs_count=True),
    ),
    ProviderSpec(
        id="xai",
        name="xAI Grok",
        aliases=("grok", "xai_grok"),
        dialect="openai_chat",
        base_url="https://api.x.ai/v1",
        base_url_env=("XAI_BASE_URL", "GROK_BASE_URL"),
        api_key_env=("XAI_API_KEY", "GROK_API_KEY"),
        model_env=("XAI_MODEL", "GROK_MODEL"),
        default_model="grok-4.3",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        other_dialects={"openai_responses": "https://api.x.ai/v1"},
        verified=_RECORDED,
        docs_url="https://docs.x.ai/docs/api-reference",
        quirks=Quirks(
            drop=("top_k", "metadata"),
            families="xai",
            max_tokens_field="max_completion_tokens",
        ),
    ),
    ProviderSpec(
        id="openrouter",
        name="OpenRouter",
        dialect="openai_chat",
        base_url="https://openrouter.ai/api/v1",
        base_url_env=("OPENROUTER_BASE_URL",),
        api_key_env=("OPENROUTER_API_KEY",),
        model_env=("OPENROUTER_MODEL",),
        default_model="openai/gpt-6-luna",
        capabilities=_ALL,
        other_dialects={
            "openai_responses": "https://openrouter.ai/api/v1",
            "anthropic_messages": "https://openrouter.ai/api/v1",
        },
        verified=_RECORDED,
        docs_url="https://openrouter.ai/docs/api-reference/overview",
        # What the model behind it does not take it leaves out itself.
        quirks=Quirks(
            ranges={"n": (1, 1)},
            families="openrouter",
            stream_usage=False,
            remote_files=True,
            replay="reasoning_details",
        ),
    ),
    ProviderSpec(
        id="replicate",
        name="Replicate",
        dialect="replicate",
        base_url="https://api.replicate.com/v1",
        base_url_env=("REPLICATE_BASE_URL",),
        api_key_env=("REPLICATE_API_TOKEN", "REPLICATE_API_KEY"),
        model_env=("REPLICATE_MODEL",),
        default_model="meta/meta-llama-3-70b-instruct",
        models_path="/collections/language-models",
        capabilities=("images", "list_models"),
        verified=_RECORDED,
        docs_url="https://replicate.com/docs/reference/http",
        quirks=Quirks(domains=("replicate.com", "replicate.net")),
    ),
    ProviderSpec(
        id="perplexity",
        name="Perplexity",
        aliases=("pplx", "sonar"),
        dialect="openai_responses",
        base_url="https://api.perplexity.ai/v1",
        base_url_env=("PERPLEXITY_BASE_URL",),
        api_key_env=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        model_env=("PERPLEXITY_MODEL",),
        default_model="perplexity/sonar",
        capabilities=("tools", "images", "json_schema", "reasoning", "list_models"),
        docs_url="https://docs.perplexity.ai/docs/agent-api",
        quirks=Quirks(
            drop=(
                "temperature",
                "top_p",
                "user",
                "metadata",
                "tool_choice",
                "parallel_tool_calls",
                *_LOGPROBS,
            ),
            responses_names={"store": None, "text.format": "response_format"},
            efforts={"none": {}, "max": {"reasoning_effort": "xhigh"}},
            families="perplexity",
            developer_role=True,
            tool_names=True,
            response_formats=("text", "json_schema"),
        ),
    ),
    ProviderSpec(
        id="ai21",
        name="AI21",
        aliases=("ai21_labs", "jamba"),
        dialect="openai_chat",
        base_url="https://api.ai21.com/studio/v1",
        base_url_env=("AI21_BASE_URL",),
        api_key_env=("AI21_API_KEY",),
        model_env=("AI21_MODEL",),
        default_model="jamba-large",
        capabilities=("tools", "json_mode", "list_models"),
        sunset="AI21 announced the end of its public Jamba API for 2026-08-09.",
        docs_url="https://docs.ai21.com/august-deprecation-notice",
        quirks=Quirks(
            # What it does not know it refuses with 422.
            drop=(
                "seed",
                "user",
                "top_k",
                "metadata",
                "tool_choice",
                "parallel_tool_calls",
                "reasoning_effort",
                *_LOGPROBS,
                *_PENALTIES,
            ),
            stream_usage=False,
            message_names=False,
            strict_tools=False,
            response_formats=_JSON_ONLY,
            empty_content="",
        ),
    ),
    ProviderSpec(
        id="zhipuai",
        name="ZhipuAI (GLM, China)",
        aliases=("zhipu", "zhipu_ai", "glm", "bigmodel"),
        dialect="openai_chat",
        base_url="https://open.bigmodel.cn/api/paas/v4",
        base_url_env=("ZHIPU_BASE_URL",),
        api_key_env=("ZHIPU_API_KEY", "ZHIPUAI_API_KEY", "BIGMODEL_API_KEY"),
        model_env=("ZHIPU_MODEL", "GLM_MODEL"),
        default_model="glm-5.3",
        capabilities=("tools", "images", "json_mode", "reasoning", "list_models"),
        other_base_urls={"coding_plan": "https://open.bigmodel.cn/api/coding/paas/v4"},
        # The reference of POST /paas/v4/batches, read 2026-11; it names neither a window nor a size.
        batch=BatchTerms(
            api="openai",
            endpoints={"openai_chat": "/v4/chat/completions"},
            max_bytes=100_000_000,
            window="",
        ),
        verified=_RECORDED,
        docs_url="https://docs.bigmodel.cn/api-reference",
        quirks=_GLM,
    ),
    ProviderSpec(
        id="minimax",
        name="MiniMax",
        dialect="openai_chat",
        base_url="https://api.minimax.io/v1",
        base_url_env=("MINIMAX_BASE_URL",),
        api_key_env=("MINIMAX_API_KEY",),
        model_env=("MINIMAX_MODEL",),
        default_model="MiniMax-M3",
        capabilities=("tools", "images", "reasoning", "list_models"),
        other_base_urls={"china": "https://api.minimaxi.com/v1"},
        other_dialects={"anthropic_messages": "https://api.minimax.io/anthropic/v1"},
        verified=_RECORDED,
        docs_url="https://platform.minimax.io/docs/api-reference/text-openai-api",
        quirks=Quirks(
            drop=(
                "seed",
                "stop",
                "metadata",
                "tool_choice",
                "parallel_tool_calls",
                *_LOGPROBS,
                *_PENALTIES,
            ),
            ranges={"temperature": (0.01, 1), "n": (1, 1)},
            efforts={"none": {"thinking": {"type": "disabled"}}, "*": {}},
            body={"reasoning_split": True},
            max_tokens_field="max_completion_tokens",
            strict_tools=False,
            response_formats=(),
            empty_content="",
            replay="reasoning_details",
            think_tags=True,
            error_codes=_MINIMAX_ERRORS,
        ),
    ),
    ProviderSpec(
        id="gemini",
        name="Google Gemini",
        aliases=("google", "google_gemini", "google_ai"),
        dialect="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        base_url_env=("GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"),
        api_key_env=(
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
        ),
        model_env=("GEMINI_MODEL",),
        default_model="gemini-3.8-flash",
        key_header="x-goog-api-key",
        key_prefix="",
        capabilities=_ALL,
        other_dialects={
            "openai_chat": "https://generativelanguage.googleapis.com/v1beta/openai"
        },
        # "Batch API", read 2026-11: 2 GB in a file.
        batch=BatchTerms(
            api="gemini",
            endpoints={"gemini": ""},
            max_bytes=2_000_000_000,
            window="",
            # A day is its aim; jobs were pending for longer: googleapis/python-genai, issues 1482 and 2974.
            hours=48,
        ),
        verified=_RECORDED,
        docs_url="https://ai.google.dev/api/generate-content",
        quirks=Quirks(drop=("metadata",), families="gemini", max_stop=5),
    ),
    ProviderSpec(
        id="vertex",
        name="Google Vertex AI",
        aliases=("vertex_ai", "google_vertex"),
        dialect="gemini",
        base_url=(
            "https://aiplatform.googleapis.com/v1/projects/{project}"
            "/locations/{location}/publishers/google"
        ),
        base_url_env=("VERTEX_BASE_URL",),
        api_key_env=("VERTEX_API_KEY", "GOOGLE_VERTEX_API_KEY"),
        model_env=("VERTEX_MODEL",),
        default_model="gemini-3.8-flash",
        # Google's API keys begin so; anything else is the token of a sign-in.
        key_header="x-goog-api-key",
        key_prefix="",
        token_pattern=r"(?!AIza|AQ\.).*",  # noqa: S106 - says which keys are tokens
        options={
            "project": ("GOOGLE_CLOUD_PROJECT",),
            "location": ("GOOGLE_CLOUD_LOCATION",),
        },
        models_path=None,
        capabilities=[one for one in _ALL if one != "list_models"],
        verified=_RECORDED,
        docs_url="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        quirks=Quirks(
            families="vertex",
            max_stop=5,
            location_hosts={
                "global": "aiplatform.googleapis.com",
                "us|eu": "aiplatform.{location}.rep.googleapis.com",
                "[a-z0-9-]+": "{location}-aiplatform.googleapis.com",
            },
        ),
    ),
    ProviderSpec(
        id="bedrock",
        name="Amazon Bedrock",
        aliases=("aws_bedrock", "amazon_bedrock"),
        dialect="bedrock_converse",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        base_url_env=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "BEDROCK_BASE_URL"),
        api_key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        model_env=("BEDROCK_MODEL",),
        default_model="us.anthropic.claude-haiku-5-5",
        aws_service="bedrock",
        options={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        models_path="/foundation-models",
        capabilities=(
            "tools",
            "images",
            "files",
            "json_schema",
            "reasoning",
            "list_models",
        ),
        verified=_RECORDED,
        docs_url="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        quirks=Quirks(
            ranges={"temperature": (0, 1)},
            families="bedrock",
            remote_images=False,
        ),
    ),
    ProviderSpec(
        id="cohere",
        name="Cohere",
        aliases=("cohere_ai",),
        dialect="cohere_v2",
        base_url="https://api.cohere.com",
        base_url_env=("COHERE_BASE_URL", "CO_API_URL"),
        api_key_env=("COHERE_API_KEY", "CO_API_KEY"),
        model_env=("COHERE_MODEL",),
        default_model="command-a-03-2025",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        verified=_RECORDED,
        docs_url="https://docs.cohere.com/reference/chat",
        quirks=Quirks(
            ranges={
                "top_p": (0.01, 0.99),
                "top_k": (0, 500),
                "frequency_penalty": (0, 1),
                "presence_penalty": (0, 1),
            },
            families="cohere",
            max_stop=5,
            error_codes=_COHERE_ERRORS,
        ),
    ),
    ProviderSpec(
        id="ollama",
        name="Ollama",
        dialect="ollama",
        base_url="http://localhost:11434",
        base_url_env=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
        api_key_env=("OLLAMA_API_KEY",),
        model_env=("OLLAMA_MODEL",),
        first_listed_model=True,
        key_required=False,
        capabilities=(*_OPEN_MODELS, "logprobs"),
        other_base_urls={"cloud": "https://ollama.com"},
        other_dialects={
            "openai_chat": "http://localhost:11434/v1",
            "anthropic_messages": "http://localhost:11434/v1",
        },
        verified=_RECORDED,
        docs_url="https://docs.ollama.com/api",
        quirks=Quirks(families="ollama", remote_images=False),
    ),
    ProviderSpec(
        id="llamacpp",
        name="llama.cpp server",
        aliases=("llama_cpp", "llama_server"),
        dialect="openai_chat",
        base_url="http://localhost:8080/v1",
        base_url_env=("LLAMACPP_BASE_URL",),
        api_key_env=("LLAMACPP_API_KEY", "LLAMA_API_KEY"),
        model_env=("LLAMACPP_MODEL",),
        first_listed_model=True,
        key_required=False,
        capabilities=(*_OPEN_MODELS, "audio", "logprobs"),
        other_dialects={
            "openai_responses": "http://localhost:8080/v1",
            "anthropic_messages": "http://localhost:8080/v1",
        },
        verified=_RECORDED,
        docs_url="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
        # Where the Responses format has it, it is ignored; seen with the build of 2026-10.
        quirks=Quirks(responses_names={"text.format": "response_format"}),
    ),
    ProviderSpec(
        id="vllm",
        name="vLLM",
        dialect="openai_chat",
        base_url="http://localhost:8000/v1",
        base_url_env=("VLLM_BASE_URL",),
        api_key_env=("VLLM_API_KEY",),
        model_env=("VLLM_MODEL",),
        first_listed_model=True,
        key_required=False,
        capabilities=(*_OPEN_MODELS, "audio", "logprobs"),
        other_dialects={"openai_responses": "http://localhost:8000/v1"},
        docs_url="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    ProviderSpec(
        id="lmstudio",
        name="LM Studio",
        aliases=("lm_studio",),
        dialect="openai_chat",
        base_url="http://localhost:1234/v1",
        base_url_env=("LMSTUDIO_BASE_URL", "LM_STUDIO_BASE_URL"),
        api_key_env=("LM_STUDIO_API_KEY", "LMSTUDIO_API_KEY"),
        model_env=("LMSTUDIO_MODEL",),
        first_listed_model=True,
        key_required=False,
        capabilities=_OPEN_MODELS,
        other_dialects={"openai_responses": "http://localhost:1234/v1"},
        docs_url="https://lmstudio.ai/docs/developer/openai-compat",
    ),
    ProviderSpec(
        id="fireworks",
        name="Fireworks AI",
        dialect="openai_chat",
        base_url="https://api.fireworks.ai/inference/v1",
        base_url_env=("FIREWORKS_BASE_URL",),
        api_key_env=("FIREWORKS_API_KEY",),
        model_env=("FIREWORKS_MODEL",),
        default_model="accounts/fireworks/models/gpt-oss-20b",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        other_dialects={"openai_responses": "https://api.fireworks.ai/inference/v1"},
        docs_url="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        quirks=Quirks(drop=("metadata",), stream_usage=False),
    ),
    ProviderSpec(
        id="cerebras",
        name="Cerebras",
        dialect="openai_chat",
        base_url="https://api.cerebras.ai/v1",
        base_url_env=("CEREBRAS_BASE_URL",),
        api_key_env=("CEREBRAS_API_KEY",),
        model_env=("CEREBRAS_MODEL",),
        default_model="gpt-oss-120b",
        capabilities=(
            "tools",
            "json_mode",
            "json_schema",
            "reasoning",
            "logprobs",
            "list_models",
        ),
        verified=_RECORDED,
        docs_url="https://inference-docs.cerebras.ai/",
        quirks=Quirks(
            drop=("n", "top_k", "metadata", *_PENALTIES),
            max_tokens_field="max_completion_tokens",
        ),
    ),
    ProviderSpec(
        id="sambanova",
        name="SambaNova Cloud",
        dialect="openai_chat",
        base_url="https://api.sambanova.ai/v1",
        base_url_env=("SAMBANOVA_BASE_URL",),
        api_key_env=("SAMBANOVA_API_KEY",),
        model_env=("SAMBANOVA_MODEL",),
        default_model="gpt-oss-120b",
        capabilities=_OPEN_MODELS,
        docs_url="https://docs.sambanova.ai/",
        quirks=Quirks(
            drop=("n", "seed", "metadata", *_LOGPROBS, *_PENALTIES), think_tags=True
        ),
    ),
    ProviderSpec(
        id="nvidia",
        name="NVIDIA NIM",
        aliases=("nim", "nvidia_nim"),
        dialect="openai_chat",
        base_url="https://integrate.api.nvidia.com/v1",
        base_url_env=("NVIDIA_BASE_URL",),
        api_key_env=("NVIDIA_API_KEY", "NGC_API_KEY"),
        model_env=("NVIDIA_MODEL",),
        default_model="nvidia/nemotron-3-super-120b-a12b",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        docs_url="https://docs.api.nvidia.com/nim/reference/llm-apis",
        quirks=Quirks(drop=("metadata",)),
    ),
    ProviderSpec(
        id="cloudflare",
        name="Cloudflare Workers AI",
        aliases=("workers_ai", "cloudflare_workers_ai"),
        dialect="openai_chat",
        base_url="https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
        base_url_env=("CLOUDFLARE_BASE_URL",),
        api_key_env=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        model_env=("CLOUDFLARE_MODEL",),
        default_model="@cf/openai/gpt-oss-20b",
        options={"account_id": ("CLOUDFLARE_ACCOUNT_ID",)},
        models_path="../models/search",
        capabilities=_OPEN_MODELS,
        docs_url="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        quirks=Quirks(
            drop=("metadata",),
            model_id_key="name",  # its ids are not what a request names
            error_codes={"3036": "quota", "3040": "overloaded"},
        ),
    ),
    ProviderSpec(
        id="databricks",
        name="Databricks Model Serving",
        dialect="openai_chat",
        base_url="https://{workspace_host}/serving-endpoints",
        base_url_env=("DATABRICKS_BASE_URL",),
        api_key_env=("DATABRICKS_TOKEN", "DATABRICKS_API_KEY"),
        model_env=("DATABRICKS_MODEL",),
        default_model="databricks-gpt-oss-20b",
        options={"workspace_host": ("DATABRICKS_WORKSPACE_HOST", "DATABRICKS_HOST")},
        models_path=None,
        capabilities=("tools", "images", "json_mode", "json_schema", "reasoning"),
        other_base_urls={"ai_gateway": "https://{workspace_host}/ai-gateway/mlflow/v1"},
        verified=_RECORDED,
        docs_url="https://docs.databricks.com/machine-learning/foundation-model-apis/",
        quirks=Quirks(
            drop=("metadata",),
            empty_content="",
            error_codes={"request_limit_exceeded": "rate"},
        ),
    ),
    ProviderSpec(
        id="nebius",
        name="Nebius Token Factory",
        dialect="openai_chat",
        base_url="https://api.tokenfactory.nebius.com/v1",
        base_url_env=("NEBIUS_BASE_URL",),
        api_key_env=("NEBIUS_API_KEY",),
        model_env=("NEBIUS_MODEL",),
        default_model="openai/gpt-oss-120b",
        capabilities=(*_OPEN_MODELS, "logprobs"),
        other_base_urls={"old": "https://api.studio.nebius.ai/v1"},
        docs_url="https://docs.tokenfactory.nebius.com/",
        quirks=Quirks(drop=("metadata",)),
    ),
    ProviderSpec(
        id="deepinfra",
        name="DeepInfra",
        dialect="openai_chat",
        base_url="https://api.deepinfra.com/v1/openai",
        base_url_env=("DEEPINFRA_BASE_URL",),
        api_key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        model_env=("DEEPINFRA_MODEL",),
        default_model="openai/gpt-oss-120b",
        capabilities=_OPEN_MODELS,
        docs_url="https://deepinfra.com/docs/openai_api",
        quirks=Quirks(drop=("metadata",)),
    ),
    ProviderSpec(
        id="zai",
        name="Z.ai (GLM, international)",
        aliases=("z_ai",),
        dialect="openai_chat",
        base_url="https://api.z.ai/api/paas/v4",
        base_url_env=("ZAI_BASE_URL",),
        api_key_env=("ZAI_API_KEY", "Z_AI_API_KEY"),
        model_env=("ZAI_MODEL",),
        default_model="glm-5.3",
        capabilities=("tools", "images", "json_mode", "reasoning", "list_models"),
        other_base_urls={"coding_plan": "https://api.z.ai/api/coding/paas/v4"},
        docs_url="https://docs.z.ai/api-reference/llm/chat-completion",
        quirks=_GLM,
    ),
    ProviderSpec(
        id="local",
        name="The embedded model",
        dialect="openai_chat",
        base_url="http://127.0.0.1",
        default_model="local",
        key_required=False,
        embedded=True,
        capabilities=("tools", "json_mode", "json_schema", "reasoning", "list_models"),
        verified="real server",
        docs_url="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
)
