"""Behaviour injection, reproduced: problems, traces, behaviours, SFT, GRPO and co-influence."""

__version__ = "0.1.0"
