//! Which requests wait for a person: rules on what a request is, asks and costs; what of it the person is shown; and
//! what the decision means for it.
//!
//! Nothing here knows HTTP, the operator or a clock.

mod content;
mod data;
mod preference;
mod rule;
mod shown;
mod standing;
mod strict;

pub(crate) use content::Content;
pub(crate) use preference::{Preference, time_to_wait};
pub(crate) use rule::{Asker, DecidedBy, Pattern, Rule, Rules, Terms, When, Within};
pub(crate) use shown::{Shown, Unshowable, edited_body, fingerprint, show};
pub(crate) use standing::{Asked, KIND, Standing, standing};
pub(crate) use strict::parse;
