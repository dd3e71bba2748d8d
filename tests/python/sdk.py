"""What the packages for OpenAI's wire and for Anthropic's have in common: they come out of one generator."""

import asyncio
import inspect

from asserts import raised


def hold(models, checks, retries):
    """Every check holds at every model. What the mock counts are the requests of one plan, so that each model has its
    own one, by the pause."""
    for pause, model in enumerate(models, 1):
        for check in checks:
            outcome = check(model)
            if inspect.iscoroutine(outcome):
                asyncio.run(outcome)
        retries(model, pause)


def retries_are_counted(package, ask, text):
    """The package's own: after a passing failure as often as it may, after a refusal never. `ask` makes a request of a
    faulty provider, `text` finds the text in an answer."""
    for status in (408, 409, 429, 500, 503):
        raw = ask(f"status={status},fail_first=2")
        assert raw.retries_taken == 2, (status, raw.retries_taken)
        assert text(raw.parse()) == "hello from the SDK", raw
    raw = ask("status=503,fail_first=1", stream=True)
    assert raw.retries_taken == 1 and len(list(raw.parse())) > 2, raw.retries_taken
    raised(package.RateLimitError, lambda: ask("status=429,fail_first=3"))
    refusal = raised(package.BadRequestError, lambda: ask("status=400,fail_first=1"))
    assert refusal.request.headers["x-stainless-retry-count"] == "0", refusal.request.headers
