"""Keeping secrets out of what instances, histories and people are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def without(secrets: Sequence[str], text: str) -> str:
    """A text in which no secret stands."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:
            text = text.replace(secret, "***")
        token = secret.split()[-1:]  # `Bearer` and a token: the token is as good
        if token and len(token[0]) > 7:
            text = text.replace(token[0], "***")
    return text


def answer_without(secrets: Sequence[str], answer: object) -> object:
    """An answer in which no secret stands: there are receivers that repeat what they are sent."""
    if not secrets:
        return answer
    if isinstance(answer, str):
        return without(secrets, answer)
    if isinstance(answer, Mapping):
        return {
            answer_without(secrets, key): answer_without(secrets, value)
            for key, value in answer.items()
        }
    if isinstance(answer, list | tuple):
        return [answer_without(secrets, value) for value in answer]
    return answer
