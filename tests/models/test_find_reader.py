"""Which reader opens what: dtool's own first, a stranger's that fails costs itself alone."""

import sys
import warnings
from pathlib import Path

import pytest

import dtool
from dtool.errors import DtoolError, PluginError, UsageError
from dtool.models import find_reader as module
from dtool.models.find_reader import find_reader
from dtool.models.reader import reader
from dtool.plugins import isolation
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registrar import Entry, Provider
from dtool.plugins.registry import get_registry
from tests.plugins.conftest import install, install_package, quiet  # noqa: F401 - fixtures
from tests.support.plugin_packages import HOOK, plugin

READER = '''
import sys
import dtool
from dtool.models.origin import Origin

def recognises(source):
    {recognises}

@dtool.reader("made", recognises=recognises, summary="whatever ends in .odd")
def odd(source, description, runtime):
    """A stranger's format."""
    {open}

@hookimpl
def register_readers(register):
    register("odd", odd)
'''
KNOWS = 'return str(source).endswith(".odd")'
OPENS = "return dtool.network(lambda x, t: 0 * x, shape=(2,), prediction=description.prediction or 'eps')"


def source(recognises=KNOWS, open=OPENS):  # noqa: A002 - as the reader's own field
    return HOOK + READER.format(recognises=recognises, open=open)


@pytest.fixture
def odd_file(folder):
    (folder / "net.odd").write_bytes(b"odd")
    return folder / "net.odd"


@pytest.fixture
def own(monkeypatch):
    """own(name, recognises, opens): a reader as if it were built in; before those that there are."""

    def add(name, recognises, opens=lambda *of: dtool.network(lambda x, t: x, shape=(1,))):
        readers = get_registry().readers
        made = reader(name, recognises=recognises)(opens)
        entry = Entry(name=name, target=made, provider=Provider("dtool", "1"), kind="reader")
        monkeypatch.setattr(
            readers,
            "_entries",
            {name: [entry]} | {k: [*([entry] if k == name else []), *v] for k, v in readers._entries.items()},
        )
        return made

    return add


def test_a_stranger_s_reader_opens_its_files(install, odd_file):  # noqa: F811
    install(source())
    network = dtool.load(odd_file)
    assert network.shape == (2,)
    assert dtool.load(str(odd_file), spec={"prediction": "v"}).prediction == "v", "what is said is passed on"
    found = find_reader(odd_file)
    assert (found.name, str(found.origin)) == ("odd", "reader odd of bad-one 1.2")


def test_an_object_may_be_known_too(install):  # noqa: F811
    install(source('return type(source).__name__ == "Odd"'))
    assert dtool.load(type("Odd", (), {})()).shape == (2,)
    with pytest.raises(UsageError, match="does not say what it predicts"):
        dtool.load(object())


FAULTS = {
    "an exception": "raise RuntimeError('boo')",
    "SystemExit": "raise SystemExit(3)",
    "BaseException": "raise BaseException('boo')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "no truth": "import numpy; return numpy.zeros(2)",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_one_that_cannot_tell_costs_a_warning_and_the_others_go_on(install, odd_file, kind):  # noqa: F811
    install(source(FAULTS[kind]), "a-bad-one")
    install(source(), "good-one")
    said = "reader a-bad-one/odd of a-bad-one 1.2|reader odd of a-bad-one 1.2"
    with pytest.warns(PluginWarning, match=rf"({said}) cannot tell whether it knows a model \(.*it is left out") as got:
        assert dtool.load(odd_file).shape == (2,)
    assert all("\n" not in str(each.message) for each in got)


def test_one_that_takes_too_long_to_tell_is_stopped(install, odd_file, monkeypatch):  # noqa: F811
    monkeypatch.setattr(module, "ARITHMETIC_SECONDS", 0.3)
    monkeypatch.setattr(isolation, "_timed_out", set())
    install(source("import time; time.sleep(5); return False"))
    with (
        pytest.warns(PluginWarning, match="it has not ended after 0.3 seconds"),
        pytest.raises(UsageError, match="neither a checkpoint nor an ONNX file"),
    ):
        dtool.load(odd_file)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "no truth"])
def test_one_that_cannot_open_is_named(install, odd_file, kind):  # noqa: F811
    install(source(open=FAULTS[kind]))
    with pytest.raises(PluginError) as error:
        dtool.load(odd_file)
    assert str(error.value).startswith(f"reader odd of bad-one 1.2 cannot open {odd_file} (")
    assert error.value.hint == "upgrade or uninstall bad-one, or tell its authors"
    assert error.value.exit_code == 1


