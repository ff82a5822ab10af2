"""The HTTP API: routes to `predict` and `control`, bearer keys, and the gateway's own refusals in our error shape."""

import json

from aws_cdk import CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra_cdk.config import Config

STAGE = "api"
AUTHORISER_CACHE = Duration.seconds(60)
"""For so long, and as long again in `authorise` itself, a key that was taken back still opens."""
BURST = 200
REQUESTS_PER_SECOND = 100

# Status, code, message (None: the gateway's own words) and hint by API Gateway's "Gateway response types".
REFUSALS: dict[str, tuple[str | None, str, str | None, str | None]] = {
    "UNAUTHORIZED": ("401", "unauthorized", "no valid key", "send the header Authorization: Bearer KEY"),
    "ACCESS_DENIED": ("403", "forbidden", None, "this key may not do that"),
    "MISSING_AUTHENTICATION_TOKEN": ("404", "not_found", "no such path", "the paths begin with /v1/ or /v2/"),
    "REQUEST_TOO_LARGE": ("413", "too_large", None, "send fewer instances, or upload the file to S3"),
    "THROTTLED": ("429", "throttled", "too many requests", "wait as many seconds as Retry-After says"),
    "DEFAULT_4XX": (None, "bad_request", None, None),
    "DEFAULT_5XX": (None, "unavailable", None, "try again; if it stays, give request_id to who runs this"),
}


class Api(Construct):
    """REST API with the stage `api`. `predict` must be the alias, so that SnapStart works."""

    def __init__(
        self,
        scope: Construct,
        config: Config,
        *,
        predict: lambda_.IFunction,
        control: lambda_.IFunction,
        authorise: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, "Api")
        self.rest = self._rest_api()
        if config.api_log_role:
            self.rest.deployment_stage.node.add_dependency(self._log_role())
        self._authorizer = apigateway.TokenAuthorizer(
            self,
            "BearerKey",
            handler=authorise,
            results_cache_ttl=AUTHORISER_CACHE,
            validation_regex=r"^[Bb][Ee][Aa][Rr][Ee][Rr] +\S+$",
        )
        self._routes(_integration(predict), _integration(control))
        for kind, (status, code, message, hint) in REFUSALS.items():
            self.rest.add_gateway_response(
                kind,
                type=apigateway.ResponseType.of(kind),
                status_code=status,
                templates={"application/json": _refusal(code, message, hint)},
                response_headers={"Retry-After": "'1'"} if kind == "THROTTLED" else None,
            )
        CfnOutput(scope, "ApiId", value=self.rest.rest_api_id)
        CfnOutput(scope, "ApiUrl", value=self.rest.url)

    def _log_role(self) -> apigateway.CfnAccount:
        """The account's one role by which API Gateway writes logs: other APIs use it too, so it outlives the stack."""
        role = iam.Role(
            self,
            "LogRole",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonAPIGatewayPushToCloudWatchLogs")
            ],
        )
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        for kept in (role, account):
            kept.apply_removal_policy(RemovalPolicy.RETAIN)
        return account

    def _rest_api(self) -> apigateway.RestApi:
        log = logs.LogGroup(
            self, "AccessLog", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        return apigateway.RestApi(
            self,
            "Rest",
            rest_api_name="modelmill",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=["application/octet-stream"],
            cloud_watch_role=False,
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_burst_limit=BURST,
                throttling_rate_limit=REQUESTS_PER_SECOND,
                tracing_enabled=True,
                access_log_destination=apigateway.LogGroupLogDestination(log),
                access_log_format=apigateway.AccessLogFormat.json_with_standard_fields(
                    caller=False,
                    http_method=True,
                    ip=False,
                    protocol=True,
                    request_time=True,
                    resource_path=True,
                    response_length=True,
                    status=True,
                    user=False,
                ),
            ),
        )

    def _routes(self, predict: apigateway.LambdaIntegration, control: apigateway.LambdaIntegration) -> None:
        """Every node has a method of its own: the gateway does not fall back from a known node to a greedy sibling."""
        v1 = self.rest.root.add_resource("v1")
        self._any(v1.add_resource("{proxy+}"), control)
        models = v1.add_resource("models")
        model = models.add_resource("{model}")
        versions = model.add_resource("versions")
        version = versions.add_resource("{version}")
        for node in (models, model, versions, version):
            self._any(node, control)
        for node in (model, version):
            self._any(node.add_resource("{proxy+}"), control)
            self._any(node.add_resource("predict"), predict)
        v2 = self.rest.root.add_resource("v2")
        self._any(v2, predict)
        self._any(v2.add_resource("{proxy+}"), predict)
        health = v2.add_resource("health")
        self._any(health.add_resource("{proxy+}"), predict)
        for probe in ("live", "ready"):
            health.add_resource(probe).add_method("GET", predict)  # the only routes without a key

    def _any(self, node: apigateway.Resource, integration: apigateway.LambdaIntegration) -> None:
        node.add_method(
            "ANY", integration, authorizer=self._authorizer, authorization_type=apigateway.AuthorizationType.CUSTOM
        )


def _integration(function: lambda_.IFunction) -> apigateway.LambdaIntegration:
    return apigateway.LambdaIntegration(function, proxy=True, scope_permission_to_method=False)


def _refusal(code: str, message: str | None, hint: str | None) -> str:
    """The template of an error's body; `$context…messageString` brings its own quotes."""
    said = json.dumps(message) if message else "$context.error.messageString"
    hinted = f',"hint":{json.dumps(hint)}' if hint else ""
    return f'{{"error":{{"code":"{code}","message":{said}{hinted},"request_id":"$context.requestId"}}}}'
