"""What happens beside a run of the trainer: progress is shown, and a run whose validation loss no longer falls is
stopped.

The decision is taken from the trainer's log alone, which checkpoints keep, so a run that was killed decides as one that
was not.
"""

from contextlib import ExitStack
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from blocks.progress import progress


class Watch(TrainerCallback):
    """Shows steps; stops after ``patience`` validations without a better loss."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._stack = ExitStack()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the bar, at the step the run goes on from."""
        self._advance = self._stack.enter_context(progress("fine-tuning", state.max_steps))
        self._advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """One step further."""
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        self._advance(1, f"loss {losses[-1]:.3f}" if losses else "")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop when the best validation is ``patience`` validations ago."""
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if len(losses) - 1 - losses.index(min(losses)) >= self.patience:
            control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the bar."""
        self._stack.close()
