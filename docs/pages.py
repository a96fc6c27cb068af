"""docs/samplers/: an index with every sampler's certificate, and a page and a picture for each, made from the code."""

from __future__ import annotations

import ast
import inspect
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from chart import svg

from dtool.certify import CheckResult, checks
from dtool.certify.cache import choose_folder, keep_curve, keep_result
from dtool.certify.conformance import run_check
from dtool.certify.convergence import DATA, Curve, choose_measure
from dtool.cli.show.catalogue import describe_calls, describe_noise, find_named_recipes, group_by_family
from dtool.samplers import get_sampler
from dtool.samplers.rule import Rule

MEASURED = ("marginals", "same", "invariances", "order-local", "order-global", "order-shipped", "moments", "round-trip")
SLOPES = ("order-global", "order-shipped", "moments")
NOISE = {"yes": "yes", "no": "none", "option": "with an option"}
BLUE, GREY, ORANGE = "#005ab5", "#777777", "#c87800"
ROOT = Path(__file__).parent.parent
KEPT = choose_folder(ROOT / ".cache" / "certificates")  # what was measured once; the tests read it, too


@dataclass(frozen=True)
class Measured:
    """What a page shows of a sampler beside its code."""

    name: str
    measure: str
    curves: tuple[Curve, Curve]
    results: dict[str, tuple[CheckResult, str]]


def measured(name: str) -> Measured:
    """The certificates in MEASURED, each with what it means, and the curves of the sampler and of euler."""
    rule, euler = get_sampler(name), get_sampler("euler")
    wanted = [keep_result(one, rule, KEPT) for one in checks(name) if one.__name__ in MEASURED]
    measure = choose_measure(rule, euler)
    curves = keep_curve(rule, measure, KEPT), keep_curve(euler, measure, KEPT)
    return Measured(name, measure, curves, {one.__name__: (run_check(one), one.__doc__ or "") for one in wanted})


