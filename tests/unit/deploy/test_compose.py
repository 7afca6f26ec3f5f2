"""What ``docker-compose.yml`` names exists, and what exists is there."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from continuity.hosting.hosted import CLOSE_S, STOP_S
from continuity.hosting.settings import PlatformSettings
from continuity.messaging.topics import load_topics
from deploy.local import programs
from deploy.local.distributed import service_names
from tests.unit.deploy.described import (
    ROOT,
    compose,
    containers,
    dockerfile,
    interpolated,
    ours,
    variables,
)

SERVERS = {"kafka", "mongodb", "objects", "triton", "sdxl", "sdxl-cpu", "collector", "proxy"}
TOOLS = {"models"}
GIVEN = {name: f"secret{number}" for number, name in enumerate(sorted(variables("?")))}
NOT_ENCRYPTED = "the network inside has no TLS"
SAME_ANYWHERE = "how long something is waited for does not depend on where it runs"
OF_THE_ENGINE = (
    *("render_timeout_s", "steps", "guidance", "sampler", "schedule", "layout_guide", "layout_strength"),
    *("identity", "identity_strength", "preview_every"),
)
DEFAULT = {
    "kafka_ca_file": NOT_ENCRYPTED,
    "kafka_cert_file": NOT_ENCRYPTED,
    "kafka_key_file": NOT_ENCRYPTED,
    "topics_folder": "the image has the topics where the program looks for them",
    "collect_after_s": SAME_ANYWHERE,
    "telemetry_content": "what users wrote stays out of traces unless somebody asks for it",
    "answer_deadline_s": SAME_ANYWHERE,
    "cast_deadline_s": SAME_ANYWHERE,
    "prompt_deadline_s": SAME_ANYWHERE,
    "lease_s": SAME_ANYWHERE,
    "max_unfinished_jobs": "what the documents hold does not depend on the number of replicas",
    "sole_renderer": "it is none: there are replicas",
    **dict.fromkeys(OF_THE_ENGINE, "what a film is drawn with does not depend on where it is drawn"),
}
"""Settings that containers are not told, and why; all others they are."""


def settings_of(service: str, monkeypatch: pytest.MonkeyPatch) -> PlatformSettings:
    for name, value in ours()[service]["environment"].items():
        monkeypatch.setenv(name, interpolated(value, GIVEN))
    made: PlatformSettings = import_module(f"services.{service}.settings").Settings()
    return made


def ports(container: str) -> set[int]:
    """The ports that a container listens on for others."""
    _, stages = dockerfile()
    built = containers()[container].get("build")
    if built:
        return {int(port) for exposed in stages[built["target"]].all("EXPOSE") for port in exposed.split()}
    if container == "kafka":
        listeners = containers()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        return {int(port) for port in re.findall(r"//kafka:(\d+)", listeners)}
    return {"mongodb": {27017}, "proxy": {50050}}[container]


def test_every_service_is_there_and_every_one_there_is_a_service() -> None:
    assert set(ours()) == set(service_names())
    assert set(containers()) == set(ours()) | SERVERS | TOOLS


@pytest.mark.parametrize("service", service_names())
def test_a_container_is_built_from_the_service_of_its_name(service: str) -> None:
    assert ours()[service]["build"]["args"] == {"SERVICE": service}
    assert ours()[service]["image"] == f"continuity/{service}"


@pytest.mark.parametrize("service", service_names())
def test_a_service_is_told_all_of_its_settings_but_those_that_are_right_by_default(service: str) -> None:
    fields = import_module(f"services.{service}.settings").Settings.model_fields
    told = {name.removeprefix("CONTINUITY_").lower() for name in ours()[service]["environment"]}
    assert told == set(fields) - set(DEFAULT)


def test_whatever_is_left_at_its_default_is_a_setting_of_some_service() -> None:
    settings = [import_module(f"services.{service}.settings").Settings for service in service_names()]
    assert set(DEFAULT) <= {name for each in settings for name in each.model_fields}
    assert all(DEFAULT.values())


@pytest.mark.parametrize("service", service_names())
def test_what_a_service_is_told_makes_settings(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings_of(service, monkeypatch)
    assert made.kafka.sasl_password is not None
    assert made.kafka.sasl_password.get_secret_value() == GIVEN["KAFKA_PASSWORD"]
    assert made.log_format == "json"


@pytest.mark.parametrize("service", service_names())
def test_every_address_that_a_service_is_told_is_a_container_that_listens_there(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings_of(service, monkeypatch)
    urls = [made.s3_endpoint, made.otlp_endpoint, made.mongodb_url.get_secret_value(), f"//{made.bootstrap_servers}"]
    triton = getattr(made, "triton_address", None)
    for url in [*urls, *([f"//{triton}"] if triton else [])]:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        assert host in containers()[service]["depends_on"]
        assert port in ports(str(host))
    assert made.listen_address == f"0.0.0.0:{min(ports(service))}"


def test_servers_are_told_the_same_names_and_secrets_as_services(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings_of("rendering", monkeypatch)
    kafka, mongodb, objects = (
        {name: interpolated(value, GIVEN) for name, value in containers()[each]["environment"].items()}
        for each in ("kafka", "mongodb", "objects")
    )
    login = f'user_{made.kafka.sasl_username}="{GIVEN["KAFKA_PASSWORD"]}"'
    assert login in kafka["KAFKA_LISTENER_NAME_CLIENT_PLAIN_SASL_JAAS_CONFIG"]
    assert kafka["KAFKA_LISTENER_NAME_CLIENT_SASL_ENABLED_MECHANISMS"] == made.kafka.sasl_mechanism
    assert f"CLIENT:{made.kafka.security_protocol}" in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    url = urlsplit(made.mongodb_url.get_secret_value())
    assert (url.username, url.password) == (mongodb["MONGODB_USERNAME"], mongodb["MONGODB_PASSWORD"])
    assert mongodb["MONGODB_DATABASE"] == made.mongodb_database
    assert url.query == f"authSource={made.mongodb_database}"
    assert objects["ROOT_ACCESS_KEY"] == made.s3_access_key.get_secret_value()
    assert objects["ROOT_SECRET_KEY"] == made.s3_secret_key.get_secret_value()
    assert objects["VGW_REGION"] == made.s3_region


def test_the_user_of_the_documents_is_made_of_what_the_server_is_told() -> None:
    script = (ROOT / "deploy" / "docker" / "mongodb" / "user.js").read_text()
    read = set(re.findall(r"process\.env\.(\w+)", script))
    assert read == {name for name in containers()["mongodb"]["environment"] if name.startswith("MONGODB_")}


def test_every_owner_and_consumer_of_a_topic_has_a_container() -> None:
    for topic in load_topics().values():
        assert {topic.owner, *topic.consumers} <= set(ours()), topic.name


def test_no_topic_makes_itself_and_none_needs_more_brokers_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = containers()["kafka"]["environment"]
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert settings_of("rendering", monkeypatch).kafka_replication_factor == 1
    assert {value for name, value in kafka.items() if re.search("REPLICATION_FACTOR|MIN_ISR", name)} == {"1"}


def test_kafka_is_the_version_that_tests_run_against() -> None:
    pom = (ROOT / "deploy" / "local" / "kafka" / "pom.xml").read_text()
    version = containers()["kafka"]["image"].split(":")[1]
    assert f"<version>{version}</version>" in pom


def test_the_proxy_is_the_version_that_tests_run_against() -> None:
    version = containers()["proxy"]["image"].split(":")[1].removesuffix("-alpine")
    assert programs.CADDY.version == f"v{version}"


def test_the_proxy_is_told_every_replica_of_every_service() -> None:
    environment = containers()["proxy"]["environment"]
    caddyfile = (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()
    assert {f"CONTINUITY_{name.upper()}_UPSTREAMS" for name in ours()} < set(environment)
    for name in environment.keys() - {"GOMEMLIMIT"}:
        assert f"{{${name}:" in caddyfile
    for name, service in ours().items():
        project, (port,) = compose()["name"], ports(name)
        replicas = range(1, service["deploy"]["replicas"] + 1)
        upstreams = interpolated(environment[f"CONTINUITY_{name.upper()}_UPSTREAMS"], {})
        assert upstreams.split() == [f"{project}-{name}-{number}:{port}" for number in replicas]


def test_only_the_proxy_is_reached_from_outside_and_only_from_this_machine() -> None:
    assert [name for name, each in containers().items() if "ports" in each] == ["proxy"]
    (published,) = containers()["proxy"]["ports"]
    assert interpolated(published, {}) == "127.0.0.1:50050:50050"
    assert containers()["proxy"]["environment"]["CONTINUITY_PROXY_PORT"] == "50050"


def test_servers_that_keep_things_have_no_way_out() -> None:
    assert compose()["networks"]["inside"]["internal"] is True
    for name in ("kafka", "mongodb", "objects", "triton", "sdxl", "sdxl-cpu"):
        assert containers()[name]["networks"] == ["inside"]


@pytest.mark.parametrize("name", sorted(SERVERS | TOOLS | set(service_names())))
def test_a_container_may_do_no_more_than_it_must(name: str) -> None:
    each = containers()[name]
    assert int(each["user"].split(":")[0]) > 0
    assert each["read_only"] is True
    assert each["cap_drop"] == ["ALL"]
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert each.get("cap_add", []) in ([], ["NET_BIND_SERVICE"])
    assert not each.get("privileged")


@pytest.mark.parametrize("name", sorted(SERVERS | set(service_names())))
def test_a_container_has_limits_on_everything_and_comes_back(name: str) -> None:
    each = containers()[name]
    assert set(each["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert each["restart"] == "unless-stopped"
    assert set(each["logging"]["options"]) == {"max-size", "max-file"}
    assert each["tmpfs"]
    assert all(":size=" in folder for folder in each["tmpfs"])
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(each["healthcheck"])
    assert "stop_grace_period" in each


@pytest.mark.parametrize("service", service_names())
def test_a_service_may_drain_before_it_is_killed(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grace_s = float(ours()[service]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings_of(service, monkeypatch).drain_s + STOP_S + CLOSE_S


@pytest.mark.parametrize("service", service_names())
def test_a_services_health_is_asked_by_a_module_that_exists_where_it_listens(service: str) -> None:
    command, python, dash_m, module, address = ours()[service]["healthcheck"]["test"]
    assert (command, python, dash_m) == ("CMD", "python", "-m")
    assert find_spec(module) is not None
    assert address == f"127.0.0.1:{min(ports(service))}"


def test_whoever_is_waited_for_exists() -> None:
    for each in containers().values():
        for other, condition in each.get("depends_on", {}).items():
            assert condition["condition"] in ("service_healthy", "service_started")
            assert other in containers()


def test_named_volumes_hold_what_must_outlive_a_container() -> None:
    sources = {volume.split(":")[0] for each in containers().values() for volume in each.get("volumes", [])}
    folders = {source for source in sources if source.startswith("./")}
    assert sources - folders == set(compose()["volumes"])
    assert all((ROOT / folder).exists() for folder in folders)
    kafka, objects = containers()["kafka"], containers()["objects"]
    assert kafka["volumes"] == [f"kafka-data:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert objects["volumes"] == [f"objects-data:{dockerfile()[1]['objects'].command()[-1]}"]
    assert "mongodb-data:/data/db" in containers()["mongodb"]["volumes"]


@pytest.mark.parametrize("name", ["triton", "sdxl", "sdxl-cpu"])
def test_triton_has_the_shared_memory_that_pictures_need(name: str) -> None:
    assert containers()[name]["shm_size"] == "1gb"


def test_the_diffusion_engine_runs_where_it_is_asked_for() -> None:
    profiles = {name: each["profiles"] for name, each in containers().items() if "profiles" in each}
    assert profiles == {"sdxl": ["sdxl"], "sdxl-cpu": ["sdxl-cpu"], "models": ["models"]}
    gpu, cpu = containers()["sdxl"], containers()["sdxl-cpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["capabilities"], interpolated(device["device_ids"][0], {})) == (["gpu"], "0")
    assert "reservations" not in cpu["deploy"]["resources"]
    for each, kind in ((gpu, "cuda"), (cpu, "cpu")):
        assert each["build"]["args"] == {"ENGINE": kind}
        assert each["environment"]["CONTINUITY_ENGINE_DEVICE"] == kind


def test_over_which_jobs_the_engine_died_outlives_its_container() -> None:
    environment = " ".join(dockerfile()[1]["sdxl"].all("ENV"))
    state = re.search(r"CONTINUITY_ENGINE_STATE=(\S+)", environment)
    assert state
    for name in ("sdxl", "sdxl-cpu"):
        assert f"engine:{Path(state[1]).parent}" in containers()[name]["volumes"]


def test_everybody_finds_the_models_in_one_place_and_only_the_tool_writes_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = str(getattr(settings_of("rendering", monkeypatch), "models", ""))
    assert f"CONTINUITY_MODELS={models}" in " ".join(dockerfile()[1]["sdxl"].all("ENV"))
    for name in ("rendering", "sdxl", "sdxl-cpu"):
        assert f"models:{models}:ro" in containers()[name]["volumes"]
    assert containers()["models"]["volumes"] == [f"models:{models}"]
    for stage in ("service", "sdxl"):
        assert any(models in run for run in dockerfile()[1][stage].all("RUN") if "install -d -o 10001" in run)


def test_replicas_of_rendering_know_how_many_share_a_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    replicas = containers()["rendering"]["deploy"]["replicas"]
    assert getattr(settings_of("rendering", monkeypatch), "render_replicas", 0) == replicas


def test_rendering_is_pointed_at_the_diffusion_engine_by_two_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in containers()["rendering"]["environment"].items():
        monkeypatch.setenv(name, interpolated(value, {**GIVEN, "RENDERER": "sdxl", "TRITON_ADDRESS": "sdxl:8001"}))
    made = import_module("services.rendering.settings").Settings()
    assert (made.diffuses, made.triton_address, made.checkpoint) == (True, "sdxl:8001", "")


def test_the_tool_is_the_engines_own_and_may_reach_the_hub() -> None:
    tool = containers()["models"]
    assert tool["entrypoint"] == ["python3", "-m", "engine.models"]
    assert tool["networks"] == ["outside"]
    assert tool["environment"]["HF_HUB_OFFLINE"] == "0"
    assert tool["restart"] == "no"


def test_images_are_pinned() -> None:
    images = [each["image"] for each in containers().values() if "build" not in each]
    bases = [image for name, image in dockerfile()[0].items() if name.endswith("_IMAGE")]
    assert bases
    for image in [*images, *bases]:
        assert re.search(r":v?\d+\.\d+", image), image


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    assert not [name for name in variables("-") if re.search("PASSWORD|KEY|SECRET", name)]
    told = [pair for each in containers().values() for pair in each.get("environment", {}).items()]
    secrets = [value for name, value in told if re.search("PASSWORD|_KEY$|JAAS|_URL$", name) and "PUBLIC" not in name]
    assert len(secrets) > len(ours())
    assert all(re.search(r"\$\{\w+:\?", value) for value in secrets)


def test_the_example_names_every_variable_and_no_value_of_a_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    required = {line.removesuffix("=") for line in lines if re.fullmatch(r"[A-Z0-9_]+=", line)}
    optional = {match[1] for line in lines if (match := re.match(r"#([A-Z0-9_]+)=", line))}
    assert required == variables("?")
    assert optional == variables("-") - {"COMPOSE_PROJECT_NAME"}


def test_the_collector_listens_where_it_is_asked_and_names_nothing_undeclared() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "otel" / "collector.yaml").read_text())
    asked = {told["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]}
    assert asked == {f"0.0.0.0:{port}" for port in ports("collector")}
    (health,) = [urlsplit(word) for word in containers()["collector"]["healthcheck"]["test"] if "://" in word]
    assert told["extensions"]["health_check"]["endpoint"] == f"0.0.0.0:{health.port}"
    assert set(told["service"]["extensions"]) == set(told["extensions"])
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in told["service"]["pipelines"].values() for name in pipeline[kind]}
        assert used == set(told[kind])


def test_the_collector_refuses_before_it_is_killed() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "otel" / "collector.yaml").read_text())
    for pipeline in told["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
    limit = containers()["collector"]["deploy"]["resources"]["limits"]["memory"]
    assert told["processors"]["memory_limiter"]["limit_mib"] < int(limit.removesuffix("m"))


def test_every_rpc_of_the_protos_belongs_to_one_service() -> None:
    declared = set()
    for path in (ROOT / "protos").glob("continuity/**/*.proto"):
        package = re.search(r"^package (\S+);", path.read_text(), re.MULTILINE)
        assert package
        declared |= {f"{package[1]}.{name}" for name in re.findall(r"^service (\w+)", path.read_text(), re.MULTILINE)}
    hosted = [
        name for service in ours() for name in import_module(f"services.{service}.entrypoints.servicer").RPC_NAMES
    ]
    assert len(hosted) == len(set(hosted))
    assert declared - set(hosted) == {"continuity.api.operations.v1.DeadLetterService"}


def test_the_health_of_triton_is_asked_where_it_speaks_http() -> None:
    probe = (ROOT / "deploy" / "docker" / "triton" / "probe.py").read_text()
    command = dockerfile()[1]["triton"].command()
    port = next(word.split("=")[1] for word in command if word.startswith("--http-port="))
    assert f'ADDRESS = "127.0.0.1:{port}"' in probe
    (copied,) = [each.split() for each in dockerfile()[1]["triton"].all("COPY") if "deploy/docker/triton" in each]
    *_, asked = containers()["triton"]["healthcheck"]["test"]
    assert Path(asked) == Path("/app", copied[-1], "probe.py")
