# Python from 3.11 on and make are enough. Where python3 is older: make run PYTHON=python3.12
PYTHON ?= python3
PY := .venv/bin/python
VERSION = $(shell $(PY) -c 'import portal; print(portal.__version__)')
KEYWORDS := _ _n:1,2 _p:1c,2 _m _mn:1,2 L_

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench audit dist lock messages clean venv runtime dev

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

run: runtime ## start the portal with demo data (PORTAL_DEMO=0 make run: with your own)
	@PORTAL_DEMO="$${PORTAL_DEMO-1}" exec $(PY) app.py

test: dev ## run every check and every test (ARGS=tests/db: some of them)
	@$(PY) -m tests.peers
	@$(PY) -c 'import portal.i18n'
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -n 2 $(ARGS)

lint: dev ## check style, types and the direction of imports
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright
	$(PY) .venv/bin/lint-imports

format: dev ## put the code in shape
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: dev ## measure how fast it is
	@$(PY) -m bench $(ARGS)

audit: dev ## ask whether anything in the lock has a known vulnerability
	$(pip_audit)

dist: dev ## pack the source of this commit into dist/, with checksums and a list of what is in it (SBOM)
	rm -rf dist && mkdir dist
	git archive --format=tar.gz --prefix=portal-$(VERSION)/ --output=dist/portal-$(VERSION).tar.gz HEAD
	$(pip_audit) --format cyclonedx-json --output dist/portal-$(VERSION).sbom.json || test -s dist/portal-$(VERSION).sbom.json
	cd dist && sha256sum portal-* > SHA256SUMS

lock: dev ## write the lock files (UPGRADE=--upgrade: with the newest versions)
	$(call compile,requirements.in) --output-file requirements.lock
	$(call compile,requirements-dev.in) --constraint requirements.lock --output-file requirements-dev.lock

messages: dev ## collect the visible words into locales/
	$(PY) -m babel.messages.frontend extract --mapping=babel.cfg --no-default-keywords $(KEYWORDS:%=--keyword=%) \
	  --add-location=file --sort-by-file --omit-header --output=locales/portal.pot app.py portal
	$(PY) -m babel.messages.frontend update --domain=portal --input-file=locales/portal.pot --output-dir=locales \
	  --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date

clean: ## remove what was installed and compiled, but no data
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache tests/.peers
	find . -name __pycache__ -prune -exec rm -rf {} +

compile = $(PY) -m uv pip compile $(1) --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE)

# strict: a package that could not be looked up is no package without vulnerabilities, and would be missing from the SBOM
pip_audit = $(PY) -m pip_audit --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off --strict

# .venv/installed is a copy of the lock file that was installed, written last. The one for development contains the other.
runtime: venv
	@cmp -s requirements-dev.lock .venv/installed || $(call install,requirements.lock)

dev: venv
	@$(call install,requirements-dev.lock)

install = { cmp -s $(1) .venv/installed || { \
	  echo 'Installing $(1) …'; rm -f .venv/installed; \
	  $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) && cp $(1) .venv/installed; }; }

venv:
	@$(PY) -c '' 2>/dev/null || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo 'The portal needs Python 3.11 or newer: make run PYTHON=/path/to/python3.12' >&2; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo 'Python cannot make environments here: install the package python3-venv first.' >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear .venv; }
