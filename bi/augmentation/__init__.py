"""Traces (chains of thought), behaviours injected into them, and how both are worded. Nothing here imports torch."""
