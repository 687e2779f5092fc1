//! What is about a manifest: signatures, bills of materials. Many registries list it themselves; for the others
//! the list is an index under a tag that is the manifest's digest, which whoever adds something writes anew
//! (OCI's distribution specification, "Referrers tag schema").

use reqwest::header::{ACCEPT, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LINK};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::document::{DOCUMENT_LIMIT, Descriptor, INDEX, ImageIndex, MANIFEST};
use super::payload::Payload;
use super::reference::{ManifestName, sha256};
use super::{Ask, Registry, RegistryError};
use crate::fetch::http::Answer;
use crate::model::Checksum;

/// The header by which a registry says that it lists what it took itself.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Most pages of a list that are read.
const PAGES: usize = 16;
/// How often a list is written that others write at the same time.
const ROUNDS: u32 = 6;

/// A list under a tag, and what names it as it is now; `None` where there is none.
type Listed = Option<(Value, Option<HeaderValue>)>;

impl Registry<'_> {
    /// What is about the manifest with this digest, and of this kind.
    ///
    /// # Errors
    /// When the registry does not say.
    pub(crate) fn referrers(
        &self,
        subject: &Checksum,
        kind: &str,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let action = format!("list what is about sha256:{}", subject.hex());
        let mut next = Some(self.url(&format!("./referrers/sha256:{}", subject.hex()))?);
        if let Some(url) = &mut next {
            url.query_pairs_mut().append_pair("artifactType", kind);
        }
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let Some(url) = next.take() else { break };
            let page = self.patiently(|| {
                let ask = Ask::new(Method::GET, url.clone(), &action).with(ACCEPT, INDEX);
                let answer = self.send(&ask)?;
                match answer.status {
                    200 => {
                        let next = self.next_page(&answer);
                        Ok(Some((self.body(answer, DOCUMENT_LIMIT)?, next)))
                    }
                    // It keeps no such lists.
                    404 | 405 | 501 => Ok(None),
                    _ => Err(self.refusal(answer, &action)),
                }
            })?;
            let list = match page {
                Some((bytes, further)) => {
                    next = further;
                    serde_json::from_slice(&bytes).ok()
                }
                None => match self.listed(subject)? {
                    Some((list, _)) => serde_json::from_value(list).ok(),
                    None => break,
                },
            };
            let list: ImageIndex = list.ok_or_else(|| self.no_list())?;
            found.extend(list.manifests);
        }
        // Not every registry filters.
        found.retain(|it: &Descriptor| it.artifact_type.as_deref() == Some(kind));
        Ok(found)
    }

    /// Pushes the manifest `bytes`, which is about the one with the digest `subject`, so that it is found as
    /// `descriptor` says.
    ///
    /// # Errors
    /// When the registry does not take it, or its list.
    pub(crate) fn push_referrer(
        &self,
        subject: &Checksum,
        bytes: &[u8],
        descriptor: &Descriptor,
    ) -> Result<(), RegistryError> {
        let target = ManifestName::Digest(Checksum::of(bytes));
        let action = format!("push {}", self.called(&target));
        let payload = Payload::Bytes(bytes.to_vec());
        let is_listed = self.patiently(|| {
            let answer = self.put((&target, MANIFEST, &payload), None, &action)?;
            match answer.status {
                200..=299 => Ok(answer.header(&SUBJECT).and_then(sha256).as_ref() == Some(subject)),
                _ => Err(self.refusal(answer, &action)),
            }
        })?;
        match is_listed {
            true => Ok(()),
            false => self.list_referrer(subject, descriptor),
        }
    }

    /// Adds `descriptor` to the list under the tag. What others put there meanwhile stays: a registry that
    /// looks at conditions refuses what would undo it, and with every other one the list is read again, until it
    /// has what it is to have.
    fn list_referrer(
        &self,
        subject: &Checksum,
        descriptor: &Descriptor,
    ) -> Result<(), RegistryError> {
        let target = tag(subject);
        let action = format!("write {}", self.called(&target));
        for round in 0..ROUNDS {
            let (mut list, condition) = match self.listed(subject)? {
                // One that names no state cannot be asked to keep to it.
                Some((list, state)) => (list, state.map(|state| (IF_MATCH, state))),
                None => {
                    let nothing = (IF_NONE_MATCH, HeaderValue::from_static("*"));
                    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
                    (list, Some(nothing))
                }
            };
            let entries = list.get_mut("manifests").and_then(Value::as_array_mut);
            let entries = entries.ok_or_else(|| self.no_list())?;
            let digest = Some(descriptor.digest.as_str());
            if entries.iter().any(|it| it.get("digest").and_then(Value::as_str) == digest) {
                return Ok(());
            }
            entries.push(serde_json::to_value(descriptor).map_err(|_| self.no_list())?);
            let payload = Payload::Bytes(list.to_string().into_bytes());
            self.patiently(|| {
                let answer = self.put((&target, INDEX, &payload), condition.clone(), &action)?;
                match answer.status {
                    // Somebody was faster.
                    200..=299 | 409 | 412 => Ok(()),
                    _ => Err(self.refusal(answer, &action)),
                }
            })?;
            if round > 0 {
                self.fetcher.pause(1, &[])?;
            }
        }
        Err(self.answer_error("others write its list of what is about this artifact all the time"))
    }

    /// The list under the tag, with all that anybody wrote there.
    fn listed(&self, subject: &Checksum) -> Result<Listed, RegistryError> {
        let target = tag(subject);
        let action = format!("read {}", self.called(&target));
        let found = self.patiently(|| {
            let answer = self.send(&self.asking_manifest(Method::GET, &target, &action)?)?;
            match answer.status {
                200 => {
                    let state = answer.headers.get(ETAG).cloned();
                    Ok(Some((self.body(answer, DOCUMENT_LIMIT)?, state)))
                }
                404 => Ok(None),
                _ => Err(self.refusal(answer, &action)),
            }
        })?;
        let Some((bytes, state)) = found else { return Ok(None) };
        let list = serde_json::from_slice(&bytes).map_err(|_| self.no_list())?;
        // A weak one does not name bytes.
        let state = state.filter(|state| !state.as_bytes().starts_with(b"W/"));
        Ok(Some((list, state)))
    }

    /// Where a list goes on, as `Link` says: at the registry itself.
    fn next_page(&self, answer: &Answer<'_>) -> Option<Url> {
        let link = answer.header(&LINK)?;
        let (place, relation) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = relation.contains("rel=\"next\"") || relation.contains("rel=next");
        let url = answer.url.join(place).ok().filter(|_| is_next)?;
        Some(url).filter(|url| self.is_own(url))
    }

    fn no_list(&self) -> RegistryError {
        self.answer_error("its list of what is about an artifact is none")
    }
}

/// The tag under which the list of a manifest with this digest is.
fn tag(subject: &Checksum) -> ManifestName {
    ManifestName::Tag(format!("sha256-{}", subject.hex()))
}
