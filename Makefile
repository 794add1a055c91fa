# make run    the whole pipeline on simulated speech
# make test   the tests        make test-slow   the long tests    make test-gpu   the tests for a GPU
# make lint   ruff, shellcheck make bench       the benchmarks    make docs       the documentation as a site
SHELL := /bin/bash
PYTHON ?= python3.11
.PHONY: run test test-slow test-gpu lint bench docs clean

# Reinstall only if setup.cfg, pyproject.toml or constraints.txt changed.
.venv/installed: setup.cfg pyproject.toml constraints.txt
	[ -x .venv/bin/python ] || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	.venv/bin/python -m compileall -q sertk
	touch $@

run: .venv/installed
	cd egs/mini && ./run.sh

# A process per core, up to 8.
test: .venv/installed
	.venv/bin/python -m pytest -q --numprocesses auto --maxprocesses 8 --dist worksteal

test-slow: .venv/installed
	.venv/bin/python -m pytest -q -m slow --timeout 7200

test-gpu: .venv/installed
	@gpu=$$(.venv/bin/python -c 'import torch; print(int(torch.cuda.is_available()))') || exit 1; \
	if [ "$$gpu" = 1 ]; then .venv/bin/python -m pytest -q -m gpu tests/gpu; \
	else echo "test-gpu: no GPU that torch can use: nothing was tested"; fi

lint: .venv/installed
	.venv/bin/ruff check . egs/common/utils/{run-local,run-slurm,units}
	.venv/bin/ruff format --check . egs/common/utils/{run-local,run-slurm,units}
	git ls-files -z '*.sh' bin/launch .ci/run | xargs -0 .venv/bin/shellcheck -x

bench: .venv/installed
	for b in benchmarks/*.py; do .venv/bin/python "$$b" || exit 1; done

docs: .venv/installed
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	.venv/bin/python -m mkdocs build --quiet
	@echo "docs: build/site/index.html"

clean:
	rm -rf build dist *.egg-info
