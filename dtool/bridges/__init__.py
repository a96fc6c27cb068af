"""Bridges to other libraries: their samplers become plans."""
