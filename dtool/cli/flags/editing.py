"""The flags of `dtool sample` for where its images begin: at a picture, with a mask, or between two of a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtool.models.network import Network

ALPHA = "alpha"
_edit = partial(typer.Option, rich_help_panel="Editing", show_default=False)


@dataclass(frozen=True, kw_only=True)
class EditingWords:
    """What was typed of the pictures that a run begins at."""

    image: Annotated[
        Path | None,
        _edit(metavar="PATH", help="begin at this picture, or at those of a folder: one result each, in turn by ids"),
    ] = None
    strength: Annotated[
        float | None,
        _edit(
            metavar="0…1",
            help="how much of it is drawn anew, as the share of the steps that are taken [default: 0.8, with a mask 1]",
        ),
    ] = None
    mask: Annotated[
        Path | None,
        _edit(
            metavar="PATH|alpha",
            help="white where the picture is drawn anew, black where it stays; a picture, a folder of them, or alpha: "
            "where the picture itself is transparent",
        ),
    ] = None
    fit: Annotated[
        bool, _edit("--fit", help="cut the middle out of a picture or mask of another size, and resize it")
    ] = False
    interpolate: Annotated[
        str | None, _edit(metavar="A:B:N", help="N images from the noise of id A to that of id B")
    ] = None

    def list_files(self) -> list[Path]:
        """The files that are read: none of them may be written."""
        return [path for path in (self.image, self.mask) if path is not None]

    def describe(self) -> dict[str, Any]:
        """What was typed, as JSON can hold it."""
        typed = {name: value for name, value in vars(self).items() if value is not None and value is not False}
        return {name: str(value) if isinstance(value, Path) else value for name, value in typed.items()}

    def read(self, net: Network) -> EditedFiles:
        """The pictures and masks; raises UsageError for what does not fit, or is said of no picture."""
        from dtool.cli.show.output import remark
        from dtool.data.edited_pictures import read_masks, read_pictures
        from dtool.run.editing import GivenImage, require_edits

        if self.image is None:
            for flag, value in (("--mask", self.mask), ("--strength", self.strength), ("--fit", self.fit or None)):
                if value is not None:
                    raise UsageError(f"{flag} is given without a picture", "give the picture, too: --image FILE")
            return EditedFiles()
        require_edits(net, GivenImage(image=self.image, mask=self.mask, strength=self.strength))
        if net.decodes:
            raise UsageError(
                "this sampler's file begins at a latent, and has no encoder to make one of a picture",
                "sample from the model itself; or give the latent in Python: dtool.sample(…, image=)",
            )
        pictures = read_pictures(self.image, net.picture_shape, fit=self.fit)
        if self.mask is None:
            if pictures.clear.any():
                remark("what is transparent is white; --mask alpha draws it anew")
            return EditedFiles(images=pictures.pixels)
        if str(self.mask) == ALPHA:
            if not pictures.clear.any():
                raise UsageError(f"--mask alpha: {self.image} is nowhere transparent", "give a mask: --mask FILE")
            return EditedFiles(images=pictures.pixels, masks=pictures.clear.astype("float32"))
        height, width = net.picture_shape[1:]
        masks = read_masks(self.mask, (height, width), fit=self.fit)
        if len(masks) not in (1, len(pictures.pixels)):
            raise UsageError(
                f"{self.mask} holds {len(masks)} masks, and {self.image} {len(pictures.pixels)} pictures",
                "give one for all, or one each",
            )
        return EditedFiles(images=pictures.pixels, masks=masks)


@dataclass(frozen=True, kw_only=True)
class EditedFiles:
    """Pictures `(k, C, H, W)`, masks `(k or 1, 1, H, W)`: the image with id i gets those at i modulo their number."""

    images: NDArray[Any] | None = None
    masks: NDArray[Any] | None = None

    def __len__(self) -> int:
        return 0 if self.images is None else len(self.images)

    def take(self, ids: Sequence[int]) -> dict[str, Any]:
        """The options of `dtool.sample` for the images with these ids; none if there are no pictures."""
        arrays = {"image": self.images, "mask": self.masks}
        return {
            name: array[[i % len(array) for i in ids]] for name, array in arrays.items() if array is not None
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Each array's shape and a digest of it, as JSON can hold it; empty if there are no pictures."""
        from dtool.run.repeated_conditions import describe_array

        return {name: describe_array(array) for name, array in vars(self).items() if array is not None}


EDITING = FlagGroup.of(EditingWords)
