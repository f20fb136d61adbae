"""The modifier phase: one LoRA per domain, trained on the student's own failures."""
