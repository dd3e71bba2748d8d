"""What the kinds of providers have no words for. A model is `provider/model` here, and the provider is called as its kind."""

LACKS = {"anthropic": {"n", "embeddings"}}


def can(model, what):
    """Whether the provider of `model` has words for `what`; else the edge refuses it by name."""
    return what not in LACKS.get(kind(model), ())


def kind(model):
    return model.partition("/")[0]
