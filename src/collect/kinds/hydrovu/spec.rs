//! The spec of HydroVu: instruments whose data a service has.
//!
//! Invariant: after the check, names of devices differ and are valid for files.

use crate::resource::field::{Checked, FieldPath, filled, named};
use crate::resource::{Kind, SecretRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Instruments of the HydroVu service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HydroVu {
    /// Client id of the account.
    pub key: SecretRef,
    /// Client secret of the account.
    pub secret: SecretRef,
    /// The instruments.
    pub devices: Vec<Device>,
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Id of its location in the service.
    pub id: i64,
    /// Its name in the pond.
    pub name: String,
    /// Prefix of the names of its columns.
    pub scope: String,
    /// A comment.
    pub comment: Option<String>,
}

impl Kind for HydroVu {
    const NAME: &'static str = "HydroVu";
    const ABOUT: &'static str = "Collects data from the HydroVu service.";
    const LITERAL: &'static [&'static str] = &["comment"];
    const SECRET: &'static [&'static str] = &["key", "secret"];

    fn check(&self, at: &FieldPath) -> Checked {
        let mut ids = BTreeSet::new();
        named(
            &at.key("devices"),
            &self.devices,
            |d| &d.name,
            |at, device| {
                filled(&at.key("scope"), &device.scope)?;
                match ids.insert(device.id) {
                    true => Ok(()),
                    false => at
                        .key("id")
                        .fault(format!("the id {} was given before", device.id)),
                }
            },
        )
    }
}
