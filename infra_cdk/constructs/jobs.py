"""Where training and packaging jobs run: the image's repository, and both engines that the workflow can choose.

The workflow's definition is the same in every account, so it names Batch's queues and job definition by fixed names;
what the local cloud cannot make (all of Batch and the network under it) carries the condition `IsAws`.
"""

import re
from dataclasses import dataclass
from typing import Any

import jsii
from aws_cdk import (
    ArnFormat,
    Aspects,
    Aws,
    CfnCondition,
    CfnResource,
    Duration,
    Fn,
    IAspect,
    RemovalPolicy,
    Size,
    Stack,
)
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

from infra_cdk.config import JOB_REPOSITORY, Config
from infra_cdk.constructs import grants
from modelmill.core.version import VERSION

LOCAL_ACCOUNT = "000000000000"
JOB_DEFINITION = "modelmill-job"
"""And `-gpu` or `-cpu`; of jobs that take several hosts `-nodes-gpu` or `-nodes-cpu`."""
QUEUE = "modelmill-jobs"
"""And `-gpu` or `-cpu`, and `-spot` or `-on-demand`."""
MAX_VCPUS = 64
MAX_WAIT = Duration.days(1)
"""How long a job of Batch waits for a host that no queue can give it."""
_ECR_URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<name>[^:@]+)")


@jsii.implements(IAspect)
class OnlyIf:
    """Gives every resource that it visits a condition."""

    def __init__(self, condition: CfnCondition) -> None:
        self._condition = condition

    def visit(self, node: IConstruct) -> None:
        """Called by CDK for each construct of the scope."""
        if isinstance(node, CfnResource):
            node.cfn_options.condition = self._condition


def is_aws(scope: Construct) -> CfnCondition:
    """The condition of a stack that it is not in the local cloud."""
    here = Fn.condition_equals(Aws.ACCOUNT_ID, LOCAL_ACCOUNT)
    return CfnCondition(scope, "IsAws", expression=Fn.condition_not(here))


class JobImage(Construct):
    """The repository of the torch image, the URI that jobs pull, and the ARN of the repository that it lies in."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(scope, "JobImage")
        self.repository = ecr.Repository(
            self,
            "Repository",
            repository_name=JOB_REPOSITORY,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=5)],
            # Images are built again from the source; a repository that stayed would be in the next deployment's way.
            removal_policy=RemovalPolicy.DESTROY,
            empty_on_delete=True,
        )
        own = f"{Aws.ACCOUNT_ID}.dkr.ecr.{Aws.REGION}.{Aws.URL_SUFFIX}/{JOB_REPOSITORY}:{VERSION}"
        self.uri = config.job_image or own
        self.pulled_from = self._arn(config.job_image) if config.job_image else self.repository.repository_arn

    def _arn(self, uri: str) -> str | None:
        """The ARN of the ECR repository of an image; None for one that lies elsewhere."""
        found = _ECR_URI.match(uri)
        if found is None:
            return None
        return Stack.of(self).format_arn(
            service="ecr",
            account=found["account"],
            region=found["region"],
            resource="repository",
            resource_name=found["name"],
        )


@dataclass(frozen=True, slots=True)
class JobRights:
    """What the code of a job may do, on either engine."""

    statements: tuple[iam.PolicyStatement, ...]
    image: JobImage

    def attach(self, role: iam.Role, *, pulls: bool) -> None:
        """Give them to a role; `pulls`: the role itself fetches the image."""
        for statement in self.statements:
            role.add_to_policy(statement)
        if pulls:
            pull_image(role, self.image)


def pull_image(role: iam.Role, image: JobImage) -> None:
    """Let a role fetch the job's image; one outside ECR needs no permission of ours."""
    if image.pulled_from is None:
        return
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    role.add_to_policy(grants.allow(actions, [image.pulled_from]))
    # The token is the account's, not a repository's ("Actions, resources, and condition keys for Amazon ECR").
    role.add_to_policy(grants.allow(["ecr:GetAuthorizationToken"], ["*"]))