def measured_all(names: Sequence[str]) -> dict[str, Measured]:
    """The same for all, on as many processes as there are cores."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return dict(zip(names, pool.map(measured, names), strict=True))


def files(note: str) -> Iterator[tuple[str, str]]:
    """(file name, text) of everything in docs/samplers/."""
    groups = list(group_by_family())
    found = measured_all([item["name"] for _, items in groups for item in items])
    yield "README.md", index(note, groups, found)
    for _, items in groups:
        for item in items:
            one = found[item["name"]]
            yield f"{item['name']}.md", page(note, item, one)
            yield f"{item['name']}.svg", picture(one)


def index(note: str, groups: Sequence[tuple[str, Sequence[dict[str, Any]]]], found: dict[str, Measured]) -> str:
    """README.md: a table per family, then which names are one method."""
    parts = [note, "# Samplers\n", INTRODUCTION]
    for family, items in groups:
        parts.append(f"## {family[:1].upper()}{family[1:]}\n")
        rows = ["| sampler | order | exact start | as shipped | law | calls | noise | |", "|---|" + "---|" * 7]
        for item in items:
            name, results = item["name"], found[item["name"]].results
            slopes = [_figure(results[key][0]) if key in results else "" for key in SLOPES]
            cells = [f"[{name}]({name}.md)", item["order"], *slopes, item["calls"], NOISE[item["noise"]]]
            rows.append(_row(*cells, item["summary"].rstrip(".")))
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def page(note: str, item: dict[str, Any], one: Measured) -> str:
    """The page of one sampler."""
    rule = get_sampler(item["name"])
    summary, _, rest = rule.doc.partition("\n")
    parts = [note, f"# {rule.name}\n", summary + "\n", _facts(item, rule) + "\n"]
    parts.append(f"![error against steps]({rule.name}.svg)\n")
    parts.append(f"{one.measure[:1].upper()}{one.measure[1:]}; {DATA[one.measure]}; steps equal in λ.\n")
    if rest.strip():
        parts.append("## What it does\n\n" + _fenced(rest.strip("\n")) + "\n")
    parts.append("## The step\n\n" + _source(rule) + "\n")
    if rule.model.model_fields:
        parts.append("## Options\n\n" + options(rule.model))
    parts.append("## Certificate\n\n" + _certificate(one))
    parts.append(f"`dtool check {rule.name}` measures this again, and more; `--plot` draws it.\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def picture(one: Measured) -> str:
    """The convergence of one sampler beside euler, with a line of the declared order."""
    own, euler = one.curves
    settles = "moments" not in one.results or one.results["moments"][0].status != "info"
    lines = [(f"order {own.order}", ORANGE, own.reference(), True)] if own.reference() and settles else []
    if own.name != euler.name:
        lines.append(("euler", GREY, _pairs(euler), False))
    lines.append((own.name, BLUE, _pairs(own), False))
    return svg(one.measure, [line for line in lines if line[2]], "steps")


def _pairs(one: Curve) -> tuple[tuple[int, float], ...]:
    return tuple(zip(one.counts, one.errors, strict=True))


def _facts(item: dict[str, Any], rule: Rule) -> str:
    order = str(rule.order) + (f", the first steps {rule.startup_order}" if rule.startup_order != rule.order else "")
    same = [f"`{claim.recipe}`" + (f" with {claim.condition}" if claim.condition else "") for claim in rule.same]
    breaks = [f"{claim.condition}: {claim.why}" if claim.condition else claim.why for claim in rule.breaks]
    facts = {
        "family": item["family"],
        "order": order,
        "network calls per step": describe_calls(rule),
        "fresh noise": NOISE[describe_noise(rule)],
        "source": _linked(rule.cite),
        "also called": ", ".join(f"`{alias}`" for alias in item["aliases"]),
        "the same method": "; ".join(same),
        "leaves the marginals on purpose": "; ".join(breaks),
        "recipes with names": ", ".join(f"{name} = `{token}`" for name, token in find_named_recipes(rule.name).items()),
    }
    return "\n".join(["| | |", "|---|---|", *(_row(key, value) for key, value in facts.items() if value)])


def _certificate(one: Measured) -> str:
    rows = ["| check | result | measured | what it means |", "|---|---|---|---|"]
    for key, (result, meaning) in one.results.items():
        status = result.status if result.status != "info" else "on purpose"
        rows.append(_row(key, status, _figure(result), result.detail if result.status == "skip" else meaning))
    return "\n".join(rows) + "\n"


def _figure(result: CheckResult) -> str:
    """A slope to one decimal after ≈, since its last digits differ between machines; other figures are left out."""
    if result.status == "info" and result.name == "moments":
        return "does not converge"
    if result.status == "info" or not re.fullmatch(r"[\d. /a-z]+", result.figure) or "e-" in result.figure:
        return ""
    return re.sub(r"\d+\.\d+", lambda m: f"≈{float(m[0]):.1f}", result.figure)


def options(model: Any) -> str:
    """A table of a thing's options."""
    rows = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default}`"
        rows.append(_row(f"`{name}`", default, field.description or ""))
    return "\n".join(["| option | default | |", "|---|---|---|", *rows, ""])


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _linked(cite: str) -> str:
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", cite)


def _fenced(text: str) -> str:
    """The docstring with its indented blocks, the equations, fenced."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        indented = all(line.startswith("    ") for line in block.splitlines())
        blocks.append(f"```text\n{textwrap.dedent(block)}\n```" if indented else block)
    return "\n\n".join(blocks) + "\n"


def _source(rule: Rule) -> str:
    """The rule's function without its docstring, which is the paper's equation, and the engines that it calls."""
    function = _function(rule.step)
    lines, first = textwrap.dedent(inspect.getsource(rule.step)).splitlines(), function.body[0]
    start = (first.end_lineno or 0) + 1 if ast.get_docstring(function) else first.lineno
    code = ["\n".join([*lines[function.lineno - 1 : first.lineno - 1], *lines[start - 1 :]]).rstrip()]
    code += [textwrap.dedent(inspect.getsource(helper)).rstrip() for helper in _helpers(rule.step, function)]
    where = Path(inspect.getfile(rule.step)).resolve().relative_to(ROOT)
    notation = "the notation is in [CONTRIBUTING](../../CONTRIBUTING.md)"
    listing = "\n\n\n".join(code)
    return f"```python\n{listing}\n```\n\nFrom [{where}](../../{where}); {notation}.\n"


def _function(thing: Any) -> ast.FunctionDef:
    found = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    assert isinstance(found, ast.FunctionDef), "a rule is a function"
    return found


def _helpers(step: Any, function: ast.FunctionDef) -> list[Any]:
    """The functions of dtool.samplers that a rule names, in the order in which it does."""
    names = [node for line in function.body for node in ast.walk(line) if isinstance(node, ast.Name)]
    ordered = dict.fromkeys(node.id for node in sorted(names, key=lambda n: (n.lineno, n.col_offset)))
    found = [step.__globals__.get(name) for name in ordered]
    return [f for f in found if inspect.isfunction(f) and f.__module__.startswith("dtool.samplers.")]


INTRODUCTION = """\
Every sampler is one function of one interval, compiled to a table; its page shows the function, its options, and what
was measured. "Order" is what it declares. The slopes behind ≈ are measured, on steps equal in λ / on uneven ones: the
error of the probability-flow ODE begun from exact history, the same as shipped with its own start-up, and the error of
mean and standard deviation ("law") on Gaussian data. `dtool samplers` prints this list, `dtool check NAME` a whole
certificate. Schedules and spacings are in [schedules.md](../schedules.md).
"""
