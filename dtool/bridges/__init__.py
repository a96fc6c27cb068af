"""Bridges to other libraries: their samplers become plans, and ours run in their pipelines."""
