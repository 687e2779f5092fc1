//! What people and other programs set: configuration files, a `.netrc`, keys and signatures of minisign's;
//! and the small files that stay with a prefix.

use std::os::unix::fs::symlink;

use elsewhere::stages::config::{Config, ConfigFile, Whose};
use elsewhere::stages::fetch::Netrc;
use elsewhere::stages::minisig::PublicKey;
use elsewhere::stages::prefix::Prefix;
use elsewhere::stages::report::Silent;

use super::scratch::Scratch;
use super::tagged;

const CONFIG: u8 = 0;
const NETRC: u8 = 1;
const PUBLIC_KEY: u8 = 2;
const SIGNATURE: u8 = 3;
const PINS: u8 = 4;
const KEYS: u8 = 5;
const REPOSITORIES: u8 = 6;

/// A key that vouches for nothing; the seeds' signature is another's.
const LIBRARIAN: &str = include_str!("../../tests/minisign/librarian.pub");

pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match *kind {
        CONFIG => run_config(bytes),
        NETRC => run_netrc(&String::from_utf8_lossy(bytes)),
        PUBLIC_KEY => run_public_key(&String::from_utf8_lossy(bytes)),
        SIGNATURE => {
            let key = PublicKey::read(LIBRARIAN).unwrap();
            let answer = key.verify(b"what nobody signed", &String::from_utf8_lossy(bytes));
            answer.expect_err("a signature that its key did not make counts");
        }
        PINS => run_kept("pins.toml", bytes, |prefix| {
            let Ok(pins) = prefix.pins() else { return };
            let locked = prefix.lock(false, &Silent::default()).unwrap();
            locked.set_pins(&pins).unwrap();
            assert_eq!(prefix.pins().unwrap(), pins, "pins change when rewritten");
        }),
        KEYS => run_kept("keys.toml", bytes, |prefix| {
            let Ok(known) = prefix.known_keys() else { return };
            prefix.lock(false, &Silent::default()).unwrap().keep_keys(known.clone()).unwrap();
            assert_eq!(prefix.known_keys().unwrap(), known, "keys change when rewritten");
        }),
        REPOSITORIES => run_kept("repositories.toml", bytes, |prefix| {
            let Ok(seen) = prefix.sightings() else { return };
            let later = seen.clone().into_iter().map(|(name, mut sighting)| {
                sighting.timestamp = sighting.timestamp.saturating_sub(1);
                (name, sighting)
            });
            prefix
                .lock(false, &Silent::default())
                .unwrap()
                .believe(&later.collect(), false)
                .unwrap();
            for (name, sighting) in prefix.sightings().unwrap() {
                assert!(sighting.timestamp >= seen[&name].timestamp, "{name} went back in time");
            }
        }),
        _ => {}
    }
}

fn run_config(bytes: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("config.toml", bytes, 0o644);
    let path = scratch.0.join("config.toml");
    match Config::load(&[ConfigFile { path, whose: Whose::Named }]) {
        Ok(config) => drop(format!("{config:?}")),
        Err(error) => drop((error.to_string(), error.hint())),
    }
}

fn run_netrc(text: &str) {
    let netrc = Netrc::parse(text);
    for host in ["mirror.example", "other.example", "", "default"] {
        let Some((login, password)) = netrc.credentials(host, false) else { continue };
        // What was not written under this name is not its password.
        let is_named = text.to_ascii_lowercase().contains(host) && text.contains("machine");
        assert!(is_named, "{host} is told {login} and {password}");
    }
    let _ = netrc.credentials("mirror.example", true);
    let shown = format!("{netrc:?}");
    assert!(shown.len() < 40, "more is shown of a .netrc than how much there is: {shown}");
}

fn run_public_key(text: &str) {
    let Some(key) = PublicKey::read(text) else { return };
    let id = key.id();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "a key named {id}");
}

/// Reads a prefix that has `bytes` as its small file `name`.
fn run_kept(name: &str, bytes: &[u8], check: fn(&Prefix)) {
    let scratch = Scratch::new();
    scratch.directory(".elsewhere/x86_64/1");
    symlink(".elsewhere/x86_64/1", scratch.0.join("x86_64")).unwrap();
    scratch.write(&format!(".elsewhere/{name}"), bytes, 0o644);
    check(&Prefix::open(&scratch.0).unwrap());
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let netrc = "# mine\nmachine mirror.example login ann password \"s3 \\\" cret\"\n\
                 macdef init\nmachine other.example\n\n\
                 machine other.example\n  user bob\n  account x password p#w\n\
                 default login anonymous password y\n";
    let signature = "untrusted comment: signature from minisign secret key\n\
        RUR+5R3G6/uOKEvL0CnVRtDU2l9CsGVzbJ2dCqpkGqDCS8ZcZ4o9W3RR0Hpq7xgRbkMDtRaQTcMBWu2s1ZbGh9oZ0kqrS0T0cwQ=\n\
        trusted comment: timestamp:1763600000\tfile:receipt\thashed\n\
        pQp0rG0ScqIv1xJt0bU6cX0ZxyhSkl5ZJ1v3G2m9oW1xqkX7mU0k4cO3pQzYw0cYk0r1cX3qM2m3b4xk5n6o7w==\n";
    let keys = format!(
        "format = 1\n\n[keys.{}]\nasked_at = 1763600000\ncertificate = \"\"\"\n{}\"\"\"\n",
        "8483C65D1F3B4DBC7EDA3A32A16AF5B6E7F0B9E1", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    );
    let seen = "timestamp = 1763600000\nrevision = \"8.10\"\nmetalink = \"https://mirror.example/metalink\"\n";
    vec![
        tagged(CONFIG, settings()),
        tagged(NETRC, netrc),
        tagged(PUBLIC_KEY, LIBRARIAN),
        tagged(SIGNATURE, signature),
        tagged(PINS, "format = 1\n\n[runtimes]\napptainer = \"1.4.5\"\n"),
        tagged(KEYS, keys),
        tagged(
            REPOSITORIES,
            format!("format = 1\n\n[repositories.el8-baseos-x86_64-0123abcd]\n{seen}"),
        ),
    ]
}

/// The example of the documentation.
fn settings() -> String {
    super::block(include_str!("../../docs/configuration.md"), "toml")
}
