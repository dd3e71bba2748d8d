//! TLS to where anybody may be called: by the system's certificates.

use std::sync::Arc;

use anyhow::Context;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;

/// What trusts whom the system trusts. It reads files.
pub(crate) fn system_certificates() -> anyhow::Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_platform_verifier();
    Ok(Arc::new(builder.context("cannot read the system's certificates")?.with_no_client_auth()))
}
