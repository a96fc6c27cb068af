"""Faults in exporting."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "step-graph-draw-of-the-start",
        "dtool/export/sampler/step_graph.py",
        "drawn.constant(1, np.uint64)",
        "drawn.constant(0, np.uint64)",
        "a file's first row adds the noise that the start was made of",
    ),
    Fault(
        "half-weights-to-infinity",
        "dtool/export/smaller/half.py",
        "if not largest <= LARGEST:",
        "if not largest <= 2 * LARGEST:",
        "weights a little beyond half precision become infinite",
    ),
    Fault(
        "int8-one-scale-a-tensor",
        "dtool/export/smaller/int8.py",
        "per_channel=True",
        "per_channel=False",
        "a channel of small weights has the scale of the largest",
    ),
    Fault(
        "int8-calibrates-on-seed-0",
        "dtool/export/smaller/int8.py",
        "sample(recorder, plan, seed=seed, ids=ids",
        "sample(recorder, plan, seed=0, ids=ids",
        "every seed calibrates on the images of seed 0",
    ),
    Fault(
        "metadata-hash-in-any-order",
        "dtool/export/metadata.py",
        "sorted(proto.graph.initializer, key=lambda t: t.name)",
        "proto.graph.initializer",
        "the hash of the weights is not what its definition says",
    ),
    Fault(
        "parity-nan-passes",
        "dtool/export/network/parity.py",
        "if not worst.difference <= TOLERANCE:",
        "if worst.difference > TOLERANCE:",
        "a file whose difference is no number is written",
    ),
    Fault(
        "sampler-check-some-bits-differ",
        "dtool/export/sampler/parity.py",
        "if (same != many.x0[3]).any():",
        "if (same != many.x0[3]).all():",
        "an image whose bits depend on its place in a batch passes, unless all do",
    ),
    Fault(
        "loss-time-of-the-best",
        "dtool/export/smaller/loss.py",
        "float(times[calls.argmax()])",
        "float(times[calls.argmin()])",
        "the time of the worst call is that of the best",
    ),
    Fault(
        "adapted-cuts-times-off",
        "dtool/export/network/adapter.py",
        'steps += [("Round", [], {})] if called.whole_times else []',
        "steps += []",
        "a network of whole times is told fractional ones cut off, not rounded",
    ),
    Fault(
        "settled-loses-the-seed",
        "dtool/export/sampler/settings.py",
        "seed=options.seed or 0,",
        "seed=0,",
        "a file's default seed is 0, whatever was asked for",
    ),
    Fault(
        "graph-of-one-batch-size",
        "dtool/export/network/graph.py",
        "if not first or not first[0].dim_param:",
        "if not first:",
        "a graph with a fixed batch is written",
    ),
    Fault(
        "edit-first-rows-of-the-noise",
        "dtool/plan/late_plans.py",
        "part[:, first] = variant.first / count - ROUNDING",
        "part[:, first] = (variant.first - 1) / count - ROUNDING",
        "a file takes one step more than the strength says",
    ),
    Fault(
        "edit-level-before-the-row",
        "dtool/export/sampler/editing_graph.py",
        'after = inner("Add", "row", inner.constant(1, np.int64))',
        'after = inner("Add", "row", inner.constant(0, np.int64))',
        "what a mask says is known is put back at the level before the row",
    ),
    Fault(
        "weak-is-the-network-itself",
        "dtool/export/sampler/guidance_graph.py",
        'branch("Identity", insert_network(branch, weak, WEAK, spec, sources), name="weak_output")',
        'branch("Identity", given, name="weak_output")',
        "guidance compares the network with itself",
    ),
)
