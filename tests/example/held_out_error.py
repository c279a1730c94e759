"""Print the RMSE on held-out rows for each seed: ``held_out_error.py FOLDER_OF_THE_MODEL FILE SEED...``.

Runs in the model's environment, with the functions of the model's own programs. One process for all seeds,
since most of the time of a small job is the import of scikit-learn.
"""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

FOLDER, FILE, *SEEDS = sys.argv[1:]
sys.path.insert(0, FOLDER)


def program(name: str) -> ModuleType:
    spec = spec_from_loader(name, SourceFileLoader(name, str(Path(FOLDER, name))))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


preprocess, train, evaluate = map(program, ["preprocess", "train", "evaluate"])
abalone = sys.modules["abalone"]

_, table = abalone.read_lines(Path(FILE).read_text(), abalone.COLUMNS)
features, ages = table[:, : len(abalone.FEATURES)], abalone.age(table)
for seed in SEEDS:
    testing = preprocess.hold_out(ages, seed=int(seed))
    model = train.estimator(**train.DEFAULTS).fit(features[~testing], ages[~testing])
    print(evaluate.measure(model.predict(features[testing]), ages[testing])["rmse"]["value"])
