"""The dataset phase: plan → questions → ratings → answers → scores → removals → balance → split → gate."""

from blocks.records import Artifact
from blocks.teachers.block import with_blocks
from flows.parameters import Chosen, Stored
from flows.phase import phase
from tasks.data.clean.decontaminate import decontaminate
from tasks.data.clean.filter import filter_examples
from tasks.data.clean.near_duplicates import remove_near_duplicates
from tasks.data.collect.collect import collect
from tasks.data.finish.balance import balance
from tasks.data.finish.show import show_dataset
from tasks.data.finish.spending import show_dataset_spending
from tasks.data.finish.split import split
from tasks.data.finish.verify import verify
from tasks.data.write.answers import answer_easy
from tasks.data.write.drafts import answer_hard
from tasks.data.write.judge import judge
from tasks.data.write.plan import plan
from tasks.data.write.questions import write_questions
from tasks.data.write.validate import validate
from tasks.evaluation.gates import gate


@phase
def dataset(profile: Chosen, evaluation: Stored) -> Artifact:
    """Make the dataset that the student is trained on; nothing of ``evaluation`` is left in it.

    Args:
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
        evaluation: digest of the held-out questions (kind questions), or its beginning
    """
    settings, teachers, seed = profile.data, with_blocks(profile.teachers), profile.seed
    planned = plan(settings.planning, seed)
    written = write_questions(planned, settings.writing, settings.source, teachers.only("questions"))
    valid = validate(written, settings.validating, teachers.only("validate"))
    show_dataset_spending({"questions": written, "validate": valid}, settings, teachers)
    easy = answer_easy(valid, settings.answering, settings.tokenizer, teachers.only("answer_easy"))
    hard = answer_hard(valid, settings.answering, settings.tokenizer, teachers.only("answer_hard"))
    scored = judge(easy, hard, settings.judging, teachers.only("judge"))
    show_dataset_spending(
        {"questions": written, "validate": valid, "answer_easy": easy, "answer_hard": hard, "judge": scored},
        settings,
        teachers,
    )
    public = collect(settings.collecting, settings.tokenizer)
    clean = filter_examples([scored, public], settings.filters, settings.tokenizer)
    unseen = decontaminate(clean, [evaluation], settings.decontamination)
    distinct = remove_near_duplicates(unseen, settings.near_duplicates, seed)
    balanced = balance(planned, distinct, settings.balancing, settings.source, settings.collecting.fill)
    stages = {
        "questions": written,
        "ratings": valid,
        "easy answers": easy,
        "hard answers": hard,
        "scores": scored,
        "public records": public,
        "filters": clean,
        "decontamination": unseen,
        "near-duplicates": distinct,
        "balance": balanced,
    }
    made = split(balanced, stages, settings.splitting, seed)
    show_dataset(made)
    gate("dataset", list(verify(made, settings, seed).checks))
    return made
