"""docs/scaling.md says what the code does."""

import re

import yaml
from imagegen_server.config import ServerTable
from imagegen_server.workers.pace import FIRST_SECONDS, HEALTHY_SECONDS, LONGEST_SECONDS
from imagegen_server.workers.supervisor import SILENCE_SECONDS

from tests.support.docs_page import Page
from tests.support.tools import ROOT

PAGE = Page("scaling.md")


def test_the_numbers_of_restarts_are_those_of_the_code() -> None:
    """How long it takes, at first, at the most, and after which time it begins anew."""
    assert f"after at most {FIRST_SECONDS:g} s, after twice that" in PAGE.sentences
    assert f"up to {LONGEST_SECONDS:g} s, shortened by chance by up to a half" in PAGE.sentences
    assert f"after {HEALTHY_SECONDS:g} s of service it begins anew at {FIRST_SECONDS:g} s" in PAGE.sentences


def test_the_time_of_a_worker_that_hangs_is_that_of_the_code() -> None:
    """After which it is killed."""
    assert f"kills it after {SILENCE_SECONDS:g} s" in PAGE.sentences


def test_the_age_of_connections_is_that_of_the_code() -> None:
    """With several workers, and in the table of the settings."""
    age = ServerTable(workers=2).connection_age
    assert age is not None

    assert f"a connection that is {age / 60:g} minutes old" in PAGE.sentences
    assert f'With several workers it is `"{age / 60:g}m"` by default' in Page("configuration.md").sentences


def test_the_proxies_have_the_limits_that_the_pages_ask_for() -> None:
    """Whole uploads pass, no answer is cut, nothing is sent twice; Envoy's file is YAML."""
    nginx = (ROOT / "deploy" / "nginx.conf").read_text()
    envoy = yaml.safe_load((ROOT / "deploy" / "envoy.yaml").read_text())
    (listener,) = envoy["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (route,) = manager["route_config"]["virtual_hosts"][0]["routes"]

    assert f"client_max_body_size {ServerTable().max_receive_bytes // 2**20}m;" in nginx
    assert re.findall(r"grpc_next_upstream (.*);", nginx) == ["error"]
    assert route["route"] == {"cluster": "imagegen", "timeout": "0s"}
    assert manager["stream_idle_timeout"] == "1800s"
    assert set(re.findall(r"\b(?:read|send|body)_timeout (\w+);", nginx)) == {"1800s"}
