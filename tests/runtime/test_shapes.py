"""Request documents against SageMaker's own shapes."""

import importlib.util
import json
import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path

import botocore
import pytest

from cdk_ml_release.runtime import shapes
from cdk_ml_release.runtime.contract import fill

from .samples import DOCUMENTS, VALUES

OPERATIONS = {"preprocess": "CreateProcessingJob", "train": "CreateTrainingJob", "evaluate": "CreateProcessingJob"}
FILLED = {verb: fill(document, VALUES | {"JobName": "a", "Inputs": "0"}) for verb, document in DOCUMENTS.items()}


@cache
def rendered():
    """What the tool makes of the botocore that is installed."""
    path = Path(__file__).parents[2] / "tools/render_shapes.py"
    spec = importlib.util.spec_from_file_location("render_shapes", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.render()


def train_with(path, value):
    """The training request with one value changed."""
    request = deepcopy(FILLED["train"])
    *parents, last = path.split(".")
    part = request
    for parent in parents:
        part = part[parent]
    part[last] = value
    return shapes.problems("CreateTrainingJob", request)


@pytest.mark.parametrize("verb", FILLED)
def test_the_documents_of_a_build_are_well_formed(verb):
    assert shapes.problems(OPERATIONS[verb], FILLED[verb]) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("TrainingJobName", "a" * 64, "TrainingJobName must be at most 63 characters, got 64"),
        ("TrainingJobName", "a_b", "TrainingJobName must match [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}, got 'a_b'"),
        ("RoleArn", "arn:aws:iam::1:r", "RoleArn must be at least 20 characters, got 16"),
        ("RoleArn", 7, "RoleArn must be a string, got 7"),
        ("Environment", {"A": "x" * 513}, "Environment.A must be at most 512 characters, got 513"),
        ("Environment", {"1A": "x"}, "Environment key must match [a-zA-Z_][a-zA-Z0-9_]*, got '1A'"),
        ("HyperParameters", dict.fromkeys(map(str, range(101)), "1"), "HyperParameters must be at most 100 entries"),
        ("HyperParameters", {"depth": 3}, "HyperParameters.depth must be a string, got 3"),
        ("InputDataConfig", [], "InputDataConfig must be at least 1 items, got 0"),
        ("ResourceConfig.VolumeSizeInGB", True, "ResourceConfig.VolumeSizeInGB must be a integer, got True"),
        ("ResourceConfig.Color", "blue", "ResourceConfig.Color is not known to SageMaker"),
        ("EnableManagedSpotTraining", "yes", "EnableManagedSpotTraining must be a boolean, got 'yes'"),
        ("OutputDataConfig", {}, "OutputDataConfig.S3OutputPath is required"),
        ("AlgorithmSpecification.TrainingInputMode", "Tape", "must be one of Pipe, File, FastFile, got 'Tape'"),
    ],
)
def test_refuses_what_sagemaker_would_refuse(path, value, problem):
    (found,) = [each for each in train_with(path, value) if problem in each]

    assert found.startswith(path.partition(".")[0])


def test_an_instance_type_that_came_later_is_not_refused():
    assert train_with("ResourceConfig.InstanceType", "ml.m99.large") == []


def test_a_rule_that_python_cannot_read_is_left_to_sagemaker():
    query = {"Catalog": "awsdatacatalog", "Database": "d", "QueryString": "select 1", "OutputFormat": "JSON"}
    athena = {"AthenaDatasetDefinition": query | {"OutputS3Uri": "s3://bucket/x"}}
    request = FILLED["preprocess"] | {"ProcessingInputs": [{"InputName": "q", "DatasetDefinition": athena}]}

    assert shapes.problems("CreateProcessingJob", request) == []


def test_every_rule_is_read_without_a_warning():
    texts = {name: shape for name, shape in shapes.packaged()["shapes"].items() if shape["type"] == "string"}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in texts.values():
            shapes.problems("Any", "sample", {"shapes": {"AnyRequest": shape}})

    assert texts


def test_the_packaged_shapes_are_those_of_botocore():
    packaged = (Path(shapes.__file__).parent / "shapes.json").read_text(encoding="utf-8")
    version = json.loads(packaged)["botocore"]
    if version != botocore.__version__:
        pytest.skip(f"the packaged shapes are of botocore {version}, installed is {botocore.__version__}")

    assert packaged == rendered(), "run tools/render_shapes.py"


@pytest.mark.parametrize("verb", FILLED)
def test_the_installed_botocore_would_not_refuse_the_documents_either(verb):
    installed = json.loads(rendered())

    assert shapes.problems(OPERATIONS[verb], FILLED[verb], installed) == [], "run tools/render_shapes.py"