@pytest.mark.parametrize(("value", "what"), [("None", "NoneType"), ("42", "int"), ("lambda x, t: x", "function")])
def test_one_that_returns_no_network_is_named(install, odd_file, value, what):  # noqa: F811
    install(source(open=f"return {value}"))
    with pytest.raises(DtoolError) as error:
        dtool.load(odd_file)
    assert str(error.value) == f"reader odd of bad-one 1.2 returned a {what}, no network"
    assert error.value.hint == "upgrade or uninstall bad-one, or tell its authors"


def test_what_it_says_to_its_user_stays_an_error_of_use(install, odd_file):  # noqa: F811
    install(source(open="raise dtool.errors.UsageError('which objective?', 'say --prediction v')"))
    with pytest.raises(UsageError, match=r"which objective\? \(bad-one 1.2\)") as error:
        dtool.load(odd_file)
    assert (error.value.hint, error.value.exit_code) == ("say --prediction v", 2)


def test_what_it_prints_and_changes_does_not_reach_us(install, odd_file, capsys):  # noqa: F811
    install(source("import os; print('hello'); os.chdir('/'); " + KNOWS, "print('open'); " + OPENS))
    dtool.load(odd_file)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert {"hello", "open"} <= set(seen.err.split())
    assert Path.cwd() == odd_file.parent


def test_one_that_cannot_be_imported_costs_a_warning(install, odd_file):  # noqa: F811
    install(HOOK + "@hookimpl\ndef register_readers(register): register('odd', 'bad_one.nowhere:odd')\n")
    install(source(), "good-one")
    with pytest.warns(PluginWarning, match="reader .*odd of bad-one 1.2 cannot be loaded"):
        assert dtool.load(odd_file).shape == (2,)


@pytest.mark.parametrize(("target", "why"), [("len", "a builtin_function_or_method that @reader"),
                                             ("odd.open", "a function that @reader")])  # fmt: skip
def test_what_is_no_reader_is_said_when_it_is_registered(install, target, why):  # noqa: F811
    install(source().replace('register("odd", odd)', f'register("odd", {target})'))
    with pytest.warns(PluginWarning, match=f"reader odd of bad-one 1.2 is {why}"):
        assert plugin().status == "faulty"


def test_dtool_s_own_come_first_and_then_nobody_is_asked(install, odd_file, own):  # noqa: F811
    install(source())
    mine = own("mine", lambda path: str(path).endswith(".odd"))
    assert find_reader(odd_file) is mine
    assert dtool.load(odd_file).shape == (1,)
    assert "bad_one" not in sys.modules, "no package is looked at where a built-in reader knows"


def test_of_dtool_s_own_the_first_that_knows_opens(odd_file, own):
    own("second", lambda path: True)
    first = own("first", lambda path: True)
    own("before both", lambda path: False)
    assert find_reader(odd_file) is first


def test_a_stranger_s_that_has_a_built_in_s_name_comes_after_all_built_ins(install, odd_file, own):  # noqa: F811
    install(source())
    get_registry().load_installed()
    last = own("mine", lambda path: True)
    first = own("odd", lambda path: False)
    entries = [entry.load() for entry in get_registry().readers.iterate_by_need() if entry.name in ("odd", "mine")]
    assert [each.origin.package for each in entries] == ["dtool", "dtool", "bad-one"]
    assert entries[:2] == [first, last]
    assert find_reader(odd_file) is last


def test_a_fault_in_one_of_dtool_s_own_is_no_secret(odd_file, own):
    def fails(path):
        raise DtoolError("broken", "mend it")

    own("mine", fails)
    with pytest.raises(DtoolError, match="broken"):
        find_reader(odd_file)


def test_an_onnx_file_is_dtool_s_own_and_no_package_is_looked_at(install, folder):  # noqa: F811
    pytest.importorskip("onnxruntime")
    install(source("return True"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dtool.default_network().shape == (1, 28, 28)
    assert "bad_one" not in sys.modules


def test_a_folder_that_nobody_knows_names_the_readers(install, folder):  # noqa: F811
    install(source())
    (folder / "model").mkdir()
    with pytest.raises(DtoolError) as error:
        dtool.load(folder / "model")
    assert str(error.value).startswith(f"{folder / 'model'} is a folder that no reader knows (")
    assert "odd" in str(error.value)
    assert error.value.hint == "give a file, or a model's whole folder"


def test_a_file_that_is_not_there_asks_nobody(install, folder):  # noqa: F811
    install(source("raise RuntimeError"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DtoolError, match="there is no file"):
            dtool.load(folder / "nowhere.pt")
        with pytest.raises(DtoolError, match=r"there is no file .*nowhere\.odd"):
            dtool.load(folder / "nowhere.odd")


def test_without_plugins_none_is_asked(install, odd_file, monkeypatch):  # noqa: F811
    install(source())
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "1")
    with pytest.raises(UsageError, match="neither a checkpoint nor an ONNX file"):
        dtool.load(odd_file)
