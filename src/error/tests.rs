//! What failures say, and whom they blame.

use super::*;
use crate::trust::SignatureProblem;

fn untrusted(problem: SignatureProblem, key: FetchError) -> Error {
    let source = TrustError::Package { package: "p".to_owned(), source: problem };
    Error::untrusted(source, ("el9", "base"), vec![Arc::new(key)])
}

#[test]
fn a_key_that_could_not_be_asked_for_says_nothing_of_the_package() {
    let unknown = || SignatureProblem::UnknownKey("ab".to_owned());
    let no_files = || FetchError::System(io::Error::from_raw_os_error(24));
    let limited = untrusted(unknown(), no_files());
    assert_eq!(limited.exit_status(), HOST);
    assert!(limited.hint().is_some_and(|hint| hint.contains("ulimit -n")), "{limited}");
    let cancelled = untrusted(unknown(), FetchError::Cancelled);
    assert!(cancelled.is_cancelled());
    assert_eq!(cancelled.exit_status(), INTERRUPTED);
    let elsewhere = untrusted(unknown(), FetchError::Unavailable(Vec::new()));
    assert_eq!(elsewhere.exit_status(), 4);
    // What another key says of it stands, whatever kept from this one.
    let bad = untrusted(SignatureProblem::Missing, no_files());
    assert_eq!(bad.exit_status(), 4);
}
