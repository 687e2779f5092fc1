//! `repomd.xml`: the fields of its records.

use elsewhere::stages::model::Checksum;
use elsewhere::stages::repodata::repomd::{Repomd, parse};

/// A document whose record of the packages has these lines.
fn document(primary: &str) -> String {
    format!("<repomd><revision>r</revision>\n<data type=\"primary\">\n{primary}</data></repomd>")
}

const LOCATION: &str = r#"<location href="repodata/p.xml"/>"#;

fn sum(of: &str) -> String {
    let digest = Checksum::of(of.as_bytes());
    format!(r#"<checksum type="sha256">{}</checksum>"#, digest.hex())
}

fn read(primary: &str) -> Repomd {
    parse(document(primary).as_bytes()).unwrap_or_else(|error| panic!("{primary}: {error}"))
}

fn failure(primary: &str) -> String {
    parse(document(primary).as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_location_and_a_strong_checksum_are_enough() {
    let repomd = read(&(sum("p") + LOCATION));
    let primary = repomd.primary;
    assert_eq!(primary.checksum, Checksum::of(b"p"));
    assert_eq!((primary.size, primary.open_size, primary.open_checksum), (None, None, None));
    assert_eq!((repomd.timestamp, repomd.modules), (0, None));
    assert_eq!(failure(&sum("p")), "primary.xml lacks its location");
    assert_eq!(failure(&(sum("p") + r#"<location href=""/>"#)), "primary.xml lacks its location");
    assert_eq!(failure(LOCATION), "primary.xml lacks its checksum");
    let weak = sum("p").replace("sha256", "sha") + LOCATION;
    assert!(failure(&weak).contains("\"sha\" is not accepted"));
    let none = "<repomd><data type=\"other\"/><data/></repomd>";
    assert_eq!(parse(none.as_bytes()).unwrap_err().to_string(), "repomd.xml lacks its primary.xml");
}

#[test]
fn of_two_checksums_the_stronger_counts() {
    let strong = format!(r#"<checksum type="sha512">{}</checksum>"#, "ab".repeat(64));
    let weak = sum("p").replace("sha256", "sha");
    for all in [weak.clone() + &strong + &sum("p"), strong + &sum("p") + &weak] {
        assert!(read(&(all + LOCATION)).primary.checksum.to_string().starts_with("sha512:"));
    }
}

#[test]
fn the_checksum_of_what_it_unpacks_to_may_be_weak_or_odd() {
    for open in ["<open-checksum/>", r#"<open-checksum type="sha">12</open-checksum>"#] {
        assert_eq!(read(&(sum("p") + LOCATION + open)).primary.open_checksum, None, "{open}");
    }
}

#[test]
fn sizes_may_be_odd() {
    let sizes = |size: &str| {
        let more = format!("<size>{size}</size><open-size>{size}</open-size>");
        let primary = read(&(sum("p") + LOCATION + &more)).primary;
        assert_eq!(primary.size, primary.open_size);
        primary.size
    };
    for unknown in ["", "many", "-5", "0", "99999999999999999999", "<b/>"] {
        assert_eq!(sizes(unknown), None, "{unknown}");
    }
    assert_eq!((sizes(" 12 "), sizes("12.5")), (Some(12), Some(12)));
}

#[test]
fn times_may_have_fractions_or_be_odd() {
    let time = |text: &str| {
        read(&(sum("p") + LOCATION + &format!("<timestamp>{text}</timestamp>"))).timestamp
    };
    assert_eq!(time("1700000005.25"), 1_700_000_005);
    assert_eq!(time("17e5"), 17);
    for unknown in ["", "now", "-1", "1e", "99999999999999999999"] {
        assert!(time(unknown) < 2, "{unknown}");
    }
}

#[test]
fn of_several_records_of_a_type_the_first_counts() {
    let record =
        |kind: &str, of: &str| format!("<data type=\"{kind}\">{}{LOCATION}</data>", sum(of));
    let all = ["primary", "modules", "primary", "modules"].map(|kind| record(kind, kind));
    let second = record("primary", "second") + "<data type=\"modules\"/>";
    let repomd = parse(format!("<repomd>{}{second}</repomd>", all.concat()).as_bytes()).unwrap();
    assert_eq!(repomd.primary.checksum, Checksum::of(b"primary"));
    assert_eq!(repomd.modules.unwrap().checksum, Checksum::of(b"modules"));
}

#[test]
fn records_that_are_not_read_may_say_what_they_like() {
    let odd = "<data type=\"updateinfo\"><size>x</size><checksum>?</checksum><location><b/></location>\
        <timestamp>1800000000.9</timestamp></data><data/><tags><repo>x</repo></tags>";
    let text = document(&(sum("p") + LOCATION)).replace("</repomd>", &format!("{odd}</repomd>"));
    let repomd = parse(text.as_bytes()).unwrap();
    assert_eq!((repomd.timestamp, repomd.revision.as_str()), (1_800_000_000, "r"));
}

#[test]
fn a_record_may_lie_elsewhere() {
    let location = |text: &str| read(&(sum("p") + text)).primary.location;
    assert_eq!(location(r#"<location xml:base="https://h/a/" href="p"/>"#), "https://h/a/p");
    assert_eq!(location(r#"<location xml:base="../a" href="p"/>"#), "../a/p");
    assert_eq!(location(r#"<location href="a"/><location href="b"/>"#), "b");
}

#[test]
fn what_is_no_repomd_is_refused() {
    assert!(
        parse(b"<html><body>Sign in</body></html>").unwrap_err().to_string().contains("is <html>")
    );
    let more = document(&(sum("p") + LOCATION)) + "<more/>";
    assert!(parse(more.as_bytes()).unwrap_err().to_string().contains("more after"));
    let text = document(&(sum("p") + LOCATION));
    assert!(
        parse(&text.as_bytes()[..text.len() - 9]).unwrap_err().to_string().contains("ends early")
    );
}
