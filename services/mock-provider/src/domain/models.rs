//! The models there are, on every wire.

/// Names and what they are good for.
pub(crate) const MODELS: [&str; 7] =
    ["mock", "mock-small", "mock-large", "mock-reasoner", "mock-embedding", "deepseek-chat", "deepseek-reasoner"];

/// The model without its faults, and the faults: `mock+status=503` is `mock` with `status=503`.
pub(crate) fn split_faults(model: &str) -> (&str, Option<&str>) {
    match model.split_once('+') {
        Some((name, faults)) => (name, Some(faults)),
        None => (model, None),
    }
}

/// Whether there is such a model.
pub(crate) fn exists(name: &str) -> bool {
    MODELS.contains(&name)
}

/// Whether the model thinks aloud.
pub(crate) fn reasons(name: &str) -> bool {
    name.ends_with("-reasoner")
}
