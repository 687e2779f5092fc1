//! Giving to a registry: blobs that it does not have yet, each in one piece, then what names them. A tag is set
//! last, by one request, so that it means the old thing or the new one, whole.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Url};

use super::payload::Payload;
use super::reference::{ManifestName, sha256};
use super::{Ask, DOCUMENT_LIMIT, Registry, RegistryError, Trouble};
use crate::fetch::http::Answer;
use crate::model::Checksum;

/// The header with the digest that a registry gives a manifest.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It was there.
    There,
    /// The registry took it from another repository of its own.
    Mounted,
    /// It was sent.
    Sent,
}

impl Registry<'_> {
    /// Makes sure that the registry has the blob with this SHA-256.
    ///
    /// # Errors
    /// When it does not take it.
    pub(crate) fn push_blob(
        &self,
        checksum: &Checksum,
        payload: &Payload,
    ) -> Result<Delivery, RegistryError> {
        let looking = format!("look for the blob sha256:{}", checksum.hex());
        let action = format!("push the blob sha256:{}", checksum.hex());
        let url = self.blob_url(checksum)?;
        self.patiently(|| {
            let answer = self.send(&Ask::new(Method::HEAD, url.clone(), &looking))?;
            match answer.status {
                200..=299 => return Ok(Delivery::There),
                404 => drop(answer),
                _ => return Err(self.refusal(answer, &looking)),
            }
            let Some(mut place) = self.begin(checksum, &action)? else {
                return Ok(Delivery::Mounted);
            };
            place.query_pairs_mut().append_pair("digest", &format!("sha256:{}", checksum.hex()));
            let put = Ask::new(Method::PUT, place, &action);
            let put = put.with(CONTENT_TYPE, "application/octet-stream");
            let answer = self.send(&Ask { body: Some(payload), ..put })?;
            match answer.status {
                201 | 204 => Ok(Delivery::Sent),
                _ => Err(self.refusal(answer, &action)),
            }
        })
    }

    /// Begins an upload. `None` where the registry took the blob from the other repository instead.
    fn begin(&self, checksum: &Checksum, action: &str) -> Result<Option<Url>, Trouble> {
        let nothing = Payload::Bytes(Vec::new());
        let post = |url: Url| {
            let begin = Ask::new(Method::POST, url, action).with(CONTENT_LENGTH, "0");
            self.send(&Ask { body: Some(&nothing), ..begin })
        };
        let plain = self.url("./blobs/uploads/")?;
        if let Some(sibling) = &self.sibling {
            let mut url = plain.clone();
            url.query_pairs_mut()
                .append_pair("mount", &format!("sha256:{}", checksum.hex()))
                .append_pair("from", sibling);
            let answer = post(url)?;
            match answer.status {
                201 => return Ok(None),
                // It has none there, or does not do that, and lets the upload begin.
                202 => return self.upload(&answer).map(Some),
                // Nor does one that refuses it say anything of an upload by itself.
                _ => drop(answer),
            }
        }
        let answer = post(plain)?;
        match answer.status {
            202 => self.upload(&answer).map(Some),
            _ => Err(self.refusal(answer, action)),
        }
    }

    /// Makes sure that `target` names these bytes. False where it did already.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub(crate) fn push_manifest(
        &self,
        target: &ManifestName,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, RegistryError> {
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            let what = format!(
                "a manifest would have {} bytes, and a registry takes {DOCUMENT_LIMIT}",
                bytes.len()
            );
            return Err(self.answer_error(what));
        }
        let action = format!("push {}", self.called(target));
        let payload = Payload::Bytes(bytes.to_vec());
        self.patiently(|| {
            let answer = self.send(&self.asking_manifest(Method::GET, target, &action)?)?;
            match answer.status {
                200 => {
                    if self.body(answer, DOCUMENT_LIMIT)? == bytes {
                        return Ok(false);
                    }
                }
                404 => drop(answer),
                _ => return Err(self.refusal(answer, &action)),
            }
            let answer = self.put((target, media_type, &payload), None, &action)?;
            if !(200..=299).contains(&answer.status) {
                return Err(self.refusal(answer, &action));
            }
            let said = answer.header(&CONTENT_DIGEST).and_then(sha256);
            match said.is_none_or(|said| said == Checksum::of(bytes)) {
                true => Ok(true),
                false => Err(self.answer_error("it took other bytes than were sent").into()),
            }
        })
    }

    /// Sends the bytes that `target` is to name, where the registry sees that the condition holds, if it looks.
    pub(super) fn put(
        &self,
        (target, media_type, bytes): (&ManifestName, &str, &Payload),
        condition: Option<(HeaderName, HeaderValue)>,
        action: &str,
    ) -> Result<Answer<'_>, Trouble> {
        let media_type = HeaderValue::from_str(media_type)
            .map_err(|_| self.answer_error("the manifest is of no type"))?;
        let mut put = Ask::new(Method::PUT, self.manifest_url(target)?, action);
        put.headers.insert(CONTENT_TYPE, media_type);
        put.headers.extend(condition);
        self.send(&Ask { body: Some(bytes), ..put })
    }

    /// Where an upload goes on, as the registry says.
    fn upload(&self, answer: &Answer<'_>) -> Result<Url, Trouble> {
        let location = answer.header(&LOCATION);
        let location = location.ok_or_else(|| self.answer_error("it begins an upload nowhere"))?;
        let url = answer.url.join(location);
        let url =
            url.map_err(|_| self.answer_error(format!("it begins an upload at {location}")))?;
        let is_safe =
            url.scheme() == "https" || url.scheme() == "http" && self.base.scheme() == "http";
        match is_safe {
            true => Ok(url),
            false => Err(self
                .answer_error(format!(
                    "it is asked by https, and wants the upload at {location}: a proxy before it must hand on \
                     X-Forwarded-Proto"
                ))
                .into()),
        }
    }
}
