"""The table of public sources: where each lies, under which licence, which adapter reads it.

A revision named here is a branch; the commit it stood for is resolved when it is read, and recorded. Licences are those
the publishers state on the hub or in their repository; data written by another company's model also stands under that
company's terms.
"""

from dataclasses import dataclass

from blocks.records import Domain
from configs.errors import BadInput
from tasks.data.collect import conversations, functions, instructions, mathematics, reading
from tasks.data.collect.pair import Adapter

# the hub's own conversion, for sets that are published as a script, which `datasets` no longer runs
PARQUET = "refs/convert/parquet"


@dataclass(frozen=True, slots=True)
class Source:
    """``configs``: the hub's subsets, read one after the other. ``files``: files of the hub's repository that are read
    instead."""

    hub: str
    license: str
    domain: Domain
    task_type: str
    adapter: Adapter
    split: str = "train"
    revision: str = "main"
    configs: tuple[str | None, ...] = (None,)
    files: tuple[str, ...] = ()


_MATH_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
_BFCL = ("simple", "multiple", "parallel", "parallel_multiple")

SOURCES: dict[str, Source] = {
    "alpaca": Source("tatsu-lab/alpaca", "CC-BY-NC-4.0", "instruction", "instruction_following", instructions.alpaca),
    "alpaca_gpt4": Source(
        "vicgalle/alpaca-gpt4", "CC-BY-NC-4.0", "instruction", "instruction_following", instructions.alpaca
    ),
    "hh": Source("Anthropic/hh-rlhf", "MIT", "instruction", "assistance", conversations.hh),
    "codealpaca": Source("sahil2801/CodeAlpaca-20k", "CC-BY-NC-4.0", "coding", "code_generation", instructions.alpaca),
    "dolly": Source(
        "databricks/databricks-dolly-15k", "CC-BY-SA-3.0", "instruction", "instruction_following", instructions.dolly
    ),
    "metamathqa": Source("meta-math/MetaMathQA", "MIT", "math", "word_problem", mathematics.metamath),
    "openorca": Source("Open-Orca/OpenOrca", "MIT", "reasoning", "explanation", instructions.orca),
    "wizardlm": Source(
        "WizardLMTeam/WizardLM_evol_instruct_V2_196k",
        "MIT",
        "instruction",
        "instruction_following",
        conversations.wizardlm,
    ),
    "sharegpt": Source(
        "anon8231489123/ShareGPT_Vicuna_unfiltered",
        "Apache-2.0",
        "instruction",
        "assistance",
        conversations.sharegpt,
        files=("ShareGPT_V3_unfiltered_cleaned_split.json",),
    ),
    "gsm8k": Source("openai/gsm8k", "MIT", "math", "word_problem", mathematics.gsm8k, configs=("main",)),
    "math": Source(
        "EleutherAI/hendrycks_math", "MIT", "math", "competition_mathematics", mathematics.math, configs=_MATH_SUBJECTS
    ),
    "squad2": Source("rajpurkar/squad_v2", "CC-BY-SA-4.0", "reading", "question_answering", reading.squad),
    "commonsenseqa": Source("tau/commonsense_qa", "MIT", "common_sense", "multiple_choice", reading.commonsense),
    "piqa": Source("ybisk/piqa", "AFL-3.0", "common_sense", "multiple_choice", reading.piqa, revision=PARQUET),
    "xsum": Source(
        "EdinburghNLP/xsum", "not stated", "summarization", "summarization", instructions.xsum, revision=PARQUET
    ),
    "cnn_dailymail": Source(
        "abisee/cnn_dailymail", "Apache-2.0", "summarization", "summarization", instructions.cnn, configs=("3.0.0",)
    ),
    "natural_instructions": Source(
        "Muennighoff/natural-instructions", "Apache-2.0", "instruction", "instruction_following", instructions.natural
    ),
    "bfcl": Source(
        "gorilla-llm/Berkeley-Function-Calling-Leaderboard",
        "Apache-2.0",
        "tool_use",
        "tool_call",
        functions.bfcl,
        files=tuple(f"{folder}BFCL_v3_{kind}.json" for kind in _BFCL for folder in ("", "possible_answer/")),
    ),
    "gorilla": Source(
        "gorilla-llm/APIBench",
        "Apache-2.0",
        "tool_use",
        "api_call",
        functions.gorilla,
        files=("huggingface_train.json", "tensorflow_train.json", "torchhub_train.json"),
    ),
}


def source(name: str) -> Source:
    """The source of that name.

    Raises:
        BadInput: there is none.
    """
    if name not in SOURCES:
        raise BadInput(f"unknown source {name!r}; there are: {', '.join(SOURCES)}")
    return SOURCES[name]
