"""The flags of `dtool export` that say how a sampler is put into its file."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.cli.flags.values import parse_words
from dtool.export.sampler.settings import SamplerFileOptions

SAMPLER = "A sampler in the file"
_sampler = partial(typer.Option, rich_help_panel=SAMPLER)

SAMPLER_FILE = FlagGroup(
    SamplerFileOptions,
    {
        "freeze": Annotated[bool, _sampler("--freeze", help="bake all defaults in; writes Triton's config.pbtxt too")],
        "inputs": Annotated[
            str | None,
            _sampler(
                help="for JavaScript: nothing has a default; those of seed, guidance, plan, without must be given at "
                "each run, and the rest is built in; image, mask, strength: to begin at an image, by themselves with "
                "defaults",
                metavar="LIST",
                show_default=False,
            ),
        ],
        "history": Annotated[
            int | None,
            _sampler(min=0, max=8, help="room for other samplers: older predictions [default: the recipe's]"),
        ],
        "seed": Annotated[int | None, _sampler(min=0, help="the default seed [default: 0]")],
        "guidance": Annotated[
            str | None,
            _sampler(metavar="SCALE[@LOW:HIGH]", help="its guidance, as for dtool sample [default: the network's]"),
        ],
        "clip": Annotated[bool | None, _sampler("--clip/--no-clip", help="the default [default: the network's]")],
        "threshold": Annotated[
            str | None,
            _sampler(
                help="dynamic thresholding at this quantile, e.g. 0.995, or 0.995:1.5 with an upper bound, built in",
                metavar="QUANTILE[:MOST]",
            ),
        ],
        "decode": Annotated[
            bool | None,
            _sampler("--decode/--no-decode", help="a model's decoder behind the loop [default: if it has one]"),
        ],
        "text": Annotated[
            bool | None,
            _sampler(
                "--text/--no-text",
                help="a model's text encoder in the file, its tokenizer beside it [default: of one trained with words]",
                show_default=False,
            ),
        ],
        "text_bits": Annotated[
            int | None,
            _sampler(help="of its weights: 8 or 32 [default: 8 of one trained with words]", show_default=False),
        ],
        "micro_batch": Annotated[int | None, _sampler(min=1, help="images that are run at a time [default: by size]")],
    },
    parsers={"inputs": parse_words},
)
