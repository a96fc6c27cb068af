"""What `make test` leaves to `make test-all`, and what `make test-fast` runs: one table, applied by tests/conftest.py.

Every test without an entry runs in `make test`. An entry takes all cases of a test out of it, or all but a sample that
a seed chooses: the same one in every process, another one with `--sample-seed` or once the cases are others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from pathlib import PurePosixPath

SEED = "dtool"
CORE_ROOMS = frozenset({"certify", "plan", "samplers", "schedulers", "spacings", "targets"})
CORE_CASES = 2  # of a test of which a sample is run, `make test-fast` runs so many
MAX_CORE_CASES = 40  # and of any other test at most so many
SAMPLER = r"([a-z][\w-]*)(?::|$)"  # the name with which a sampler's token begins


@dataclass(frozen=True)
class Tier:
    """One entry: how many cases of a test `make test` runs. test: "room::name", in whichever file of the room.

    cases: a regular expression; only cases whose id it is found in are meant. What its groups catch is a kind of case,
    and of each kind at least one is kept, unless the share is 0. share: of each kind, 0 … 1; with 1, it takes the
    test out of `make test-fast` alone. reason: why not all.
    """

    test: str
    cases: str
    share: float
    reason: str

    def match(self, case: str) -> str | None:
        """The kind of case that this is; None if the entry does not mean it."""
        found = re.search(self.cases, case)
        return found and "".join(found.groups(""))


def find_whole(
    nodes: Iterable[str], seed: str = SEED, factor: float = 1.0, tiers: Iterable[Tier] | None = None
) -> set[str]:
    """The node ids that only `make test-all` runs. factor: samples are so many times as large as the table says."""
    left_out: set[str] = set()
    for tier, kinds in _sort(nodes, tiers):
        for members in kinds.values():
            ordered = _shuffle(members, seed)
            left_out.update(ordered[ceil(round(factor * tier.share * len(ordered), 6)) :])
    return left_out


def find_core(nodes: Iterable[str], seed: str = SEED, tiers: Iterable[Tier] | None = None) -> set[str]:
    """The node ids that `make test-fast` runs: mathematics, without what is long."""
    nodes = [node for node in nodes if _get_room(node.partition("::")[0]) in CORE_ROOMS]
    core = set(nodes)
    for tier, kinds in _sort(nodes, tiers):
        ordered = _shuffle([node for members in kinds.values() for node in members], seed)
        core.difference_update(ordered[CORE_CASES if 0 < tier.share < 1 else 0 :])
    cases: dict[str, list[str]] = {}
    for node in core:
        cases.setdefault(_split(node)[0], []).append(node)
    for members in cases.values():
        core.difference_update(_shuffle(members, seed)[MAX_CORE_CASES:])
    return core


def find_unused(nodes: Iterable[str], tiers: Iterable[Tier] | None = None) -> list[Tier]:
    """The entries that mean none of these tests."""
    return [tier for tier, kinds in _sort(nodes, tiers) if not kinds]


def _get_room(path: str) -> str:
    """The folder of tests/ that a file is in, at any depth."""
    return PurePosixPath(path).parts[1]


def _split(node: str) -> tuple[str, str]:
    """Of a node id the test, as entries name it, and the case."""
    path, _, name = node.partition("::")
    function, _, case = name.rpartition("::")[2].partition("[")
    return f"{_get_room(path)}::{function}", case.removesuffix("]")


def _sort(nodes: Iterable[str], tiers: Iterable[Tier] | None) -> Iterator[tuple[Tier, dict[str, list[str]]]]:
    """Each entry, with the tests that it means by their kind of case. The first entry that means a test has it."""
    left: dict[str, list[tuple[str, str]]] = {}
    for node in nodes:
        test, case = _split(node)
        left.setdefault(test, []).append((node, case))
    for tier in TIERS if tiers is None else tiers:
        kinds: dict[str, list[str]] = {}
        others = []
        for node, case in left.get(tier.test, ()):
            kind = tier.match(case)
            if kind is None:
                others.append((node, case))
            else:
                kinds.setdefault(kind, []).append(node)
        left[tier.test] = others
        yield tier, kinds


def _shuffle(nodes: Iterable[str], seed: str) -> list[str]:
    """The ids in an order that depends on them and the seed alone, wherever their files are."""
    by_chance: Callable[[str], bytes] = lambda node: sha256(f"{seed} {node.partition('::')[2]}".encode()).digest()  # noqa: E731
    return sorted(nodes, key=by_chance)


TIERS = (
    Tier("docs::test_a_learned_variance_is_measured_beside_the_others", "", 0, "20 seconds of sampling"),
    Tier("docs::test_without_noise_variety_is_lost", "", 0, "20 seconds of sampling"),
    Tier("docs::test_the_mean_is_worst_to_be_wrong_about", "", 0, "13 seconds of sampling"),
    Tier("docs::test_the_order_of_ddims_table", "", 0, "12 seconds of sampling"),
    Tier("docs::test_a_command_runs", r"^dtool (?:compare|recommend)", 0, "minutes of sampling"),
    Tier(
        "docs::test_a_command_runs",
        r"^dtool (?:train|export)|(?:model|app)\.onnx",
        0,
        "minutes of training; CI does run them",
    ),
    Tier("benchmarks::test_the_whole_suite_on_the_cpu_claims_nothing_of_a_gpu", "", 0, "a minute"),
    Tier("benchmarks::test_the_scripts_in_benchmarks_run", "", 0.5, "17 seconds of timing"),
    Tier("bench::test_pytorch_compiled_takes_part_if_asked", "None", 0, "11 seconds of compiling"),
    Tier("bench::test_a_checkpoint_is_exported_and_pytorch_stands_beside_it", "", 0, "11 seconds of exporting"),
    Tier("cli::test_the_package_s_network_beside_its_fused_file", "", 0, "6 seconds of timing"),
    Tier("certify::test_orders_are_as_declared", SAMPLER, 0.2, "seconds per case"),
    Tier("certify::test_marginals_are_kept", SAMPLER, 0.3, "122 cases"),
    Tier("certify::test_weak_order", SAMPLER, 0.1, "half a second per case"),
    Tier("certify::test_ends", SAMPLER, 0.15, "2,600 cases"),
    Tier("certify::test_no_row_depends_on_what_the_network_predicts", SAMPLER, 0.3, "366 cases"),
    Tier("certify::test_an_image_does_not_depend_on_its_batch", SAMPLER, 0.2, "124 cases"),
    Tier("certify::test_backends_agree_step_by_step", SAMPLER, 0.2, "124 cases"),
    Tier("certify::test_every_combination_works_or_is_refused_with_a_reason", r"^(.+)-\d+$", 1 / 12, "minutes"),
    Tier("certify::test_a_wrong_rule_fails", "", 1, "it does not measure dtool's samplers"),
    Tier("certify::test_a_right_rule_passes_them", "", 1, "as above"),
    Tier("certify::test_heunpp2_meets_the_bar_of_rules_that_do_not_correct", "", 1, "3 seconds"),
    Tier("certify::test_a_right_sampler_passes", "", 1, "2 seconds"),
    Tier("certify::test_a_rule_is_examined_by_its_module", "", 1, "2 seconds"),
    Tier("certify::test_check_in_a_process_of_its_own", "", 1, "3 seconds"),
    Tier("certify::test_many_are_examined_in_processes_of_their_own", "", 1, "processes"),
    Tier("cli::test_a_smaller_file", "", 0, "20 seconds per case; room export makes files smaller, too"),
    Tier("cli::test_a_loss_that_is_too_large_is_refused", "", 0, "12 seconds; room export measures it, too"),
    Tier("compare::test_the_verdict_names_the_best_and_what_is_as_good", "", 0, "16 seconds per seed"),
    Tier("compare::test_from_the_same_seeds_a_slightly_worse_recipe_is_found_out", "", 0.5, "9 seconds per seed"),
    Tier("compare::test_twice_the_same_law_cannot_be_told_apart", "", 0, "9 seconds of sampling"),
    Tier("compare::test_both_errors_of_a_closed_form", "", 0, "17 seconds; each error has tests of its own"),
    Tier("compare::test_a_recommendation_is_checked_on_the_law", "", 0, "14 seconds of sampling"),
    Tier("cli::test_what_the_table_s_cells_mean_is_said", "", 0, "9 seconds of sampling"),
    Tier("cli::test_a_closed_form_is_its_own_data", "", 0, "8 seconds of sampling"),
    Tier("cli::test_a_baseline_of_another_number_of_images", "", 0, "5 seconds of sampling"),
    Tier("compare::test_solver_error_falls_at_the_order_of_the_rule", "", 0.5, "2 seconds per case"),
    Tier("examples::test_it_draws_what_python_draws", "", 0.5, "7 seconds per case"),
    Tier("export::test_half_precision_is_near", "", 0.34, "3 seconds per case"),
    Tier("export::test_a_checked_file_is_written_or_none", "", 0, "24 seconds of exporting"),
    Tier("export::test_written_out_it_is_the_network_that_it_was_made_of", "^3", 0, "13 seconds"),
    Tier("export::test_agrees_with_pytorch_at_batches_not_seen_at_export", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_one_file_and_nothing_else", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_whole_runs_agree", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_agrees_with_pytorch_for_no_class_and_at_both_ends", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_metadata_comes_back", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_inputs_and_output", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_hash_of_the_weights_can_be_computed_from_the_file", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_no_trace_of_where_it_was_made", "^unet", 0, "a U-Net is exported"),
    Tier("export::test_the_report", "^unet", 0, "a U-Net is exported"),
    Tier("metrics::test_z_is_about_standard_under_the_null", "mmd", 0, "12 seconds"),
    Tier("metrics::test_p_is_right_under_the_null", "mmd", 0, "11 seconds"),
    Tier("metrics::test_two_recipes_of_one_law_do_not_differ", "", 0.5, "4 seconds per case"),
    Tier("run::test_any_schedule_gives_digits", "", 0.05, "5 seconds per schedule"),
    Tier("run::test_feeding_the_index_instead_would_not", "", 0, "5 seconds per schedule"),
    Tier("models::test_exports_with_any_batch_size", "", 0, "12 seconds of exporting"),
    Tier("parity::test_the_same_images", r"-([A-Z]\w+)", 0.15, "324 cases"),
    Tier(
        "models::test_a_sampler_of_a_module_that_does_not_say_whether_it_knows_no_class", "", 0.5, "2 seconds per case"
    ),
    Tier("plan::test_the_table_does_what_the_rule_does", SAMPLER, 0.3, "125 cases"),
    Tier("plan::test_grids_that_go_up_again", SAMPLER, 0.3, "125 cases"),
    Tier("report::test_a_change_is_in_per_cent_only_of_what_is_surely_above_zero", "", 0.25, "a page per case"),
    Tier("report::test_the_size_that_can_be_mailed", "", 0, "6 seconds of drawing"),
    Tier("run::test_compiled_images_are_the_eager_ones", "", 0, "20 seconds of compiling"),
    Tier("run::test_every_sampler_of_the_catalogue", SAMPLER, 0.25, "a graph per case"),
    Tier("run::test_every_kind_of_network", "", 0.35, "48 cases"),
    Tier("run::test_the_same_numbers", "", 0.3, "381 cases"),
    Tier("run::test_the_images_are_those_of_the_host_loop", "", 0.4, "48 cases"),
    Tier("onnx::test_what_is_bound_lives_as_long_as_it_is_called", "", 0.5, "4 processes"),
    Tier("run::test_an_endless_loop_on_the_command_line", "", 0, "5 seconds of an endless loop"),
    Tier("certify::test_certificates_of_samplers_that_go_another_way", "rounds", 0, "10 seconds"),
    Tier("samplers::test_the_weak_order_holds_where_the_network_is_not_linear", "", 0.4, "seconds per case"),
    Tier("certify::test_certificates_of_samplers_that_go_another_way", "", 1, "seconds per case"),
    Tier("certify::test_an_inversion_finds_what_is_wrong_with_it", "", 1, "a second"),
    Tier("models::test_export_takes_such_a_network", "", 1, "it imports what exporting needs"),
    Tier("spacings::test_exactly_n_steps_for_every_n", "beta", 1, "2 seconds per case"),
    Tier("spacings::test_short_schedules", "", 0.4, "169 cases"),
    Tier("targets::test_the_spread_of_w2_is_that_of_other_draws", "digits", 0, "5 seconds"),
    Tier("targets::test_w2_knows_a_shift_and_never_exceeds_it", "digits", 0, "4 seconds"),
    Tier("targets::test_the_spread_of_w2_is_that_of_other_draws", "", 1, "seconds per case"),
    Tier("targets::test_w2_knows_a_shift_and_never_exceeds_it", "", 1, "a second per case"),
    Tier("targets::test_the_exact_map_composes_and_carries_the_law", "", 1, "a second per case"),
    Tier("targets::test_tensors_come_back_as_tensors", "", 1, "it imports PyTorch"),
    Tier("spacings::test_every_level_is_the_published_one", "", 1, "it imports diffusers"),
    Tier("certify::test_all_that_a_certificate_runs_is_among_its_sources", "", 1, "4 seconds of parsing"),
    Tier("certify::test_an_unknown_name_among_many_is_the_users_error", "", 1, "processes"),
    Tier("certify::test_order_four_is_measured", "", 1, "a second"),
    Tier("certify::test_the_order_is_that_of_the_options", "", 1, "a second"),
    Tier("certify::test_the_picture_of_convergence", "", 1, "it draws"),
    Tier("certify::test_what_is_exact_has_a_short_curve", "", 1, "it draws"),
    Tier("plan::test_an_exported_sampler_computes_what_the_rows_say", "", 1, "it imports what exporting needs"),
    Tier("spacings::test_diffusers", "", 1, "it imports diffusers"),
    Tier("certify::test_rules_and_recipes_are_taken", "", 1, "a second per case"),
    Tier("training::test_command_says_where_the_checkpoint_is", "", 0, "19 seconds of training"),
    Tier("training::test_it_learns_which_class_is_which", "", 0, "minutes of training"),
    Tier("training::test_killed_and_resumed_is_bit_for_bit_uninterrupted", "", 0, "40 seconds of training"),
    Tier("training::test_resuming_another_run_is_refused", "", 0, "20 seconds of training"),
    Tier("models::test_through_checkpoints_and_exports", "", 0, "11 seconds per kind of level"),
)
