"""Faults in the rest: files, options, pictures, targets, timing."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "files-for-nobody-else",
        "dtool/util/files.py",
        "temporary.chmod(_get_mode(target))",
        "temporary.chmod(0o600)",
        "a file that is replaced loses its permissions",
    ),
    Fault(
        "files-picture-among-the-data",
        "dtool/util/files.py",
        "if path.suffix.lower() in IMAGE_SUFFIXES and _is_inside(path, source):",
        "if path.suffix in IMAGE_SUFFIXES and _is_inside(path, source):",
        "a picture called .PNG is written into the folder of images that is read",
    ),
    Fault(
        "bounded-more-follows",
        "dtool/util/bounded_reading.py",
        "header.nbytes != follow",
        "header.nbytes > follow",
        "an array whose header promises less than follows is read",
    ),
    Fault(
        "options-twice",
        "dtool/util/options.py",
        "if key in options:",
        "if options.get(key) == value:",
        "of an option that is given twice the last counts",
    ),
    Fault(
        "options-name-files-from-files",
        "dtool/util/options.py",
        "_require_contained(what, model, options)",
        "_require_contained(what, model, {})",
        "what a file says of itself may name another file",
    ),
    Fault(
        "containment-never-ends",
        "dtool/util/file_references.py",
        "_source.reset(token)",
        "_source.set(source)",
        "once a file was read, the user's own words are held for its",
    ),
    Fault(
        "memory-of-the-machine",
        "dtool/util/memory.py",
        "return min([left,",
        "return max([left,",
        "a container's limit is not kept to",
    ),
    Fault(
        "picture-cut-off",
        "dtool/util/pictures.py",
        "0, 255).round().astype(np.uint8)",
        "0, 255).astype(np.uint8)",
        "pixels are cut off to whole numbers, not rounded",
    ),
    Fault(
        "wasserstein-nearest-first",
        "dtool/targets/wasserstein.py",
        "np.argsort(apart[:, 1] - apart[:, 0]",
        "np.argsort(apart[:, 1]",
        "samples go to the nearest point, not where most is gained",
    ),
    Fault(
        "bench-quartiles-of-another-kind",
        "dtool/measure/timing.py",
        'method="inclusive"',
        'method="exclusive"',
        "quartiles lie beyond what was measured",
    ),
)
