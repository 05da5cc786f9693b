# The two commands: `make demo` and `make test`. Both set everything up on a machine that has Rust and Python.
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
MATURIN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/maturin
# The other WebSocket libraries, for the benchmarks.
PEERS := $(VENV)-peers
MIN_PYTHON := 3.11
MIN_RUST := 1.95
# Of `make fuzz`, for each target, and of `make soak`.
MINUTES ?= 10
# Of `make exits`.
COUNT ?= 100
# Test processes at once: tests wait more than they compute.
JOBS ?= 3
# The native programs of the benchmarks, where benches/native.py builds them, too.
NATIVE := benches/native/Cargo.toml
NATIVE_TARGET := $(or $(CARGO_TARGET_DIR),target)/benches
# cmake, which builds libopus, is in the environment unless the machine has one.
export PATH := $(PATH):$(CURDIR)/$(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: audit autobahn compat compat-client compat-packages coverage drivers exits faults frozen fuzz peers help instructions interleavings reproducible sanitize soak toolchain setup develop demo test lint rust-test python-test types wheel bench bench-python bench-peers bench-abi3 clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

toolchain:
	@PYTHON="$(PYTHON)" MIN_PYTHON=$(MIN_PYTHON) MIN_RUST=$(MIN_RUST) sh tools/check_toolchain.sh

$(VENV)/.ready: pyproject.toml | toolchain
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(PY) -m pip install --quiet --disable-pip-version-check --group dev
	touch $@

develop: $(VENV)/.ready ## build the core and install the package into .venv (a second time only what changed)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(VENV)/bin/maturin develop --release --quiet >/dev/null

setup: develop

demo: develop ## a real call: caller, bridge and agent as three processes, on real speech
	$(PY) -m pip install --quiet --disable-pip-version-check "matplotlib>=3.9" || echo "no matplotlib: the demo will draw no picture"
	$(PY) examples/demo.py

test: develop lint types rust-test python-test instructions ## everything that must hold before a change lands

lint: $(VENV)/.ready ## formatting, clippy, ruff, the layers
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path $(NATIVE)
	cargo clippy --quiet --locked --all-targets --features net -- -D warnings
	cargo clippy --quiet --locked --lib --features abi3 -- -D warnings
	cargo check --quiet --locked --no-default-features
	cargo clippy --quiet --locked --release --all-targets --manifest-path $(NATIVE) --target-dir $(NATIVE_TARGET) -- -D warnings
	$(PY) tools/check_layers.py
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: develop ## mypy --strict, pyright, and the stub against the compiled module
	$(PY) -m mypy
	$(PY) -m basedpyright
	$(PY) -m mypy.stubtest voxwire._core --allowlist tools/stubtest-allowlist.txt

rust-test: $(VENV)/.ready ## the tests of the Rust layers
	cargo test --quiet --locked --features net
	$(MAKE) --no-print-directory interleavings
	cargo test --quiet --locked --release --manifest-path $(NATIVE) --target-dir $(NATIVE_TARGET)

python-test: develop ## the tests of the package, over asyncio and uvloop
	$(PY) -m pytest -n $(JOBS) --dist loadfile

drivers: develop ## the tests of the package once more, with all connections read by tokio's threads
	VOXWIRE_DRIVER=tokio $(PY) -m pytest tests/python

peers: ## install the browsers, servers and proxies that tests/peers runs against (Debian, root)
	tools/install_peers.sh

autobahn: develop ## Autobahn|Testsuite, all cases in both roles (needs a Python 2.7); ARGS="--cases 7 --role client"
	$(PY) tests/autobahn/run.py $(ARGS)

compat: develop ## the same programs on websockets and on voxwire.compat, side by side; ARGS="-v closing" for some of them
	PYTHONPATH=tests/compat:tests/python $(PY) -m differential $(ARGS)

compat-packages: develop ## packages that use websockets, unchanged, on voxwire.compat; installs them beside the other tests' environment
	test -x $(VENV)-packages/bin/python || $(PY) -m venv $(VENV)-packages
	$(VENV)-packages/bin/python -m pip install --quiet -r tests/compat/packages/requirements.txt
	cd tests/compat && PYTHONPATH=$(CURDIR)/python $(CURDIR)/$(VENV)-packages/bin/python packages

compat-client: develop ## the same for websocket-client
	cd tests/compat && PYTHONPATH=../python $(CURDIR)/$(PY) -m websocket_client $(ARGS)

faults: develop ## floods of every kind: what they cost in memory, what others notice; ARGS="--quick", a name, --side, --loop
	cd tests && PYTHONPATH=python $(CURDIR)/$(PY) -m floods $(ARGS)

exits: develop ## interpreters that end under traffic: exit codes, stderr, recordings; COUNT=100
	PYTHONPATH=tests/python $(PY) -m support.exits $(COUNT)

interleavings: ## the hand-off queue and the back-pressure flags under every interleaving (loom)
	cargo test --quiet --locked --manifest-path tests/interleavings/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target)/interleavings

