"""Faults in reading images."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "idx-of-any-type",
        "dtool/data/idx.py",
        "header[:4] != bytes((0, 0, 8, dimensions))",
        "header[3] != dimensions",
        "numbers of other types are read as bytes",
    ),
    Fault(
        "idx-too-many-labels",
        "dtool/data/idx.py",
        "if len(values) != len(pixels):",
        "if len(values) < len(pixels):",
        "labels of more images are taken for those of these",
    ),
    Fault(
        "npz-four-channels",
        "dtool/data/npz.py",
        "last = end <= 4",
        "last = end <= 3",
        "images with four channels at the end are read on their side",
    ),
    Fault(
        "folder-size-swapped",
        "dtool/data/folder.py",
        "(size[1], size[0])",
        "(size[0], size[1])",
        "height and width are exchanged where they differ",
    ),
    Fault(
        "classes-first-of-two",
        "dtool/data/classes.py",
        "if counts[to_nfc(name)] != 1]",
        "if counts[to_nfc(name)] == 0]",
        "a class whose name two classes have is taken for the first",
    ),
    Fault(
        "images-labels-not-in-the-checksum",
        "dtool/data/images.py",
        "return total if self.labels is None else zlib.crc32(self.labels.tobytes(), total)",
        "return total",
        "a run is resumed on the same images with other classes",
    ),
    Fault(
        "pooled-cells-do-not-overlap",
        "dtool/measure/pooled_pixels.py",
        "-(-(i + 1) * size // cells)",
        "(i + 1) * size // cells",
        "cells that do not divide an image end a pixel early",
    ),
    Fault(
        "pixels-sixteen-bits-cut-off",
        "dtool/data/pixels.py",
        "np.rint(values / 257)",
        "np.floor(values / 257)",
        "16 bits are cut off to 8, not rounded",
    ),
)
