"""What the scripts here assert with."""


def raised(error, work):
    """The `error` that `work` ends with."""
    try:
        work()
    except error as refusal:
        return refusal
    raise AssertionError(f"{error.__name__} was not raised")
