"""Runs over many images in blocks of ids: drawn anywhere, in any order, and equal to the bit."""

from dtool.parts.block import Block as Block
from dtool.parts.block import Blocks as Blocks
from dtool.parts.block import divide as divide
from dtool.parts.job import Job as Job
from dtool.parts.job import draw_block as draw_block
from dtool.parts.merging import merge as merge
from dtool.parts.ray_tasks import for_each_block_on_ray as for_each_block_on_ray
from dtool.parts.workers import for_each_block as for_each_block
