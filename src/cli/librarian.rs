//! Keys of minisign's: a librarian's own, which signs, and those that somebody believes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::Error;
use crate::host::Host;
use crate::minisig::{PublicKey, SecretKey};
use crate::model::escape;
use crate::terminal::Terminal;

/// Most bytes of a file with a key or a password.
const LIMIT: u64 = 64 << 10;

/// The secret key that signs.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SecretKeyArgs {
    /// The file of the secret key, as minisign -G makes it [default: ~/.minisign/minisign.key]
    #[arg(short, long, value_name = "FILE")]
    secret_key: Option<PathBuf>,
    /// The file with the secret key's password in its first line; - is standard input
    /// [default: MINISIGN_PASSWORD, or what is typed at the terminal]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl SecretKeyArgs {
    /// Whether a key is named.
    pub(super) fn is_named(&self) -> bool {
        self.secret_key.is_some()
    }

    /// The secret key, and its file.
    ///
    /// # Errors
    /// When there is none, or its password is not said.
    pub(super) fn key(
        &self,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(PathBuf, SecretKey), Error> {
        let named = self.secret_key.as_deref().map(|path| host.absolute(path));
        let path = named.or_else(|| host.secret_key()).ok_or_else(|| {
            Error::Usage("name the secret key with --secret-key: there is no home".to_owned())
        })?;
        let text = read(&path, File::open(&path))?;
        let password = match SecretKey::is_protected(&text) {
            true => self.password(host, &path, terminal)?,
            false => None,
        };
        match SecretKey::read(&text, password.as_deref()) {
            Ok(key) => Ok((path, key)),
            Err(source) => Err(Error::SecretKey { path, source }),
        }
    }

    /// The password of the key at `path`; `None` where nobody says it.
    fn password(
        &self,
        host: &Host,
        path: &Path,
        terminal: &Terminal,
    ) -> Result<Option<String>, Error> {
        let text = match self.password_file.as_deref() {
            Some(file) if file == Path::new("-") => read(file, Ok(io::stdin()))?,
            Some(file) => read(file, File::open(file))?,
            None => match host.secret_key_password() {
                Some(password) => return Ok(Some(password)),
                None => {
                    let question = format!("Password of {}", path.display());
                    return terminal.ask_secret(&question).map_err(|source| match source.kind() {
                        io::ErrorKind::Interrupted => Error::Cancelled,
                        _ => Error::File { path: PathBuf::from("/dev/tty"), source },
                    });
                }
            },
        };
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}

/// The keys that `option` names: each by its file, or its line in Base64.
///
/// # Errors
/// When one is none.
pub(super) fn signers(
    host: &Host,
    option: &str,
    named: &[PathBuf],
) -> Result<Vec<PublicKey>, Error> {
    let signer = |named: &PathBuf| {
        if let Some(key) = named.to_str().and_then(PublicKey::read) {
            return Ok(key);
        }
        let path = host.absolute(named);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
            text => text.map_err(|source| Error::File { path, source })?,
        };
        PublicKey::read(&text).ok_or_else(|| {
            let shown = escape(&named.to_string_lossy()).into_owned();
            Error::Usage(format!("{option} {shown}: it is no public key of minisign's"))
        })
    };
    named.iter().map(signer).collect()
}

/// The text of a small file.
fn read(path: &Path, file: io::Result<impl Read>) -> Result<String, Error> {
    let mut text = String::new();
    let read = file.and_then(|file| file.take(LIMIT).read_to_string(&mut text));
    read.map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(text)
}
