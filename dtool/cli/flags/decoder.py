"""The flags that name a decoder of latents of its own, in the place of the network's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.models.network import Network
    from dtool.models.runtime import Runtime

_decoder = partial(typer.Option, rich_help_panel="A decoder of latents", show_default=False)


@dataclass(frozen=True, kw_only=True)
class DecoderWords:
    """A file that decodes what the network samples, the scale and shift of its latents, and the size of its tiles."""

    path: Annotated[
        Path | None,
        _decoder(
            "--decoder", metavar="PATH", help="decode the samples by this: an .onnx of one input, or an autoencoder"
        ),
    ] = None
    scale: Annotated[
        float | None,
        _decoder("--decoder-scale", help="what it decodes is the sample divided by this … [default: as it says, or 1]"),
    ] = None
    shift: Annotated[
        float | None, _decoder("--decoder-shift", help="… and with this added [default: as it says, or 0]")
    ] = None

    tile: Annotated[
        int | None,
        _decoder(
            "--decoder-tile", metavar="N",
            help="decode in tiles of N latent pixels; 0: none [default: none, unless the picture is large]",
        ),
    ] = None  # fmt: skip

    def require_path(self) -> None:
        """Raise UsageError for a scale or shift of no decoder."""
        if self.path is None and (self.scale is not None or self.shift is not None):
            raise UsageError("--decoder-scale and --decoder-shift are for a decoder", "name it: --decoder PATH")

    def attach(self, net: Network, runtime: Runtime) -> Network:
        """The network, with that codec if one is named; raises UsageError for a scale, shift or tile of none."""
        self.require_path()
        if self.path is not None:
            from dtool.run.load_codec import load_codec

            net.codec = load_codec(self.path, net.shape, scale=self.scale, shift=self.shift, runtime=runtime)
        if self.tile is not None:
            if net.codec is None:
                raise UsageError("--decoder-tile is for a decoder, and this model has none", "leave it out")
            net.codec.tile = self.tile
            net.codec.choose_tiles()  # says so if it cannot be
        return net


DECODER = FlagGroup.of(DecoderWords)
