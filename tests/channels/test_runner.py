"""A call, from a request to a channel: kind, settings, secrets, parameters, failures."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, SecretStr, field_validator

from nexus.channels import Channels, load_channels
from nexus.channels.operator_settings import OperatorSettings
from nexus.contracts import HTML, OPERATOR, Channel, ChannelCall, ChannelError, Strict
from nexus.core.channel_kinds import Finding
from tests.channels.calling import called, fails, request


class PostSettings(Strict):
    host: Annotated[str, Field(json_schema_extra=OPERATOR)]
    password: SecretStr | None = None
    tokens: tuple[SecretStr, ...] = ()
    sender: str = "nobody"
    reply_to: str | None = None


class PostParameters(Strict):
    to: str
    body: Annotated[str, Field(json_schema_extra=HTML)] = ""
    score: int = 0


class BrittleSettings(Strict):
    password: SecretStr

    @field_validator("password")
    @classmethod
    def _look(cls, given: SecretStr) -> SecretStr:
        raise LookupError(f"no account for {given.get_secret_value()}")


class Brittle(Channel[BrittleSettings, PostParameters]):
    """Its settings break whoever reads them."""

    name = "brittle"
    Settings = BrittleSettings
    Parameters = PostParameters

    async def execute(self, call: ChannelCall[BrittleSettings, PostParameters]) -> object:
        return call.key


class Post(Channel[PostSettings, PostParameters]):
    """Answers with all that it was given."""

    name = "post"
    Settings = PostSettings
    Parameters = PostParameters

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.closed = False

    async def execute(self, call: ChannelCall[PostSettings, PostParameters]) -> object:
        if self.failure is not None:
            raise self.failure
        secret = call.settings.password
        return {
            "host": call.settings.host,
            "sender": call.settings.sender,
            "reply_to": call.settings.reply_to,
            "password": secret.get_secret_value() if secret else None,
            "to": call.parameters.to,
            "body": call.parameters.body,
            "key": call.key,
            "attempt": call.attempt,
            "seconds": call.timeout.total_seconds(),
        }

    async def close(self) -> None:
        self.closed = True


def channels(folder: Path, document: object = None, post: Post | None = None) -> Channels:
    path = folder / "channels.json"
    path.write_text(json.dumps({"*": {"post": {"host": "a"}}} if document is None else document))
    operator = OperatorSettings(path)
    operator.load()
    return Channels({"post": post or Post(), "other": Post()}, operator)


def test_a_channel_gets_settings_parameters_and_key(tmp_path: Path) -> None:
    """FR-EXT-001."""
    made = request("post", {"to": "{{ data.email }}", "body": "<{{ data.name }}>"})
    answer = called(channels(tmp_path), made, attempt=2, seconds=3)
    assert answer == {
        "host": "a",
        "sender": "nobody",
        "reply_to": None,
        "password": None,
        "to": "ann@example.com",
        "body": "<Ann>",
        "key": "i-1/lead-1/1/run/0",
        "attempt": 2,
        "seconds": 3,
    }


def test_html_parameters_are_escaped(tmp_path: Path) -> None:
    made = request("post", {"to": "x", "body": "{{ data.n }}"}, scope={"data": {"n": "<i>"}})
    assert called(channels(tmp_path), made)["body"] == "&lt;i&gt;"


def test_settings_go_from_the_kind_to_the_name_and_from_all_to_the_tenant(tmp_path: Path) -> None:
    document: Any = {
        "*": {
            "post": {"host": "all-kind", "sender": "all-kind", "replyTo": "all-kind"},
            "welcome": {"channel": "post", "sender": "all-name"},
        },
        "acme": {"post": {"host": "own-kind", "sender": "own-kind"}},
    }
    found = channels(tmp_path, document)
    answer = called(found, request("welcome", {"to": "x"}))
    assert (answer["host"], answer["sender"], answer["reply_to"]) == (
        "own-kind",
        "all-name",
        "all-kind",
    )
    document["acme"]["welcome"] = {"sender": "own-name", "reply_to": "own-name"}
    found = channels(tmp_path, document)
    answer = called(found, request("welcome", {"to": "x"}))
    assert (answer["sender"], answer["reply_to"]) == ("own-name", "own-name")
    made = request("welcome", {"to": "x"}, settings={"sender": "definition"})
    assert called(found, made)["sender"] == "definition"
    assert called(found, request("welcome", {"to": "x"}, tenant="other"))["host"] == "all-kind"


def test_a_definitions_name_is_of_the_kind_it_says(tmp_path: Path) -> None:
    made = request("hello", {"to": "x"}, settings={"channel": "post", "sender": "me"})
    assert called(channels(tmp_path), made)["sender"] == "me"


def test_a_definitions_name_may_build_on_the_operators(tmp_path: Path) -> None:
    document = {"*": {"bulk": {"channel": "post", "host": "bulk", "sender": "bulk"}}}
    made = request("hello", {"to": "x"}, settings={"channel": "bulk", "replyTo": "me"})
    answer = called(channels(tmp_path, document), made)
    assert (answer["host"], answer["sender"], answer["reply_to"]) == ("bulk", "bulk", "me")


def test_a_definition_does_not_pair_one_name_of_the_operators_with_another(tmp_path: Path) -> None:
    """Else the password of one would go to the host of another."""
    names = {
        "billing": {"channel": "post", "host": "billing", "password": "geheim"},
        "chat": {"channel": "post", "host": "chat", "sender": "chat"},
    }
    found = channels(tmp_path, {"*": names})
    answer = called(found, request("chat", {"to": "x"}, settings={"channel": "billing"}))
    assert (answer["host"], answer["password"], answer["sender"]) == ("billing", "geheim", "nobody")
    answer = called(found, request("chat", {"to": "x"}, settings={"channel": "post"}))
    assert (answer["host"], answer["password"], answer["sender"]) == ("chat", None, "chat")


def test_secrets_are_resolved_at_each_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = channels(tmp_path, {"*": {"post": {"host": "a", "password": {"env": "POST_PW"}}}})
    made = request("post", {"to": "x"})
    fails(found, made, "not_configured", "POST_PW is not set", "'acme'")
    monkeypatch.setenv("POST_PW", "one")
    assert called(found, made)["password"] == "one"
    monkeypatch.setenv("POST_PW", "two")
    assert called(found, made)["password"] == "two"


def test_what_is_not_set_up_says_so(tmp_path: Path) -> None:
    found = channels(tmp_path, {})
    error = fails(found, request("post", {"to": "x"}), "not_configured", "host: it is missing")
    assert not error.retryable


@pytest.mark.parametrize(
    "stolen", [{"host": "evil"}, {"password": "x"}, {"sender": {"env": "PATH"}}]
)
def test_a_definition_cannot_give_what_is_the_operators(tmp_path: Path, stolen: Any) -> None:
    """Else a tenant could have the operator's password sent to a host of its own."""
    made = request("post", {"to": "x"}, settings=stolen)
    error = fails(channels(tmp_path), made, "not_for_definitions", "operator")
    assert not error.retryable


