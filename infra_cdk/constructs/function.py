"""A Lambda function from its folder, and the layers that a stack's functions carry."""

from collections.abc import Iterable, Mapping

from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra_cdk.bundling import Bundles
from infra_cdk.layers import FUNCTION_LAYERS

RUNTIME = lambda_.Runtime.PYTHON_3_13
"""SnapStart needs 3.12 or later. The local cloud ignores both and runs its own Python."""
MIB_PER_VCPU = 1_769
"""Lambda gives one full vCPU at this memory ("Configure Lambda function memory")."""


class Layers(Construct):
    """The layer versions of one stack, made when first asked for.

    Each stack has its own, because a layer's ARN changes with its content and CloudFormation refuses to change a value
    that another stack imports.
    """

    def __init__(self, stack: Stack, bundles: Bundles) -> None:
        super().__init__(stack, "Layers")
        self.bundles = bundles
        self._made: dict[str, lambda_.LayerVersion] = {}

    def of(self, function: str) -> list[lambda_.LayerVersion]:
        """The layers of a function, by its folder."""
        return [self._version(name) for name in FUNCTION_LAYERS[function]]

    def _version(self, name: str) -> lambda_.LayerVersion:
        if name not in self._made:
            self._made[name] = lambda_.LayerVersion(
                self,
                name.capitalize(),
                code=lambda_.Code.from_asset(str(self.bundles.layer(name))),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[lambda_.Architecture.X86_64],
                removal_policy=RemovalPolicy.DESTROY,
            )
        return self._made[name]


class ThinFunction(lambda_.Function):
    """The function of a folder under `functions/`: its own role, which may do what `statements` say and write its log.

    x86_64 throughout: onnxruntime has a history of crashes on arm64, and the layers are built once.
    """

    def __init__(
        self,
        layers: Layers,
        folder: str,
        *,
        memory: int,
        timeout: Duration,
        environment: Mapping[str, str],
        statements: Iterable[iam.PolicyStatement],
        storage: int | None = None,
        snap_start: bool = False,
        failed_events: sqs.IQueue | None = None,
    ) -> None:
        """`memory` and `storage` (of /tmp) in MiB; `failed_events` keeps events that the code failed on."""
        stack = Stack.of(layers)
        name = folder.rsplit("/", maxsplit=1)[-1].capitalize()
        role = iam.Role(stack, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        for statement in statements:
            role.add_to_policy(statement)
        log = logs.LogGroup(
            stack, f"{name}Log", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        log.grant_write(role)
        super().__init__(
            stack,
            name,
            description=f"modelmill {folder}",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.X86_64,
            handler="handler.handler",
            code=lambda_.Code.from_asset(str(layers.bundles.function(folder))),
            layers=layers.of(folder),
            role=role,
            memory_size=memory,
            timeout=timeout,
            environment=dict(environment),
            ephemeral_storage_size=Size.mebibytes(storage) if storage else None,
            log_group=log,
            tracing=lambda_.Tracing.ACTIVE,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
            dead_letter_queue=failed_events,
            # Keep the version that the alias just left, so that going back is moving the alias; unless it is a
            # snapshot, which is paid for as long as it is there.
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.DESTROY if snap_start else RemovalPolicy.RETAIN
            ),
        )
