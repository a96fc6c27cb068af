# To begin with: `make demo` (no PyTorch) and `make test`. Each sets up the environment that it needs, once.
PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check
STAMP = pyproject.toml constraints.txt tests/parity/requirements.txt
# Two processes of one thread each: PyTorch's threads would wait for each other, and cost twice the processor time.
# The tests of a file run in one process, in order. (Not loadgroup: pytest-xdist 3.8.0 ignores its groups under pytest 9.2.0.)
PYTEST = OMP_NUM_THREADS=1 .venv-dev/bin/python -m pytest -n 2 --dist loadfile
CORE = $(addprefix tests/,certify plan samplers schedulers spacings targets)

.PHONY: demo test test-fast test-all lint types docs bench clean

demo: .venv/.ready  ## sample and compare with the network inside the package
	@mkdir -p demo-out
	.venv/bin/python -m dtool sample --sampler ddpm --scheduler cosine --sigma tilde --steps 50 -o demo-out/samples.png --trace
	.venv/bin/python -m dtool compare ddpm:sigma=beta ddpm:sigma=tilde ddpm:sigma=none ddim dpmpp-2m --steps 10,20 -n 6 --repeats 1 -o demo-out/compare.png
	@echo
	@echo "Look at demo-out/samples.png, demo-out/samples-trace.png and demo-out/compare.png"

test: .venv-dev/.ready  ## all that is quick, and a sample of what is long (SAMPLE='--sample-seed monday': another one)
	$(PYTEST) -m 'not whole' $(SAMPLE)

test-fast: .venv-dev/.ready  ## the core of the mathematics, in under a minute
	$(PYTEST) -m core $(CORE)

test-all: .venv-dev/.ready  ## every test, and every combination of the sweep
	$(PYTEST)

lint: .venv-dev/.ready
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .

types: .venv-dev/.ready
	.venv-dev/bin/mypy

docs: .venv-dev/.ready  ## write the generated parts of the documentation
	.venv-dev/bin/python docs/generate.py

bench: .venv-dev/.ready
	.venv-dev/bin/python benchmarks/overhead.py
	.venv-dev/bin/python benchmarks/compile.py
	.venv-dev/bin/python benchmarks/cold_start.py

.venv/.ready: $(STAMP)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dtool needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -e '.[cpu]'
	@touch $@

.venv-dev/.ready: $(STAMP)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dtool needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python $(PIP) -c constraints.txt -e '.[dev]'
	.venv-dev/bin/python $(PIP) --no-deps -r tests/parity/requirements.txt
	@touch $@

clean:
	rm -rf .venv .venv-dev .cache demo-out build dist .pytest_cache .ruff_cache .mypy_cache
