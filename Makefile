# Two commands do everything: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo
SEED   ?= 1
FUZZ_SECONDS ?= 60
RECIPE := --batch-size 1000 --optimizer adam --lr-scheduler warmup+cos --warmup-steps 0.05 --start-lr 2e-2 --num-epochs 8 --ensemble 4 --ensemble-weights none --train-val-split 0.9

.DEFAULT_GOAL := help
.PHONY: help install demo test docs cpp soak fuzz lint clean

help:  ## show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(VENV)/.installed  ## create .venv and install the package with its test and lint tools

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	@touch $@

demo: install  ## toy data -> training -> predictions -> closure -> ONNX, in under 6 minutes
	@mkdir -p $(DEMO)
	$(BIN)/weaver-tt toy --events 200000 --seed $(SEED) -o $(DEMO)/train.root
	$(BIN)/weaver-tt toy --events 100000 --seed $(SEED)00 -o $(DEMO)/test.root
	$(BIN)/python train.py --data-train $(DEMO)/train.root --data-config data_configs/truth_tagging.yaml \
	  --network-config network_configs/truth_tagging_edges.py --model-prefix $(DEMO)/model/edges \
	  $(RECIPE) --gpus '' --seed $(SEED) --tensorboard $(DEMO)/tensorboard --overwrite
	$(BIN)/python train.py --predict --data-test $(DEMO)/test.root --data-config data_configs/truth_tagging.yaml \
	  --network-config network_configs/truth_tagging_edges.py --model-prefix $(DEMO)/model/edges \
	  --gpus '' --predict-output $(DEMO)/pred.root
	$(BIN)/weaver-tt closure $(DEMO)/pred.root --map-from $(DEMO)/train.root -o $(DEMO)/closure
	$(BIN)/weaver-tt weights $(DEMO)/pred.root --exactly 2 --at-least 1 -o $(DEMO)/weights.root
	$(BIN)/python train.py --export-onnx $(DEMO)/onnx/model.onnx --data-config data_configs/truth_tagging.yaml \
	  --network-config network_configs/truth_tagging_edges.py --model-prefix $(DEMO)/model/edges
	$(BIN)/python train.py --predict --data-test $(DEMO)/test.root --data-config data_configs/truth_tagging.yaml \
	  --model-prefix $(DEMO)/onnx/model.onnx --predict-output $(DEMO)/pred_onnx.root
	@echo
	@echo "The demo is done. Its results:"
	@echo "  $(DEMO)/closure/*.png, closure.json   network and map against direct tagging"
	@echo "  $(DEMO)/pred.root                     efficiencies of every jet (jet_eff)"
	@echo "  $(DEMO)/weights.root                  event weights for an analysis"
	@echo "  $(DEMO)/onnx/model.onnx               the network for C++, with preprocess.json"
	@echo "  $(BIN)/tensorboard --logdir $(DEMO)/tensorboard"

test: install  ## the whole test suite
	$(BIN)/python -m pytest

docs: install  ## the docs as a site with search, in site/
	$(BIN)/mkdocs build --strict

cpp: install  ## build the C++ library and run its tests, with headers from Debian's packages
	cpp/get_dependencies.sh build/cpp-dependencies
	$(BIN)/python -m pytest tests/deploy/test_cpp_library.py

fuzz: install  ## look for YAMLs and expressions that break a promise, FUZZ_SECONDS (60) each
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	@mkdir -p fuzz/yaml fuzz/expressions
	$(BIN)/python tests/fuzz_inputs.py yaml fuzz/yaml data_configs -artifact_prefix=fuzz/ -max_total_time=$(FUZZ_SECONDS)
	$(BIN)/python tests/fuzz_inputs.py expressions fuzz/expressions -artifact_prefix=fuzz/ -max_total_time=$(FUZZ_SECONDS)

soak: install  ## interrupt runs of every kind at random moments, continue and compare them
	$(BIN)/python tests/soak.py --moments 50

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove .venv, caches and the demo's results
	rm -rf $(VENV) $(DEMO) fuzz build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
