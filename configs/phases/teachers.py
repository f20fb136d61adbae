"""Settings of the teachers: who is asked for what, at which price, under which limits, and the dollar cap.

Not here: how a call is made (blocks/teachers/), and what is asked (the phases that ask).
"""

import re
from decimal import Decimal
from typing import Any, Literal

from pydantic import field_validator, model_validator

from configs.settings import Settings, dollars, runtime, secret, setting

_LOGIN = re.compile(r"//[^/@]*:[^/]*@|[?&](password|passfile|sslpassword)=")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Prices(Settings):
    """What a model costs, in dollars per million tokens, from the provider's price page."""

    input: Decimal = dollars("dollars per million prompt tokens that no cache held")
    cached: Decimal = dollars("dollars per million prompt tokens read from the provider's prompt cache")
    cache_write: Decimal = dollars(
        "dollars per million prompt tokens written to the prompt cache (Anthropic: 1.25 × input; elsewhere as input)"
    )
    output: Decimal = dollars("dollars per million generated tokens, hidden reasoning included")
    batch: Decimal = dollars("share of these prices that a call through the batch API costs (usually 0.5)", gt=0, le=1)


class TeacherModel(Settings):
    """One model of one provider. Only provider, model, base_url and options change what it says."""

    provider: str = setting(
        "openai, groq, together, openrouter, anthropic, rehearsal, or a provider that a plug-in registers"
    )
    model: str = setting("the provider's own name of the model", min_length=1)
    base_url: str | None = setting("address of the API; null: the provider's own")
    options: dict[str, Any] = setting("further fields of the request body, such as {reasoning_effort: low}")
    temperature: bool = setting("whether the temperature is sent (reasoning models such as GPT-5 refuse it)")
    key_env: str | None = runtime(
        "environment variable that holds the API key; null: no key (rehearsal, local servers)"
    )
    block: str | None = runtime(
        "name of a Prefect block teacher-credentials/NAME that holds key, prices and limits instead; null: none"
    )
    prices: Prices = runtime("dollars per million tokens")
    requests_per_minute: int | None = runtime(
        "request limit, over all workers that share the journal; null: none", gt=0
    )
    tokens_per_minute: int | None = runtime(
        "token limit (prompt estimate + max_tokens), over all workers that share the journal; null: none", gt=0
    )
    timeout_s: float = runtime(
        "seconds until a call counts as lost; a Retry-After beyond it means the next teacher", gt=0
    )
    max_retries: int = runtime(
        "how often one request is tried again with this teacher before the next one is asked", ge=0
    )
    batch: bool = runtime("whether calls go through the provider's batch API (cheaper, up to a day)")
    idempotent_s: float = runtime(
        "seconds for which the provider promises to answer a repeated Idempotency-Key with its first answer and to "
        "bill it "
        "once: a lost call is then asked again under its key; 0: it does not (nor do OpenAI, Anthropic, Groq, "
        "Together, OpenRouter)",
        ge=0,
    )

    @field_validator("key_env")
    @classmethod
    def _names_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not _VARIABLE.fullmatch(name):
            raise secret(
                "is no name of an environment variable; name the variable that holds the key, never the key itself"
            )
        return name

    @field_validator("base_url")
    @classmethod
    def _no_login(cls, url: str | None) -> str | None:
        if url is not None and _LOGIN.search(url):
            raise secret("contains a password, and settings are shown; keys come from key_env or a block")
        return url


class Teachers(Settings):
    """Who is asked for what, under which cap."""

    account: str = runtime(
        "budget account in the journal; the cap is over everything ever charged to it, by any run or machine that "
        "shares the journal",
        min_length=1,
    )
    cap_dollars: Decimal = dollars(
        "hard cap of the account in dollars; no call starts whose worst case could exceed it"
    )
    journal: str | None = runtime(
        "SQLAlchemy URL of journal and budget, such as postgresql+psycopg://host/db; null: SQLite at "
        "$COGUMI_HOME/journal.db; COGUMI_JOURNAL wins"
    )
    concurrency: int = runtime("calls in flight at once, per process", gt=0)
    limiter: Literal["journal", "prefect"] = runtime(
        "who keeps the rate limits: the journal's own buckets, or Prefect's global limits (strict; made by `cogumi up`)"
    )
    batch_poll_s: float = runtime("seconds between looks at a batch", gt=0)
    models: dict[str, TeacherModel] = setting("teachers by the name that roles and reports use")
    roles: dict[str, tuple[str, ...]] = setting(
        "failover chain of teachers for each role: the next is asked when the one before refused or is down. Roles "
        "that are asked: questions, validate, "
        "answer_easy, answer_hard, judge, and those that modifiers and routing name, such as tier1_code"
    )

    @field_validator("journal")
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        if url is not None and _LOGIN.search(url):
            raise secret("contains a password, and settings are shown; give such a URL by COGUMI_JOURNAL")
        return url

    @model_validator(mode="after")
    def _roles_name_models(self) -> "Teachers":
        for role, chain in self.roles.items():
            if not chain:
                raise ValueError(f"role {role} names no teacher")
            if unknown := [name for name in chain if name not in self.models]:
                raise ValueError(
                    f"role {role} names {unknown[0]!r}, which is not in models ({', '.join(sorted(self.models))})"
                )
        return self

    def only(self, *roles: str) -> "Teachers":
        """These settings with only ``roles`` and the models they name, so that a step does not depend on the others."""
        kept = {role: self.roles[role] for role in roles}
        return self.model_copy(
            update={
                "roles": kept,
                "models": {
                    name: model for name, model in self.models.items() if any(name in chain for chain in kept.values())
                },
            }
        )

    def identity(self) -> dict[str, Any]:
        """Who answers which role. Models that no role names change nothing."""
        named = {name for chain in self.roles.values() for name in chain}
        return {
            "roles": {role: list(chain) for role, chain in self.roles.items()},
            "models": {name: self.models[name].identity() for name in sorted(named)},
        }
