PYTHON ?=
ONLY ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: setup packages controlplane helm demo demo-kubernetes demo-failover demo-lan test test-full check golden bench clean help

setup: .venv/.project  ## Install what is missing: Debian packages, .venv, Fairlead itself

controlplane: setup  ## Build the Kubernetes control plane of the lab, once (Go 1.24 or newer)
	@$(BIN)/python -m fairlead.lab.kubernetes >/dev/null

helm: setup  ## Build Helm, which renders and proves the chart, once (Go 1.24 or newer)
	@$(BIN)/python -m fairlead.lab.helm >/dev/null

demo: setup  ## Show Fairlead at work on a network of namespaces (root)
	@$(BIN)/fairlead demo

demo-kubernetes: controlplane  ## Show it on a Kubernetes cluster of namespaces, through kubectl (root)
	@$(BIN)/fairlead demo --kubernetes

demo-failover: setup  ## Watch engines fail: a crash, a killed agent, a drain; a scale-out (root)
	@$(BIN)/fairlead demo --failover

demo-lan: controlplane  ## Watch a VIP that comes from the LAN's DHCP server, and one on the internet by UPnP (root)
	@$(BIN)/fairlead demo --lan

test: controlplane helm  ## Run the tests, the lab included (root)
	@scripts/test -m "not slow"

test-full: controlplane helm  ## Run the slow tests too (root)
	@scripts/test

check: setup  ## Lint, formatting, types, layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

golden: helm  ## Write the golden files anew; review the difference
	@$(BIN)/pytest tests/test_golden.py tests/deploy/test_files.py --update-golden

bench: controlplane  ## Print each benchmark beside its goal; ONLY=name runs one
	@$(BIN)/python -m bench $(ONLY)

clean:  ## Remove .venv, caches and build results
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find src tests bench scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

packages:
	@scripts/packages

.venv/.requirements: requirements.txt requirements-dev.txt | packages
	@PYTHON="$(PYTHON)" scripts/venv
	@touch $@

.venv/.project: .venv/.requirements pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
