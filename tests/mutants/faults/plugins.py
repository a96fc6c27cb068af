"""Faults in the plugins."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "loader-disables-packages-alone",
        "dtool/plugins/loader.py",
        "{_normalize_name(owner.name), _normalize_name(point.name)} & disabled",
        "{_normalize_name(owner.name)} & disabled",
        "a plugin cannot be switched off by its entry point's name",
    ),
    Fault(
        "loader-takes-an-impostor",
        "dtool/plugins/loader.py",
        'if _normalize_name(owner.name) == "dtool":',
        'if _normalize_name(owner.name) == "":',
        "another package called dtool is trusted as dtool itself",
    ),
    Fault(
        "guard-leaves-the-generator",
        "dtool/plugins/isolation.py",
        "_restore_numpy(numbers)",
        "_restore_numpy((None, None))",
        "NumPy's random state is afterwards what a plugin made of it",
    ),
    Fault(
        "guard-any-interrupt",
        "dtool/plugins/isolation.py",
        "if isinstance(failure, KeyboardInterrupt) and pressed:",
        "if isinstance(failure, KeyboardInterrupt):",
        "a plugin that raises KeyboardInterrupt ends the command",
    ),
    Fault(
        "registrar-one-more",
        "dtool/plugins/registrar.py",
        "if len(self.entries) < MAX_ENTRIES:",
        "if len(self.entries) <= MAX_ENTRIES:",
        "a plugin may register 1,001 names of a kind",
    ),
    Fault(
        "registry-built-in-shadowed",
        "dtool/plugins/registry.py",
        "return builtin or entries",
        "return entries",
        "a plugin with a built-in's name takes that away from everyone",
    ),
    Fault(
        "names-of-another-sampler",
        "dtool/plugins/known_recipes.py",
        '"sample_dpmpp_3m_sde": "dpmpp-3m-sde"',
        '"sample_dpmpp_3m_sde": "dpmpp-3m"',
        "k-diffusion's name for a stochastic sampler is that of a deterministic one",
    ),
)