def test_a_channel_nobody_has_is_a_final_failure_with_the_nearest(tmp_path: Path) -> None:
    error = fails(channels(tmp_path), request("pots"), "unknown_channel", "'post'", "other")
    assert not error.retryable


def test_parameters_that_are_wrong_are_named_and_final(tmp_path: Path) -> None:
    made = request("post", {"to": "{{ data.email }}", "scoer": 1, "score": "x"})
    error = fails(channels(tmp_path), made, "invalid_parameters", "score:", "scoer: there is no")
    assert not error.retryable
    made = request("post", {"to": None, "body": "{{ data.none }}"})
    fails(channels(tmp_path), made, "invalid_parameters", "to:", "body came out empty")


def test_a_channels_own_failure_is_passed_on(tmp_path: Path) -> None:
    post = Post()
    post.failure = ChannelError("nope", "No.", retryable=False)
    error = fails(channels(tmp_path, post=post), request("post", {"to": "x"}), "nope", "No.")
    assert not error.retryable


def test_a_channel_that_breaks_may_be_tried_again_and_tells_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("POST_PW", "geheim")
    post = Post()
    document = {"*": {"post": {"host": "a", "password": {"env": "POST_PW"}}}}
    found = channels(tmp_path, document, post)
    made = request("post", {"to": "x"})
    with caplog.at_level(logging.DEBUG):
        post.failure = RuntimeError("login with geheim failed")
        error = fails(found, made, "channel_error", "RuntimeError")
        assert error.retryable
        post.failure = ChannelError("refused", "535 geheim is wrong")
        error = fails(found, made, "refused", "535 *** is wrong")
        assert "geheim" not in error.message
    assert "geheim" not in caplog.text
    assert "in execute" in caplog.text


def test_settings_that_break_tell_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "channels.json"
    path.write_text('{"*": {"brittle": {"password": "geheim"}}}')
    operator = OperatorSettings(path)
    operator.load()
    found = Channels({"brittle": Brittle()}, operator)
    error = fails(found, request("brittle", {"to": "x"}), "channel_error", "LookupError")
    assert "geheim" not in error.message + caplog.text


def test_an_answer_that_repeats_a_secret_as_a_key_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mirror(Post):
        async def execute(self, call: ChannelCall[PostSettings, PostParameters]) -> object:
            assert call.settings.password is not None
            return {"seen": [{call.settings.password.get_secret_value(): 1}]}

    monkeypatch.setenv("POST_PW", "geheimnis")
    document = {"*": {"post": {"host": "a", "password": {"env": "POST_PW"}}}}
    answer = called(channels(tmp_path, document, Mirror()), request("post", {"to": "x"}))
    assert answer == {"seen": [{"***": 1}]}


