"""The training phase: tokenizer, pretraining, LoRA fine-tuning, ANIL, merge."""
