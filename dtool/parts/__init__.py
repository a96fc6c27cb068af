"""Runs over many images in blocks of ids: drawn anywhere, in any order, and equal to the bit."""

from dtool.parts.block import Block
from dtool.parts.block import Blocks
from dtool.parts.block import divide
from dtool.parts.job import Job
from dtool.parts.job import draw_block
from dtool.parts.merging import merge
from dtool.parts.ray_tasks import for_each_block_on_ray
from dtool.parts.workers import for_each_block

__all__ = [
    "Block",
    "Blocks",
    "Job",
    "divide",
    "draw_block",
    "for_each_block",
    "for_each_block_on_ray",
    "merge",
]
