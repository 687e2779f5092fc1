//! What a registry wants to be shown: `WWW-Authenticate`, as RFC 9110 (11.6.1) has it, and docker's token
//! specification.

/// A way to say who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password.
    Basic,
    /// A token that somebody else gives.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what.
        scope: Option<String>,
    },
}

/// The ways that one header offers. What is not known is passed over.
pub(super) fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        match after.strip_prefix('=') {
            None => {
                found.push((word.to_ascii_lowercase(), Vec::new()));
                rest = after;
            }
            Some(value) => {
                let (value, after) = read_value(value);
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
            }
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| challenge(&scheme, &parameters)).collect()
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let value = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let (service, scope) = (value("service"), value("scope"));
            Some(Challenge::Bearer { realm: value("realm")?, service, scope })
        }
        _ => None,
    }
}

/// A value, in quotes or not, and what comes after it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), after);
    };
    let (mut value, mut characters) = (String::new(), quoted.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: "https://a.example/token".to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        };
        let realm = "realm=\"https://a.example/token\"";
        for (header, expected) in [
            ("Basic realm=\"x\"", vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (&format!("Bearer {realm}"), vec![bearer(None, None)]),
            (
                &format!("bearer {realm},service=\"s\" , scope=\"repository:a:pull,push\""),
                vec![bearer(Some("s"), Some("repository:a:pull,push"))],
            ),
            (
                &format!(
                    "Negotiate abc=, Basic realm=\"a \\\"b\\\", c\", Bearer service=s,{realm}"
                ),
                vec![Challenge::Basic, bearer(Some("s"), None)],
            ),
            ("Bearer service=\"s\"", vec![]),
            (
                "Bearer realm=\"open",
                vec![Challenge::Bearer { realm: "open".to_owned(), service: None, scope: None }],
            ),
            ("", vec![]),
            ("=,=\"", vec![]),
        ] {
            assert_eq!(challenges(header), expected, "{header}");
        }
    }
}
