//! Writes down what a prefix consists of, as other programs want to read it: CycloneDX 1.6 and
//! SPDX 2.3, both in JSON. Pure: the same receipts give the same bytes.
//!
//! Packages are named by package URLs (`pkg:rpm/…`, <https://github.com/package-url/purl-spec>).
//! What depends on what is told as far as receipts know it: of each package, who brought it in.

mod cyclonedx;
mod license;
mod material;
mod spdx;

use serde_json::Value;

use crate::model::Receipt;

use material::Material;

/// A format of a bill of materials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// CycloneDX 1.6, <https://cyclonedx.org/docs/1.6/json/>.
    #[default]
    Cyclonedx,
    /// SPDX 2.3, <https://spdx.github.io/spdx-spec/v2.3/>.
    Spdx,
}

/// The bill of materials of the trees with `receipts`, made at `created` (`2026-01-31T23:59:59Z`).
#[must_use]
pub(crate) fn write(receipts: &[Receipt], created: &str, format: Format) -> Value {
    let material = Material::of(receipts, created);
    match format {
        Format::Cyclonedx => cyclonedx::write(&material),
        Format::Spdx => spdx::write(&material),
    }
}