def sagemaker_role(scope: Construct, rights: JobRights) -> iam.Role:
    """The role that SageMaker takes on for a training job; SageMaker makes the log group itself."""
    role = iam.Role(scope, "SageMakerRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    rights.attach(role, pulls=True)
    log_group = Stack.of(scope).format_arn(
        service="logs",
        resource="log-group",
        resource_name="/aws/sagemaker/TrainingJobs:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    role.add_to_policy(
        grants.allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], [log_group]
        )
    )
    return role


@dataclass(frozen=True, slots=True)
class _Kind:
    """Hosts of one kind, with one job each."""

    name: str
    classes: tuple[ec2.InstanceClass, ...]
    image: batch.EcsMachineImageType
    gpu: int | None


_KINDS = (
    _Kind("Gpu", (ec2.InstanceClass.G5, ec2.InstanceClass.G4DN), batch.EcsMachineImageType.ECS_AL2023_NVIDIA, 1),
    _Kind("Cpu", (ec2.InstanceClass.M5, ec2.InstanceClass.M7I), batch.EcsMachineImageType.ECS_AL2023, None),
)


class BatchEngine(Construct):
    """For each kind: spot and on-demand hosts from none up, a queue that prefers each, and the job definitions.

    Hosts stand in public subnets with no way in: a NAT gateway would cost more in a month than the rest of modelmill,
    and private subnets without one cannot reach ECR. S3 and DynamoDB go through gateway endpoints, which are free.
    """

    def __init__(
        self, scope: Construct, config: Config, image: JobImage, rights: JobRights, is_aws: CfnCondition
    ) -> None:
        super().__init__(scope, "Batch")
        Aspects.of(self).add(OnlyIf(is_aws))
        vpc, subnets = self._network(config)
        log = logs.LogGroup(self, "Log", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
        job_role = iam.Role(self, "JobRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        rights.attach(job_role, pulls=False)
        start_role = iam.Role(self, "StartRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        pull_image(start_role, image)
        log.grant_write(start_role)
        driver = ecs.LogDriver.aws_logs(stream_prefix="job", log_group=log)
        for kind in _KINDS:
            spot = self._hosts(kind, vpc, subnets, spot=True)
            on_demand = self._hosts(kind, vpc, subnets, spot=False)
            self._queue(kind, "Spot", [spot, on_demand])
            self._queue(kind, "OnDemand", [on_demand])
            self._definitions(kind, image, job_role, start_role, driver)
        self.arns = {
            "BatchJobDefinition": _batch_arn(scope, "job-definition", JOB_DEFINITION),
            "BatchQueue": _batch_arn(scope, "job-queue", QUEUE),
        }
        kinds = [kind.name.lower() for kind in _KINDS]
        queues = [f"{self.arns['BatchQueue']}-{kind}-{market}" for kind in kinds for market in ("spot", "on-demand")]
        jobs = [f"{self.arns['BatchJobDefinition']}-{nodes}{kind}" for kind in kinds for nodes in ("", "nodes-")]
        self.submits = [*queues, *jobs, *(f"{job}:*" for job in jobs)]

    def _network(self, config: Config) -> tuple[ec2.IVpc, ec2.SubnetSelection]:
        if config.vpc_id:
            # Only the id is used; attributes keep synthesis off the network.
            vpc = ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=config.vpc_id, availability_zones=["unused"])
            chosen = [ec2.Subnet.from_subnet_id(self, subnet, subnet) for subnet in config.subnet_ids]
            return vpc, ec2.SubnetSelection(subnets=chosen)
        own = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=20)
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
            restrict_default_security_group=False,
        )
        return own, ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)

    def _hosts(
        self, kind: _Kind, vpc: ec2.IVpc, subnets: ec2.SubnetSelection, *, spot: bool
    ) -> batch.ManagedEc2EcsComputeEnvironment:
        strategy, name = batch.AllocationStrategy, kind.name + ("Spot" if spot else "OnDemand")
        inside = ec2.SecurityGroup(
            self, f"{name}Hosts", vpc=vpc, description="modelmill jobs: out, and in from hosts of the same job alone"
        )
        if not spot:  # the hosts of one job meet at rank 0's port, and then at ports of the system's choice
            inside.add_ingress_rule(inside, ec2.Port.all_tcp(), "processes that train one net together")
        return batch.ManagedEc2EcsComputeEnvironment(
            self,
            name,
            vpc=vpc,
            vpc_subnets=subnets,
            security_groups=[inside],
            spot=spot,
            allocation_strategy=strategy.SPOT_PRICE_CAPACITY_OPTIMIZED if spot else strategy.BEST_FIT_PROGRESSIVE,
            instance_classes=list(kind.classes),
            use_optimal_instance_classes=False,
            images=[batch.EcsMachineImage(image_type=kind.image)],
            minv_cpus=0,
            maxv_cpus=MAX_VCPUS,
        )

    def _queue(self, kind: _Kind, market: str, preferred: list[batch.ManagedEc2EcsComputeEnvironment]) -> None:
        reasons = batch.JobStateTimeLimitActionsReason
        batch.JobQueue(
            self,
            f"{kind.name}{market}Queue",
            job_queue_name=f"{QUEUE}-{kind.name.lower()}-{'spot' if market == 'Spot' else 'on-demand'}",
            compute_environments=[
                batch.OrderedComputeEnvironment(compute_environment=hosts, order=order)
                for order, hosts in enumerate(preferred, start=1)
            ],
            # Else a job that no host can ever run waits for the workflow's own timeout, and all behind it.
            job_state_time_limit_actions=[
                batch.JobStateTimeLimitAction(
                    reason=reason,
                    max_time=MAX_WAIT,
                    state=batch.JobStateTimeLimitActionsState.RUNNABLE,
                    action=batch.JobStateTimeLimitActionsAction.CANCEL,
                )
                for reason in (
                    reasons.INSUFFICIENT_INSTANCE_CAPACITY,
                    reasons.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
                    reasons.JOB_RESOURCE_REQUIREMENT,
                )
            ],
        )

    def _definitions(
        self, kind: _Kind, image: JobImage, job_role: iam.Role, start_role: iam.Role, driver: ecs.LogDriver
    ) -> None:
        """One for a host alone, one for several: the workflow says how many, and overrides every container alike."""

        def container(name: str) -> batch.EcsEc2ContainerDefinition:
            return batch.EcsEc2ContainerDefinition(
                self,
                name,
                image=ecs.ContainerImage.from_registry(image.uri),
                cpu=3,
                memory=Size.gibibytes(14),
                gpu=kind.gpu,
                user="job",  # of the image; SageMaker runs it as root
                job_role=job_role,
                execution_role=start_role,
                logging=driver,
            )

        # A reclaimed host is no fault of the job: it goes on from its checkpoint. Everything else is.
        retries: dict[str, Any] = {
            "retry_attempts": 3,
            "retry_strategies": [
                batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.SPOT_INSTANCE_RECLAIMED),
                batch.RetryStrategy.of(batch.Action.EXIT, batch.Reason.custom(on_reason="*")),
            ],
            # The workflow sets the recipe's own limit for each job.
            "timeout": Duration.days(5),
        }
        name = f"{JOB_DEFINITION}-{kind.name.lower()}"
        batch.EcsJobDefinition(
            self, f"{kind.name}Job", job_definition_name=name, container=container(f"{kind.name}Container"), **retries
        )
        nodes = batch.MultiNodeJobDefinition(
            self,
            f"{kind.name}Nodes",
            job_definition_name=f"{JOB_DEFINITION}-nodes-{kind.name.lower()}",
            containers=[
                batch.MultiNodeContainer(start_node=0, end_node=1, container=container(f"{kind.name}NodeContainer"))
            ],
            **retries,
        )
        resource = nodes.node.default_child
        if not isinstance(resource, CfnResource):
            raise TypeError("a job definition is one resource")
        # Open above, else no job may have another number of hosts (NodeOverrides, AWS Batch API).
        resource.add_property_override("NodeProperties.NodeRangeProperties.0.TargetNodes", "0:")


def _batch_arn(scope: Construct, resource: str, name: str) -> str:
    return Stack.of(scope).format_arn(service="batch", resource=resource, resource_name=name)