sanitize: develop ## the Rust tests under ThreadSanitizer and AddressSanitizer, the extension under AddressSanitizer; ARGS="thread"
	sh tools/sanitize.sh $(ARGS)

fuzz: $(VENV)/.ready ## fuzz the sans-IO layers; MINUTES=10 for each target, TARGET=frames for one
	MINUTES=$(MINUTES) TARGET=$(TARGET) sh tools/fuzz.sh

soak: develop ## calls, floods, kills and restarts for MINUTES=10; LOOP=uvloop; exit code 1 when something is lost or left
	$(PY) tests/soak/soak.py --minutes $(MINUTES) --loop $(or $(LOOP),asyncio)

audit: $(VENV)/.ready ## licences, banned crates, duplicates, sources, known vulnerabilities; installs cargo-deny the first time
	sh tools/audit.sh

coverage: $(VENV)/.ready ## which lines and branches the tests reach, into docs/coverage.md (needs Debian's llvm-22)
	sh tools/coverage.sh

reproducible: $(VENV)/.ready ## build the wheel twice, elsewhere, and compare the bytes
	sh tools/reproducible.sh

wheel: $(VENV)/.ready ## build the wheel, check it, install it into an empty environment, try it there
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/maturin build --release --quiet --locked --out dist
	PYTHON="$(PYTHON)" sh tools/try_wheel.sh

frozen: wheel ## applications with the wheel in them: frozen by PyInstaller (installs it elsewhere), and zipped
	PYTHON="$(PYTHON)" sh tools/try_frozen.sh

bench: $(VENV)/.ready ## criterion benches of the Rust layers
	cargo bench --locked --features net

instructions: develop ## instructions per message of the hot paths, against their bounds (needs valgrind)
	$(PY) -m benches.instructions

bench-python: develop ## round trips, one-way flows, bridged calls, memory; beside websockets, aiohttp, picows, audioop
	$(PY) -m pip install --quiet --disable-pip-version-check --group bench
	$(PY) -m benches.run

bench-peers: $(VENV)/.ready $(PEERS)/.ready ## voxwire beside every other WebSocket library, 20 minutes; ARGS="--write" puts it into benches/README.md
	rm -rf dist/peers
	$(MATURIN) build --release --quiet --locked --out dist/peers
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/peers/*.whl
	$(PEERS)/bin/python -m benches.peers $(ARGS)

bench-abi3: $(VENV)/.ready $(PEERS)/.ready ## what the stable ABI costs: the wheel beside one for this version of Python
	rm -rf dist/abi3 dist/version
	$(MATURIN) build --release --quiet --locked --features abi3 --out dist/abi3
	$(MATURIN) build --release --quiet --locked --features python --interpreter $(PEERS)/bin/python --out dist/version
	for kind in abi3 version; do \
		$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target dist/$$kind/installed dist/$$kind/*.whl || exit 1; \
	done
	$(PEERS)/bin/python -m benches.peers.abi3 dist/abi3/installed dist/version/installed $(ARGS)

$(PEERS)/.ready: benches/peers/requirements.txt | toolchain
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --requirement $<
	touch $@

clean: ## forget what was built
	rm -rf target $(VENV) $(PEERS) dist demo-out
