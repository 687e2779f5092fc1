//! Metalinks and mirror lists.

use elsewhere::stages::model::Checksum;
use elsewhere::stages::repodata::metalink::{Metalink, parse, parse_mirrorlist};

fn document(file: &str) -> String {
    format!(
        "<metalink xmlns:mm0=\"x\"><files>\n<file name=\"repomd.xml\">\n{file}</file></files></metalink>"
    )
}

fn read(file: &str) -> Metalink {
    parse(document(file).as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn hash(of: &str) -> String {
    format!("<hash type=\"sha256\">{}</hash>", Checksum::of(of.as_bytes()).hex())
}

fn verification(of: &str) -> String {
    format!("<verification>{}</verification>", hash(of))
}

#[test]
fn a_digest_is_needed_and_all_else_may_be_missing() {
    let link = read(&verification("now"));
    assert_eq!(link.checksums, [Checksum::of(b"now")]);
    assert_eq!((link.mirrors.len(), link.timestamp, link.size), (0, None, None));
    let odd = "<size>big</size><timestamp>1.5</timestamp><what><deep/></what>";
    let link = read(&(verification("now") + odd));
    assert_eq!((link.timestamp, link.size), (Some(1), None));
    for none in ["", "<verification/>", "<verification><hash>12</hash></verification>"] {
        assert!(parse(document(none).as_bytes()).is_err(), "{none}");
    }
}

#[test]
fn odd_hashes_leave_the_good_ones() {
    let odd = "<hash/><hash type=\"sha3\">1</hash><hash type=\"sha256\">xyz</hash><hash type=\"sha1\">2</hash>\
        <pieces length=\"1\"><hash piece=\"0\">3</hash></pieces>";
    let file = format!("<verification>{odd}{}{odd}</verification>", hash("now"));
    assert_eq!(read(&file).checksums, [Checksum::of(b"now")]);
    let upper = verification("now").replace("sha256", "SHA256");
    assert_eq!(read(&upper).checksums, [Checksum::of(b"now")]);
}

#[test]
fn of_two_files_the_first_counts_and_others_are_passed_over() {
    let file = |name: &str, of: &str| format!("<file {name}>{}</file>", verification(of));
    let all = file("", "none")
        + &file("name=\"x\"", "x")
        + &file("name=\"repomd.xml\"", "1")
        + &file("name=\"repomd.xml\"", "2");
    let text = format!("<metalink><files/><files>{all}</files></metalink>");
    assert_eq!(parse(text.as_bytes()).unwrap().checksums, [Checksum::of(b"1")]);
}

#[test]
fn odd_mirrors_are_passed_over() {
    let url = |attributes: &str, host: &str| {
        format!("<url {attributes}>https://{host}/repodata/repomd.xml</url>")
    };
    let urls = url("preference=\"5\"", "five.example")
        + &url("", "none.example")
        + &url("preference=\"1000\"", "absurd.example")
        + &url("preference=\"-1\"", "minus.example")
        + &url("preference=\"90\"", "best.example")
        + "<url/><url>ftp://f.example/repodata/repomd.xml</url><url>https://o.example/other.xml</url>\
           <note>https://note.example/repodata/repomd.xml</note><url>/repodata/repomd.xml</url>"
        + &url("", "five.example");
    let link = read(&format!("{}<resources>{urls}</resources>", verification("now")));
    let hosts: Vec<&str> = link.mirrors.iter().map(|url| url.split('/').nth(2).unwrap()).collect();
    let expected =
        ["best.example", "five.example", "none.example", "absurd.example", "minus.example"];
    assert_eq!(hosts, expected);
}

#[test]
fn odd_lines_of_a_mirror_list_are_passed_over() {
    let list =
        b"\xff\n\t https://a.example/x \r\n# https://no.example/\n/srv/mirror\nfile:///srv\n\
        https://b.example/ c\nHTTPS\n\nhttps://a.example/x/\nhttp://c.example\nhttps://d.example";
    let expected = ["https://a.example/x/", "https://d.example/", "http://c.example/"];
    assert_eq!(parse_mirrorlist(list), expected);
    assert!(parse_mirrorlist(b"").is_empty());
}
