"""A CodePipeline that owes nothing to this library: S3 source, a buildspec of its own, conditions, CloudFormation."""

from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

app = App()
stack = Stack(app, "plain")
bucket = s3.Bucket(stack, "Code", versioned=True, removal_policy=RemovalPolicy.DESTROY)
code, built = codepipeline.Artifact("code"), codepipeline.Artifact("built")
project = codebuild.PipelineProject(
    stack,
    "Project",
    environment_variables={"GREETING": codebuild.BuildEnvironmentVariable(value='it\'s "quoted" & fine')},
)
deployer = iam.Role(stack, "Deployer", assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"))
deployer.add_to_policy(iam.PolicyStatement(actions=["sns:CreateTopic", "sns:DeleteTopic"], resources=["*"]))


def skip_unless(value: str) -> codepipeline.Conditions:
    rule = codepipeline.Rule(
        name="Wanted",
        provider="VariableCheck",
        version="1",
        configuration={"Variable": "#{built.VERDICT}", "Value": value, "Operator": "EQ"},
    )
    return codepipeline.Conditions(conditions=[codepipeline.Condition(result=codepipeline.Result.SKIP, rules=[rule])])


deploy = actions.CloudFormationCreateUpdateStackAction(
    action_name="Topic",
    stack_name="topic",
    template_path=built.at_path("out/topic.json"),
    parameter_overrides={"Name": built.get_param("out/names.json", "topic")},
    admin_permissions=False,
    deployment_role=deployer,
    variables_namespace="topic",
)
show = actions.CodeBuildAction(
    action_name="Show",
    project=project,
    input=code,
    environment_variables={"TOPIC": codebuild.BuildEnvironmentVariable(value="#{topic.Arn}")},
    outputs=[codepipeline.Artifact("shown")],
)
pipeline = codepipeline.Pipeline(
    stack,
    "Pipeline",
    pipeline_type=codepipeline.PipelineType.V2,
    cross_account_keys=False,
    artifact_bucket=s3.Bucket(stack, "Artifacts"),
)
pipeline.add_stage(
    stage_name="Source",
    actions=[
        actions.S3SourceAction(
            action_name="Zip", bucket=bucket, bucket_key="code.zip", output=code, trigger=actions.S3Trigger.NONE
        )
    ],
)
build = actions.CodeBuildAction(
    action_name="Build", project=project, input=code, outputs=[built], variables_namespace="built"
)
pipeline.add_stage(stage_name="Build", actions=[build])
pipeline.add_stage(
    stage_name="Never",
    actions=[actions.ManualApprovalAction(action_name="Never")],
    before_entry=skip_unless("bad"),
)
pipeline.add_stage(stage_name="Deploy", actions=[deploy], before_entry=skip_unless("good"))
pipeline.add_stage(stage_name="Show", actions=[show])
app.synth()
