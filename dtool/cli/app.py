"""The typer application. Commands are imported when they are run: listing and completing them imports nothing.

Everything that leans on typer's classes rather than on its functions is in this file.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import HAS_RICH, TyperCommand, TyperGroup

from dtool.errors import UsageError, did_you_mean

PICTURES, TABLES, MEASURES = "Pictures", "Samplers as tables", "Measures"
NETWORKS, ABOUT = "Networks", "About"
COMPARE_HELP = "Compare recipes: time, two errors, pictures from the same noise."
TRAIN_HELP = "Train a U-Net on images (DDPM, Algorithm 1) and write a checkpoint."
BENCH_HELP = "Time the ways of sampling from a network, beside the bare network."
EXPORT_HELP = "Write a network, or a network and its sampler, as one ONNX file."
HELP = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Lazy:
    """A command that is not imported yet: where its function is, one line of help, and the panel it is listed in."""

    target: str
    help: str
    panel: str


COMMANDS = {
    "sample": Lazy("dtool.cli.sample:sample", "Draw samples from a network, and write them as a picture.", PICTURES),
    "compare": Lazy("dtool.cli.compare:compare", COMPARE_HELP, PICTURES),
    "forward": Lazy("dtool.cli.forward:forward", "Show how each schedule destroys an image.", PICTURES),
    "recommend": Lazy("dtool.cli.recommend:recommend", "Find the best recipe within a budget.", PICTURES),
    "plan": Lazy("dtool.cli.plan:plan", "Show the table that a recipe compiles to, or that is in a file.", TABLES),
    "check": Lazy("dtool.cli.check:check", "Examine a sampler: is it what it says it is?", TABLES),
    "samplers": Lazy("dtool.cli.samplers:samplers", "List the samplers by family, or show one of them.", TABLES),
    "schedulers": Lazy("dtool.cli.schedulers:schedulers", "List or draw the noise schedules.", TABLES),
    "spacings": Lazy("dtool.cli.spacings:spacings", "List the spacings: where on a schedule the steps fall.", TABLES),
    "metrics": Lazy("dtool.cli.metrics:metrics", "List the metrics: how far samples are from data.", MEASURES),
    "likelihood": Lazy(
        "dtool.cli.likelihood:likelihood", "How probable a network finds images, in bits a dimension.", MEASURES
    ),
    "train": Lazy("dtool.cli.train:train", TRAIN_HELP, NETWORKS),
    "export": Lazy("dtool.cli.export:export", EXPORT_HELP, NETWORKS),
    "bench": Lazy("dtool.cli.bench:bench", BENCH_HELP, NETWORKS),
    "plugins": Lazy("dtool.cli.plugins:plugins", "List the installed plugins and what they offer.", ABOUT),
    "env": Lazy("dtool.cli.env:env", "Print versions and devices, for a bug report.", ABOUT),
}  # fmt: skip


class LazyGroup(TyperGroup):
    """The commands of COMMANDS, by name."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """The names, in the order in which the help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ARG002
        """A stand-in with a name and a line of help."""
        lazy = COMMANDS.get(cmd_name)
        return lazy and TyperCommand(cmd_name, help=lazy.help)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        """The commands by panel, each with its line in full."""
        for panel in dict.fromkeys(lazy.panel for lazy in COMMANDS.values()):
            with formatter.section(panel):
                formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items() if lazy.panel == panel])

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """The real command, imported now that it is needed."""
        name = args[0]
        if name in COMMANDS:
            return name, command(name, args[1:]), args[1:]
        if name.startswith("-"):
            return super().resolve_command(ctx, args)
        raise UsageError(f"there is no command {name!r}", did_you_mean(name, COMMANDS))


def command(name: str, args: list[str]) -> Any:
    """The command `name`, built for these arguments: one with a parameter `options` gets those of the sampler."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    examples = "\n\n".join(f"{' ' * 2}{line}" for line in getattr(importlib.import_module(module), "EXAMPLES", ()))
    rule = None
    if "options" in inspect.signature(function).parameters:
        from dtool.cli.options import chosen_sampler, with_options

        try:
            rule = chosen_sampler(args)
        except UsageError:  # what a file holds runs without its sampler; what was typed is refused again here
            rule = chosen_sampler([word for word in args if not word.endswith(".onnx")])
        function = with_options(function, rule)
    single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    single.command(name, epilog=_escaped(f"Examples:\n\n{examples}") if examples else None, context_settings=HELP)(
        function
    )
    built: Any = typer.main.get_command(single)
    built.rule = rule
    built.help = _reflowed(built.help or "")
    for parameter in built.params:
        parameter.help = _escaped(parameter.help or "")
    return built


def _reflowed(text: str) -> str:
    """A docstring as Rich should show it: lines as wide as the terminal, brackets as they are."""
    paragraphs = _escaped(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _escaped(text: str) -> str:
    """`text` for Rich, if typer uses it: a bracket is not markup."""
    return text.replace("[", r"\[") if HAS_RICH else text


def app() -> Any:
    """The whole command line, ready to be called with a list of arguments."""
    # Without Rich, whose import would double the time of `dtool --help`.
    group = typer.Typer(cls=LazyGroup, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=HELP)
    group.callback(epilog="Start with:  dtool sample")(_root)
    return typer.main.get_command(group)


def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version, and exit")] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="load no plugin; works after the command, too")
    ] = False,
) -> None:
    """Diffusion samplers as tables: choose a schedule, a sampler and a number of steps, and see what they do.

    A recipe is one word: SAMPLER:option=value@SCHEDULER/SPACING, e.g. ddim:eta=0.5@cosine/karras.
    """
    # `dtool.cli.run` has seen to both before the arguments get here.
