"""The stack of an endpoint: synthesized with the app, deployed by every release with parameters of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from aws_cdk import App, BootstraplessSynthesizer, CfnOutput, CfnParameter, Stack
from aws_cdk import aws_sagemaker as sagemaker

VARIANT = "AllTraffic"


@dataclass(frozen=True, kw_only=True)
class EndpointTemplate:
    """What of an endpoint is decided at synth."""

    endpoint_name: str
    instance_type: str
    instance_count: int
    capture_percentage: int
    encrypted: bool

    def render(self) -> str:
        """Synthesize the template.

        Its parameters are ``ReleaseName`` (the name of model and configuration), ``ModelPackageArn``,
        ``ModelRoleArn``, ``CaptureUri`` and, if encrypted, ``KmsKeyArn``.
        """
        # An app of its own: its stack is not deployed with the user's, and their tokens must not meet.
        with TemporaryDirectory() as folder:
            app = App(outdir=folder, analytics_reporting=False, builtin_cloud_formation_validation=False)
            stack = Stack(app, "Endpoint", synthesizer=BootstraplessSynthesizer())
            self._define(stack)
            template = app.synth().get_stack_by_name("Endpoint").template
        return json.dumps(template, indent=1)

    def _define(self, stack: Stack) -> None:
        release_name = _parameter(stack, "ReleaseName")
        model = sagemaker.CfnModel(
            stack,
            "Model",
            model_name=release_name,
            execution_role_arn=_parameter(stack, "ModelRoleArn"),
            containers=[
                sagemaker.CfnModel.ContainerDefinitionProperty(model_package_name=_parameter(stack, "ModelPackageArn"))
            ],
        )
        key = _parameter(stack, "KmsKeyArn") if self.encrypted else None
        config = sagemaker.CfnEndpointConfig(
            stack,
            "Config",
            endpoint_config_name=release_name,
            kms_key_id=key,
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=VARIANT,
                    model_name=model.attr_model_name,
                    instance_type=self.instance_type,
                    initial_instance_count=self.instance_count,
                    initial_variant_weight=1,
                )
            ],
            data_capture_config=self._capture(_parameter(stack, "CaptureUri"), key),
        )
        endpoint = sagemaker.CfnEndpoint(
            stack,
            "Endpoint",
            endpoint_name=self.endpoint_name,
            endpoint_config_name=config.attr_endpoint_config_name,
        )
        CfnOutput(stack, "EndpointName", value=endpoint.attr_endpoint_name)
        CfnOutput(stack, "ConfigName", value=config.attr_endpoint_config_name)

    def _capture(self, uri: str, key: str | None) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty | None:
        if self.capture_percentage == 0:
            return None
        modes = ("Input", "Output")
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=self.capture_percentage,
            destination_s3_uri=uri,
            kms_key_id=key,
            capture_options=[
                sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode) for mode in modes
            ],
            # Without these, what is captured is base64 and nobody can read it.
            capture_content_type_header=sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                csv_content_types=["text/csv"], json_content_types=["application/json"]
            ),
        )


def _parameter(stack: Stack, name: str) -> str:
    return CfnParameter(stack, name, type="String").value_as_string
