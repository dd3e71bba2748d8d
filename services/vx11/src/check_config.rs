//! `vx11 check-config`: would the services start with this configuration?

use std::io::Write;
use std::path::Path;

use vx11_chassis::config::Settings;
use vx11_chassis::process::section;

/// Checks every service's section, and says what the gateway makes of its own.
pub(crate) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let settings = Settings::of_process(file)?;
    section::<vx11_tentaculo::TentaculoConfig>(&settings)?;
    let operator = section::<vx11_operator::OperatorConfig>(&settings)?;
    vx11_operator::check_config(&operator, &settings.common()?)?;
    section::<vx11_madre::MadreConfig>(&settings)?;
    section::<vx11_mock_provider::MockProviderConfig>(&settings)?;
    Ok(writeln!(std::io::stdout(), "{}", vx11_switch::check_config(file)?)?)
}
