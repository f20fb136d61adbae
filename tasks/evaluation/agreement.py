"""Does llama.cpp say what transformers says? The golden test of an exported GGUF, on the real questions.

Transformers answers greedily; llama.cpp reads the same tokens and is asked at each whether it would have chosen it too.
So one early difference does not make every later token count as wrong, and tokens are compared, not text. Both must
also tokenise the prompts alike. It is a test of the export, not of what is served: keys and values are float16, and
transformers answers whatever evaluation.engine says. Not here: whether a difference matters for the answers (the
ledger).
"""

from contextlib import closing

from blocks import store
from blocks.engines.llama_cpp.native import Model
from blocks.engines.llama_cpp.scoring import Scorer
from blocks.engines.loading import Files, load
from blocks.progress import progress
from blocks.records import Artifact, GateCheck, Record
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation
from tasks.evaluation.engine import described, running
from tasks.evaluation.held_out import read_questions, spread
from tasks.step import step


class Agreement(Record):
    """Greedy tokens on which both agree, prompts that both tokenise alike, answers that agree from end to end."""

    questions: int
    tokens: int
    agreeing_tokens: int
    agreeing_prompts: int
    agreeing_answers: int

    @property
    def share(self) -> float:
        """The share of agreeing tokens."""
        return self.agreeing_tokens / self.tokens

    def checks(self, settings: Evaluation) -> list[GateCheck]:
        """What a gate asks of it."""
        return [
            GateCheck(
                name="greedy tokens on which llama.cpp agrees with transformers",
                value=self.share,
                rule=">=",
                threshold=settings.agreement,
            ),
            GateCheck(
                name="prompts that llama.cpp tokenises differently",
                value=self.questions - self.agreeing_prompts,
                rule="==",
                threshold=0,
            ),
        ]


@step(version=2)
def agreement(model: Artifact, gguf: Artifact, questions: Artifact, settings: Evaluation) -> Agreement:
    """Compare ``gguf`` with the ``model`` it was exported from on ``settings.agreement_questions`` questions.

    Raises:
        BadInput: not a model and a gguf.
    """
    if (model.kind, gguf.kind) != ("model", "gguf"):
        raise BadInput(f"agreement compares a model with a gguf, got {model.short} and {gguf.short}")
    asked = spread(read_questions(questions), settings.agreement_questions)
    by_transformers = described("model", settings).model_copy(update={"kind": "transformers", "dtype": settings.dtype})
    with (
        load(by_transformers, Files(store.open(model)), running(settings)) as student,
        progress("agreement", len(asked)) as advance,
    ):
        prompts = [student.template.prompt(question.prompt) for question in asked]
        ids = student.encode(prompts)
        answers = student.complete(ids, max_tokens=settings.max_new_tokens, advance=advance)
    path = store.open(gguf) / "model.gguf"
    with closing(Model(path, vocabulary_only=True)) as vocabulary:
        alike = [vocabulary.tokenize(prompt) == one for prompt, one in zip(prompts, ids, strict=True)]
    with Scorer(path, context=settings.context, threads=settings.threads, gpu_layers=settings.gpu_layers) as scorer:
        agrees = [
            scored.agrees
            for scored in scorer.score([(one, answer.tokens) for one, answer in zip(ids, answers, strict=True)])
        ]
    return Agreement(
        questions=len(prompts),
        tokens=sum(len(one) for one in agrees),
        agreeing_tokens=int(sum(one.sum() for one in agrees)),
        agreeing_prompts=sum(alike),
        agreeing_answers=int(sum(one.all() for one in agrees)),
    )
