"""Supervised fine-tuning of a frozen model with LoRA (PEFT) by TRL's SFTTrainer; QLoRA where the settings quantise the
base.

The loss falls on the assistant's sections, and on the closing token only where the settings say so. A killed run goes
on from its last checkpoint, at the same place in the data: the order of all batches is fixed beforehand by the seed, so
that the position is the step. Not here: merging (merge.py), and what a dataset holds (tasks/data).
"""

import json
import logging
import shutil
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks import store
from blocks.examples import read_split
from blocks.models.encoding import Encoder
from blocks.models.load import load_model, require
from blocks.models.seeding import reproducible
from blocks.records import Artifact
from blocks.storage.home import home
from configs.errors import BadInput
from configs.phases.training import Lora
from tasks.step import step
from tasks.training.adapter import write_adapter
from tasks.training.arithmetic import in_bfloat16
from tasks.training.encoding import Encoded, bucketed_order, encode

if TYPE_CHECKING:
    from trl import SFTTrainer

log = logging.getLogger("cogumi.training")
POINTS = 5  # of the loss curve between two validations


class Plan(NamedTuple):
    """The run in optimiser steps: how many, every how many the loss is noted, every how many it is validated."""

    steps: int
    note: int
    validate: int


@step(version=3)
def sft(model: Artifact, dataset: Artifact, settings: Lora, seed: int) -> Artifact:
    """Train an adapter for ``model`` on the dataset's train split; the best one by validation loss is kept.

    Returns:
        Artifact of kind "adapter": a PEFT folder, curve.json (step, tokens, loss, validation_loss) and base.json
        (what it was trained on: the model's digest and its precision).

    Raises:
        BadInput: the device or bitsandbytes is missing, or no example fits.
    """
    require(settings.device, settings.quantise)
    checkpoints = home() / "checkpoints" / sft.key(model, dataset, settings, seed)
    with (
        store.create("adapter", parents=[model, dataset], settings={**settings.identity(), "seed": seed}) as folder,
        reproducible(seed),
    ):
        encoder = Encoder.of(store.open(model))
        examples = read_split(dataset, "train")
        train = encode(examples, encoder, max_length=settings.max_length, close=settings.closing)
        validation = encode(
            read_split(dataset, "validation")[: settings.validation_examples],
            encoder,
            max_length=settings.max_length,
            close=settings.closing,
        )
        if not train or not validation:
            raise BadInput(
                f"{dataset.short}: no {'train' if not train else 'validation'} example has at most "
                f"{settings.max_length} tokens; raise max_length"
            )
        plan = plan_steps(len(train), settings)
        order = bucketed_order(
            [len(one.ids) for one in train], settings.batch, plan.steps * settings.batch * settings.accumulation, seed
        )
        base = load_model(store.open(model), device=settings.device, dtype=settings.dtype, quantise=settings.quantise)
        trainer = build(
            model=base,
            tokenizer=encoder.tokenizer,
            train=[train[i] for i in order],
            validation=validation,
            plan=plan,
            settings=settings,
            seed=seed,
            checkpoints=checkpoints,
        )
        last = last_checkpoint(checkpoints)
        if last:
            log.info("fine-tuning goes on from step %s of %d", last.name.removeprefix("checkpoint-"), plan.steps)
        trained: Any = trainer.model
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        write_adapter(trained, folder.path, base=model, quantise=settings.quantise)
        curve = read_curve(
            trainer.state.log_history, [len(train[i].ids) for i in order], settings.batch * settings.accumulation
        )
        (folder.path / "curve.json").write_text(json.dumps(curve))
        folder.metrics.update(
            steps=curve[-1]["step"],
            tokens=curve[-1]["tokens"],
            validation_loss=min(point["validation_loss"] for point in curve if "validation_loss" in point),
            examples=len(train),
            left_out=len(examples) - len(train),
            parameters=sum(p.numel() for p in trained.parameters() if p.requires_grad),
        )
    shutil.rmtree(checkpoints, ignore_errors=True)
    return folder.artifact


def plan_steps(examples: int, settings: Lora) -> Plan:
    """Steps that ``settings.epochs`` passes take, cut so that the last validation falls on the last step."""
    steps = max(1, int(examples * settings.epochs) // (settings.batch * settings.accumulation))
    note = max(1, steps // settings.evaluations // POINTS)
    validate = min(-(-steps // (settings.evaluations * note)), steps // note) * note
    return Plan(steps // validate * validate, note, validate)


def build(
    model: Any,
    tokenizer: Any,
    train: list[Encoded],
    validation: list[Encoded],
    plan: Plan,
    settings: Lora,
    seed: int,
    checkpoints: Path,
) -> "SFTTrainer":
    """The trainer for rows that already are in the order they are trained in."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from transformers.utils import logging as transformers_logging
    from trl import SFTConfig, SFTTrainer

    from tasks.training.watch import Watch

    transformers_logging.set_verbosity_error()
    schedule = {"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule)
    arguments = SFTConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        max_steps=plan.steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=schedule,
        warmup_steps=round(settings.warmup * plan.steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        logging_steps=plan.note,
        logging_first_step=False,
        eval_strategy="steps",
        eval_steps=plan.validate,
        save_strategy="steps",
        save_steps=plan.validate,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        gradient_checkpointing=settings.checkpointing,
        bf16=in_bfloat16(settings.arithmetic, settings.device),
        use_cpu=settings.device == "cpu",
        dataloader_pin_memory=settings.device == "cuda",
        optim="adamw_torch_fused",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # one process, one GPU: DataParallel would split the batch
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([one._asdict() for one in train]).rename_column("ids", "input_ids"),
        eval_dataset=Dataset.from_list([one._asdict() for one in validation]).rename_column("ids", "input_ids"),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[Watch(settings.patience)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.create_model_card = lambda *_, **__: None  # type: ignore[method-assign] # a card per checkpoint nobody reads
    adapted: Any = trainer.model
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(
                torch.float32
            )  # TRL makes them bfloat16 on a quantised base, where small updates vanish
    return trainer


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint: trainer_state.json is written after the weights, so one that parses makes it
    whole."""
    for path in sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.removeprefix("checkpoint-"))):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        return path
    return None


def read_curve(history: list[dict[str, float]], lengths: list[int], per_step: int) -> list[dict[str, float]]:
    """The trainer's log as points of a curve; ``tokens`` counts real tokens up to the step, padding left out."""
    tokens = [0, *accumulate(lengths)]
    points: dict[int, dict[str, float]] = {}
    for entry in history:
        number = int(entry["step"])
        point = points.setdefault(number, {"step": number, "tokens": tokens[number * per_step]})
        point.update(
            {
                name: entry[logged]
                for name, logged in (("loss", "loss"), ("validation_loss", "eval_loss"))
                if logged in entry
            }
        )
    return [points[number] for number in sorted(points)]
