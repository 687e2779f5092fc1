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

impl Registry<'_> {
    /// Makes sure that the registry has the blob with this SHA-256. False where it had it already.
    ///
    /// # Errors
    /// When it does not take it.
    pub(crate) fn push_blob(
        &self,
        checksum: &Checksum,
        payload: &Payload,
    ) -> Result<bool, RegistryError> {
        let looking = format!("look for the blob sha256:{}", checksum.hex());
        let action = format!("push the blob sha256:{}", checksum.hex());
        let url = self.blob_url(checksum)?;
        self.patiently(|| {
            let answer = self.send(&Ask::new(Method::HEAD, url.clone(), &looking))?;
            match answer.status {
                200..=299 => return Ok(false),
                404 => drop(answer),
                _ => return Err(self.refusal(answer, &looking)),
            }
            let nothing = Payload::Bytes(Vec::new());
            let begin = Ask::new(Method::POST, self.url("./blobs/uploads/")?, &action);
            let begin = Ask { body: Some(&nothing), ..begin.with(CONTENT_LENGTH, "0") };
            let answer = self.send(&begin)?;
            if answer.status != 202 {
                return Err(self.refusal(answer, &action));
            }
            let mut place = self.upload(&answer)?;
            drop(answer);
            place.query_pairs_mut().append_pair("digest", &format!("sha256:{}", checksum.hex()));
            let put = Ask::new(Method::PUT, place, &action);
            let put = put.with(CONTENT_TYPE, "application/octet-stream");
            let answer = self.send(&Ask { body: Some(payload), ..put })?;
            match answer.status {
                201 | 204 => Ok(true),
                _ => Err(self.refusal(answer, &action)),
            }
        })
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
        let media_type = HeaderValue::from_str(media_type)
            .map_err(|_| self.answer_error("the manifest is of no type"))?;
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
            let mut put = Ask::new(Method::PUT, self.manifest_url(target)?, &action);
            put.headers.insert(CONTENT_TYPE, media_type.clone());
            let answer = self.send(&Ask { body: Some(&payload), ..put })?;
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
