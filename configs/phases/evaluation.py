"""Settings of the evaluation phase: which held-out questions, how they are answered, what counts as worse."""

from typing import Annotated, Literal

from pydantic import Field

from configs.settings import Settings, later_setting, runtime, setting

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]


class Rehearsal(Settings):
    """Questions of the rehearsal world's held-out split."""

    test: int = setting("questions of the test set per domain and difficulty", ge=1)
    calibration: int = setting("questions of the calibration set per domain and difficulty; never test questions", ge=1)


class Benchmark(Settings):
    """Questions of one public benchmark."""

    format: Literal["gsm8k", "humaneval", "mbpp", "bfcl", "mmlu", "hellaswag"] = setting(
        "which benchmark's rows the file holds"
    )
    url: str = setting(
        "file or fsspec address (https://, hf://, s3://) of the rows: JSONL or Parquet, also .gz or .zst; pin a "
        "revision in it"
    )
    sha256: str | None = setting(
        "SHA-256 (hex) of the file at url; another content is refused. null trusts the address",
        pattern="^[0-9a-f]{64}$",
    )
    answers_url: str | None = setting("bfcl only: address of the file with the ground truth")
    test: int = setting("questions of the test set", ge=1)
    calibration: int = setting("questions of the calibration set; never test questions", ge=0)


class InProcess(Settings):
    """transformers answers for a model, llama.cpp for a GGUF, both in the step's own process."""

    kind: Literal["in_process"] = setting("who answers")


class Vllm(Settings):
    """vLLM answers for a model or a W4A16 export and the adapters on it: started by the step on the worker, which needs
    the package and a GPU. A GGUF is answered by llama.cpp in process: it is what is served."""

    kind: Literal["vllm"] = setting("who answers")
    gpu_memory: float = runtime("share of the GPU's memory that vLLM takes", gt=0, le=1)
    start_s: float = runtime("seconds that vLLM may take to load and compile", gt=0)
    timeout_s: float = runtime("seconds that one answer may take", gt=0)


class Http(Settings):
    """A server that is already there answers for everything. It has to list each artifact under its short name
    (llama-server --alias gguf-0123456789ab, vllm --served-model-name …), which shows that it serves that one."""

    kind: Literal["http"] = setting("who answers")
    server: Literal["llama-server", "vllm", "openai"] = setting(
        "whose fields it takes beyond OpenAI's; openai: none, so neither token ids nor scoring"
    )
    url: str = runtime("address of its API, with /v1", pattern="^https?://")
    key_env: str | None = runtime("environment variable with its key; null for none")
    timeout_s: float = runtime("seconds that one answer may take", gt=0)


Engine = Annotated[InProcess | Vllm | Http, Field(discriminator="kind")]


class Evaluation(Settings):
    """How every model is measured, with the same questions after every step."""

    rehearsal: Rehearsal | None = setting("questions of the rehearsal world; null for none")
    benchmarks: list[Benchmark] = setting("public benchmarks")
    max_new_tokens: int = setting("longest generated answer, tokens; longer ones are cut and then usually wrong", ge=1)
    context: int = setting("longest prompt and answer together, tokens", ge=16)
    dtype: Literal["float32", "bfloat16", "float16"] = setting("type in which transformers computes")
    cache_type_k: CacheType = setting(
        "type of llama.cpp's stored keys; quantised keys cost more than values (algorithms: q4_0 about .2 perplexity "
        "at 8B)"
    )
    cache_type_v: CacheType = setting("type of llama.cpp's stored values")
    perplexity_questions: int = setting(
        "reference answers that perplexity is taken over, spread evenly over the questions; 0 for all", ge=0
    )
    agreement_questions: int = setting(
        "questions on which llama.cpp's and transformers' greedy tokens are compared, spread evenly; 0 for all", ge=0
    )
    agreement: float = setting(
        "gate: smallest share of greedy tokens on which an F16 or Q8_0 GGUF agrees with transformers", ge=0, le=1
    )
    tolerance: float = setting(
        "largest loss of exact match, as a share of the questions, that a step may cost; a step that loses more is "
        "reverted",
        ge=0,
        le=1,
    )
    resamples: int = setting("bootstrap resamples of the paired difference", ge=1000)
    engine: Engine = later_setting("who answers", before={"kind": "in_process"})
    device: Literal["cpu", "cuda"] = runtime("where transformers computes")
    gpu_layers: int = runtime(
        "layers of a GGUF that llama.cpp computes on a GPU, for which it has to be built; 0 for none, -1 for all",
        ge=-1,
        le=1000,
    )
    batch: int = runtime(
        "prompts that transformers answers at the same time; more is faster and needs more memory", ge=1
    )
    slots: int = runtime("prompts that llama.cpp or a server answers at the same time", ge=1)
    threads: int = runtime("CPU threads", ge=1)