def test_an_answer_that_repeats_a_secret_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers stand in histories. What is no secret stays, also where it came by a reference."""
    monkeypatch.setenv("POST_PW", "Bearer geheimnis")
    monkeypatch.setenv("POST_HOST", "post.example")
    settings = {"host": {"env": "POST_HOST"}, "password": {"env": "POST_PW"}}
    made = request("post", {"to": "geheimnis@x, Bearer geheimnis, Bearer of news"})
    answer = called(channels(tmp_path, {"*": {"post": settings}}), made)
    assert answer["password"] == "***"
    assert answer["to"] == "***@x, ***, Bearer of news"
    assert answer["host"] == "post.example"


def test_a_secret_that_stands_in_the_file_itself_is_not_told_either(tmp_path: Path) -> None:
    post = Post()
    post.failure = ChannelError("refused", "535 geheim is wrong")
    found = channels(tmp_path, {"*": {"post": {"host": "a", "password": "geheim"}}}, post)
    error = fails(found, request("post", {"to": "x"}), "refused", "535 *** is wrong")
    assert "geheim" not in error.message


def test_time_and_cancelling_are_the_callers(tmp_path: Path) -> None:
    for failure in (TimeoutError(), asyncio.CancelledError()):
        post = Post()
        post.failure = failure
        with pytest.raises(type(failure)):
            called(channels(tmp_path, post=post), request("post", {"to": "x"}))


def test_compensating_what_cannot_be_undone_is_final(tmp_path: Path) -> None:
    made = request("post", {"to": "x"}, operation="compensate")
    assert not fails(channels(tmp_path), made, "not_undoable", "'post'").retryable


def test_closing_closes_all(tmp_path: Path) -> None:
    post = Post()
    asyncio.run(channels(tmp_path, post=post).close())
    assert post.closed


# --- what the checker asks -----------------------------------------------------------------------


def codes(findings: Any) -> list[tuple[str, str]]:
    return [(finding.code, finding.pointer) for finding in findings]


def test_the_checker_knows_kinds_and_the_operators_names(tmp_path: Path) -> None:
    found = channels(tmp_path, {"acme": {"welcome": {"channel": "post"}}})
    for tenant in ("acme", None):
        seen = found.seen_by(tenant)
        assert seen.names() == ("post", "other", "welcome")
        assert (seen.kind_of("welcome"), seen.kind_of("nope")) == ("post", None)


def test_what_other_tenants_call_theirs_is_not_told(tmp_path: Path) -> None:
    """SR-003."""
    found = channels(tmp_path, {"acme": {"welcome": {"channel": "post"}}})
    assert found.seen_by("other").names() == ("post", "other")
    assert found.seen_by("other").kind_of("welcome") is None
    error = fails(found, request("welcom", tenant="other"), "unknown_channel")
    assert "welcome" not in error.message


def test_settings_of_a_definition_are_checked_before_they_run(tmp_path: Path) -> None:
    found = channels(tmp_path).seen_by("acme")
    assert not found.check_settings("post", {"channel": "post", "sender": "me"})
    given = {"host": "x", "sendr": 1, "tokens": ["x"], "replyTo": {"env": "X"}, "sender": []}
    assert sorted(codes(found.check_settings("post", given))) == [
        ("not_for_definitions", "/host"),
        ("not_for_definitions", "/replyTo"),
        ("not_for_definitions", "/tokens"),
        ("unknown_key", "/sendr"),
        ("wrong_type", "/sender"),
    ]
    (finding,) = found.check_settings("post", {"sendr": "x"})
    assert finding.suggestion == "sender"


def test_parameters_are_checked_as_far_as_no_template_decides(tmp_path: Path) -> None:
    found = channels(tmp_path).seen_by("acme")
    assert not found.check_given("post", {"to": "{{ data.email }}", "score": "{{ data.score }}"})
    assert codes(found.check_given("post", {"score": "x", "bdy": "{{ x }}"})) == [
        ("missing_key", ""),
        ("wrong_type", "/score"),
        ("unknown_key", "/bdy"),
    ]
    assert found.check_given("nobody", {"x": 1}) == ()
    assert found.check_given("post", {})[0] == Finding(
        "missing_key", "", "It needs 'to'", expected="'to'"
    )


# --- log -----------------------------------------------------------------------------------------


def test_log_writes_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nexus.channels.log"):
        made = request("log", {"message": "Hello {{ data.name }}", "extra": "{{ data.score }}"})
        assert called(load_channels(), made) == {"logged": "Hello Ann"}
    assert "acme Hello Ann [i-1/lead-1/1/run/0] extra=60" in caplog.text


def test_log_fails_on_purpose() -> None:
    found = load_channels()
    twice = request("log", {"message": "x", "fail": 2})
    assert fails(found, twice, "failed_on_purpose", attempt=2).retryable
    assert called(found, twice, attempt=3) == {"logged": "x"}
    assert not fails(found, request("log", {"fail": True}), "failed_on_purpose").retryable
    undone = request("log", {"message": "back"}, operation="compensate")
    assert called(found, undone) == {"logged": "back"}
