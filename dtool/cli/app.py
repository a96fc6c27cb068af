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

from dtool.cli.flags.ray_address import RAY, complete_ray
from dtool.errors import UsageError, did_you_mean

PICTURES, TABLES, MEASURES = "Pictures", "Samplers as tables", "Measures"
NETWORKS, ABOUT = "Networks", "About"
COMPARE_HELP = "Compare recipes: time, two errors, pictures from the same noise."
CODEC_HELP = "Train an autoencoder on images: to latents and back."
TRAIN_HELP = "Train a U-Net on images, by Algorithm 1 of DDPM."
BENCH_HELP = "Time the ways of sampling from a network, beside it alone."
FIT_HELP = "Fit the best plan to a network, guidance and number of calls."
EXPORT_HELP = "Write a network, with a sampler or without, as one ONNX file."
HELP = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class LazyCommand:
    """A command that is not imported yet: one line of help, and the panel it is listed in."""

    help: str
    panel: str


COMMANDS = {
    "sample": LazyCommand("Draw samples from a network, and write them as a picture.", PICTURES),
    "compare": LazyCommand(COMPARE_HELP, PICTURES),
    "forward": LazyCommand("Show how each schedule destroys an image.", PICTURES),
    "recommend": LazyCommand("Find the best recipe within a budget.", PICTURES),
    "fit": LazyCommand(FIT_HELP, PICTURES),
    "plan": LazyCommand("Show the table that a recipe compiles to, or that is in a file.", TABLES),
    "check": LazyCommand("Examine a sampler: is it what it says it is?", TABLES),
    "samplers": LazyCommand("List the samplers by family, or show one of them.", TABLES),
    "schedulers": LazyCommand("List or draw the noise schedules.", TABLES),
    "guidances": LazyCommand("List the ways of guidance: how far each step goes.", TABLES),
    "spacings": LazyCommand("List the spacings: where on a schedule the steps fall.", TABLES),
    "metrics": LazyCommand("List the metrics: how far samples are from data.", MEASURES),
    "evaluate": LazyCommand("Measure how far many images are from real ones.", MEASURES),
    "likelihood": LazyCommand("How probable a network finds images, in bits per dimension.", MEASURES
    ),
    "merge": LazyCommand("Join the blocks of a folder into one array, or into pictures.", PICTURES),
    "verify": LazyCommand("See whether a folder of blocks is complete and sound.", PICTURES),
    "model": LazyCommand("Show what a model is, takes and gives, and its makers' recipe.", NETWORKS),
    "train": LazyCommand(TRAIN_HELP, NETWORKS),
    "train-codec": LazyCommand(CODEC_HELP, NETWORKS),
    "export": LazyCommand(EXPORT_HELP, NETWORKS),
    "bench": LazyCommand(BENCH_HELP, NETWORKS),
    "plugins": LazyCommand("List the installed plugins and what they offer.", ABOUT),
    "env": LazyCommand("Print versions and devices, for a bug report.", ABOUT),
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
            return name, load_command(name, args[1:]), args[1:]
        if name.startswith("-"):
            return super().resolve_command(ctx, args)
        raise UsageError(f"there is no command {name!r}", did_you_mean(name, COMMANDS))


class OnceCommand(TyperCommand):
    """A command that refuses an option which is given again and has one value: the first would be lost in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer's; raises UsageError for an option that is given twice."""
        if any(RAY in parameter.opts for parameter in self.params):
            args = complete_ray(args)
        if not ctx.resilient_parsing:
            given = self._list_given(ctx, args)
            again = next((one for one in given if _has_one_value(one) and given.count(one) > 1), None)
            if again is not None:
                flag = max(again.opts, key=len)
                raise UsageError(f"{flag} is given {given.count(again)} times, and has one value", "give it once")
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def _list_given(self, ctx: Any, args: list[str]) -> list[Any]:
        """The options in the order in which they are given; none of words that cannot be read, which is said later."""
        try:
            given: list[Any] = self.make_parser(ctx).parse_args(list(args))[2]
        except Exception:  # typer's own errors, whose classes have no public name
            return []
        return given


def _has_one_value(parameter: Any) -> bool:
    """Whether it is an option that takes one value; a flag that is said twice says nothing else."""
    return parameter.param_type_name == "option" and not (parameter.multiple or parameter.is_flag or parameter.count)


def get_module_name(command: str) -> str:
    """The module in `dtool.cli.commands` that has a command, and its function's name there."""
    return command.replace("-", "_")


def load_command(name: str, args: list[str]) -> Any:
    """The command `name`, built for these arguments: one with a parameter `options` gets those of the sampler."""
    plain = get_module_name(name)
    module = importlib.import_module(f"dtool.cli.commands.{plain}")
    function: Callable[..., Any] = getattr(module, plain)
    examples = "\n\n".join(f"{' ' * 2}{line}" for line in getattr(module, "EXAMPLES", ()))
    rule = None
    if "options" in inspect.signature(function).parameters:
        from dtool.cli.flags.sampler_options import find_chosen_sampler, with_options

        try:
            rule = find_chosen_sampler(args)
        except UsageError:  # what a file holds runs without its sampler; what was typed is refused again here
            rule = find_chosen_sampler([word for word in args if not word.endswith(".onnx")])
        function = with_options(function, rule)
    single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    epilog = _escape(f"Examples:\n\n{examples}") if examples else None
    single.command(name, cls=OnceCommand, epilog=epilog, context_settings=HELP)(function)
    built: Any = typer.main.get_command(single)
    built.rule, built.typed = rule, args
    built.help = _reflow(built.help or "")
    for parameter in built.params:
        parameter.help = _escape(parameter.help or "")
        _spare_unset(parameter)
    return built


def _spare_unset(parameter: Any) -> None:
    """Let a parameter that was not given, and has no default, be None without a validator, whose making takes 1 ms."""
    process = parameter.process_value
    is_single = parameter.nargs == 1 and not parameter.multiple

    def process_value(ctx: Any, value: Any) -> Any:
        is_unset = value is None and is_single and not parameter.required and parameter.callback is None
        return None if is_unset else process(ctx, value)

    parameter.process_value = process_value


def _reflow(text: str) -> str:
    """A docstring as Rich should show it: lines as wide as the terminal, brackets as they are."""
    paragraphs = _escape(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _escape(text: str) -> str:
    """`text` for Rich, if typer uses it: a bracket is not markup."""
    return text.replace("[", r"\[") if HAS_RICH else text


def build_app() -> Any:
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
