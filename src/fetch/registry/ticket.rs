//! Getting what a registry wants to be shown: the name and password themselves, or a token that whoever it names
//! gives for them, or for nothing.

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::challenge::{Challenge, challenges};
use super::error::RegistryError;
use super::logins::Login;
use super::{Registry, Trouble, is_loopback};
use crate::fetch::http::Answer;
use crate::tools::base64;

/// Most bytes of an answer with a token.
const TOKEN_LIMIT: u64 = 1 << 20;
/// How this program calls itself where it asks for one.
const CLIENT: &str = "elsewhere";

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Registry<'_> {
    /// Gets what the refusal `answer` asks for. False where there is nothing to show.
    pub(super) fn get_ticket(&self, answer: &Answer<'_>) -> Result<bool, Trouble> {
        let headers = answer.headers.get_all(WWW_AUTHENTICATE);
        let wanted: Vec<Challenge> =
            headers.iter().filter_map(|it| it.to_str().ok()).flat_map(challenges).collect();
        let bearer = wanted.iter().find(|it| matches!(it, Challenge::Bearer { .. }));
        let ticket = match (bearer, &self.login) {
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                Some(self.token(realm, service.as_deref(), scope.as_deref())?)
            }
            (_, Some(Login::Password { name, password, .. })) if !wanted.is_empty() => {
                Some(self.basic(name, password)?)
            }
            _ => None,
        };
        let is_there = ticket.is_some();
        self.fetcher.http.tickets.set(&self.base, ticket);
        Ok(is_there)
    }

    fn basic(&self, name: &str, password: &str) -> Result<HeaderValue, RegistryError> {
        let encoded = base64::encode(format!("{name}:{password}").as_bytes());
        let mut header = HeaderValue::from_str(&format!("Basic {encoded}"))
            .map_err(|_| self.answer_error("the name and password cannot be sent"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// A token from whoever gives one.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        asked: Option<&str>,
    ) -> Result<HeaderValue, Trouble> {
        let url = self.realm(realm)?;
        let own = format!("repository:{}:{}", self.repository, self.access.actions());
        let mut scopes = vec![own];
        // Who gives tokens leaves out what may not be.
        scopes.extend(self.sibling.iter().map(|it| format!("repository:{it}:pull")));
        let asked = asked.map(str::to_owned).filter(|it| !it.is_empty() && !scopes.contains(it));
        scopes.extend(asked);
        let action = "get a token";
        let login = self.login.as_ref();
        let make = |client: &Client| -> RequestBuilder {
            if let Some(Login::Identity { token, .. }) = login {
                let mut form = Url::parse("http://form/").unwrap_or_else(|_| url.clone());
                form.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", CLIENT)
                    .append_pair("service", service.unwrap_or_default())
                    .append_pair("scope", &scopes.join(" "))
                    .append_pair("refresh_token", token);
                let body = form.query().unwrap_or_default().to_owned();
                let request = client.request(Method::POST, url.clone());
                return request
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body);
            }
            let mut url = url.clone();
            let service = service.map(|service| ("service", service));
            let scopes = scopes.iter().map(|scope| ("scope", scope.as_str()));
            url.query_pairs_mut().extend_pairs(service.into_iter().chain(scopes));
            let request = client.get(url);
            match login {
                Some(Login::Password { name, password, .. }) => {
                    request.basic_auth(name, Some(password))
                }
                _ => request,
            }
        };
        let http = &self.fetcher.http;
        let answer = http.ask(&url, &make, None, self.fetcher.reporter);
        let answer = answer.map_err(|failure| self.trouble(&url, failure))?;
        if answer.status != 200 {
            return Err(self.refusal(answer, action));
        }
        let body = self.body(answer, TOKEN_LIMIT)?;
        let wrong = || self.answer_error("what should give a token gives none");
        let tokens: Tokens = serde_json::from_slice(&body).map_err(|_| wrong())?;
        let token = if tokens.token.is_empty() { tokens.access_token } else { tokens.token };
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut header = header.ok().filter(|_| !token.is_empty()).ok_or_else(wrong)?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// Where tokens are given. No password goes over plain http but to where the registry itself is asked so.
    fn realm(&self, realm: &str) -> Result<Url, RegistryError> {
        let wrong = |why: &str| self.answer_error(format!("it names {realm} for tokens: {why}"));
        let url = Url::parse(realm).map_err(|_| wrong("no URL"))?;
        let host = url.host_str().unwrap_or_default();
        let is_its = self.base.scheme() == "http"
            && (Some(host) == self.base.host_str() || is_loopback(host));
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_its => Ok(url),
            _ => Err(wrong("https is needed")),
        }
    }
}
