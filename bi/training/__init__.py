"""Training: policies, supervised fine-tuning, sampling, rollouts and GRPO (TRL does the training)."""
