//! What of a bundle is not as it was written, to the last byte.

use std::io::Read;

use super::aligned;
use super::open::Bundle;
use crate::carry::finding::CarriedFinding;
use crate::error::Error;
use crate::report::Reporter;

impl Bundle {
    /// What of it was changed: members by their names, and zeros that are none by what is before them. Head,
    /// index and trailer are known to be whole, since it was opened.
    ///
    /// # Errors
    /// When it cannot be read, or the run is cancelled.
    pub(crate) fn damage(&self, reporter: &dyn Reporter) -> Result<Vec<CarriedFinding>, Error> {
        let changed = self.changed(self.members().collect(), reporter)?;
        let mut findings: Vec<CarriedFinding> = changed
            .into_iter()
            .map(|(name, error)| CarriedFinding {
                detail: error.map(|error| error.to_string()),
                ..CarriedFinding::new(&name, "changed")
            })
            .collect();
        let index_end = self.trailer.index_at.saturating_add(self.trailer.index_size);
        let ends = self.members().map(|it| (it.name.as_str(), it.offset.saturating_add(it.size)));
        for (name, end) in ends.chain([("the index", index_end)]) {
            let mut filling = Vec::new();
            let read = self.bytes.cut(end, aligned(end) - end).read_to_end(&mut filling);
            read.map_err(|source| Error::File { path: self.path.clone(), source })?;
            if filling.iter().any(|byte| *byte != 0) && findings.iter().all(|it| it.path != name) {
                let detail = Some("what fills the space after it is not zeros".to_owned());
                findings.push(CarriedFinding { detail, ..CarriedFinding::new(name, "changed") });
            }
        }
        Ok(findings)
    }
}
