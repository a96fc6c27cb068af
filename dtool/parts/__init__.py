"""Runs over many images in blocks of ids: drawn anywhere, in any order, and equal to the bit."""

from dtool.parts.block import Block, Blocks, divide
from dtool.parts.job import Job, draw_block
from dtool.parts.merging import merge
from dtool.parts.ray_tasks import for_each_block_on_ray
from dtool.parts.workers import for_each_block, keep_workers

__all__ = [
    "Block",
    "Blocks",
    "Job",
    "divide",
    "draw_block",
    "for_each_block",
    "for_each_block_on_ray",
    "keep_workers",
    "merge",
]
