//! The OpenAPI documents of all services, as files.

use std::path::Path;

use anyhow::Context;
use utoipa::openapi::OpenApi;

fn all() -> [(&'static str, OpenApi); 5] {
    [
        ("tentaculo", vx11_tentaculo::openapi()),
        ("operator", vx11_operator::openapi()),
        ("switch", vx11_switch::openapi()),
        ("madre", vx11_madre::openapi()),
        ("mock-provider", vx11_mock_provider::openapi()),
    ]
}

/// Writes every document.
pub(crate) fn write(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (service, document) in all() {
        let file = dir.join(format!("{service}.json"));
        std::fs::write(&file, vx11_chassis::docs::render(&document)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Fails at the first document that differs from its file.
pub(crate) fn check(dir: &Path) -> anyhow::Result<()> {
    for (service, document) in all() {
        let file = dir.join(format!("{service}.json"));
        let written = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if written != vx11_chassis::docs::render(&document)? {
            anyhow::bail!("{} is not what {service} serves; run `make contracts`", file.display());
        }
    }
    Ok(())
}
