//! `--trace`: a record of what took how long, of good runs and of bad ones, without anybody's password.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::server::{Fault, Server};
use support::site::Site;

/// The events of a record, which must be in order.
fn events(path: &Path) -> Vec<Value> {
    let whole: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(whole["otherData"]["elsewhere"], env!("CARGO_PKG_VERSION"));
    whole["traceEvents"].as_array().unwrap().clone()
}

/// The pieces of work called `name`.
fn spans<'e>(events: &'e [Value], name: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["ph"] == "X" && event["name"] == name).collect()
}

fn number(event: &Value, name: &str) -> f64 {
    event[name].as_f64().unwrap_or_else(|| panic!("{name}: {event}"))
}

#[test]
fn an_install_is_told_piece_by_piece() {
    let site = Site::new("traced");
    let server = Server::start(site.mirror());
    let trace = site.place("trace.json");
    let with_password = server.url().replace("http://", "http://ann:word@");
    let outcome = site.install_from(&with_password, &["--trace", trace.to_str().unwrap()]).ok();
    assert!(outcome.err.contains("wrote "), "{}", outcome.err);
    let text = fs::read_to_string(&trace).unwrap();
    assert!(!text.contains("word@") && !text.contains("ann:"), "{text}");
    let events = events(&trace);
    // Everything lies within the whole run, and nobody worked longer than it took.
    let whole = spans(&events, "run")[0];
    let end = number(whole, "ts") + number(whole, "dur");
    for span in events.iter().filter(|event| event["ph"] == "X") {
        let (began, took) = (number(span, "ts"), number(span, "dur"));
        assert!(began >= number(whole, "ts") && began + took <= end, "{span}");
        assert!(number(span, "tdur") <= took + 20_000.0, "{span}");
        let thread = &span["tid"];
        let is_name = |event: &&Value| event["name"] == "thread_name" && event["tid"] == *thread;
        assert_eq!(events.iter().filter(is_name).count(), 1, "{span}");
    }
    let work = [
        "open cache",
        "plan",
        "find repository",
        "read repository",
        "resolve",
        "fetch",
        "unpack",
        "relocate",
        "audit",
        "try out",
        "sync",
        "write receipt",
        "go live",
        "try launchers",
    ];
    for name in work {
        assert!(!spans(&events, name).is_empty(), "{name}: {text}");
    }
    // As many requests as the server counted, and each byte of the packages.
    let requests = spans(&events, "request");
    assert_eq!(requests.len(), server.requests().len());
    for name in ["hello", "hello-data"] {
        let file = format!("base/Packages/{name}-1.0-1.el9.x86_64.rpm");
        let is_it = |event: &&&Value| event["args"]["of"].as_str().unwrap().ends_with(&file);
        let request = requests.iter().find(is_it).unwrap_or_else(|| panic!("{file}: {text}"));
        assert_eq!(request["args"]["status"], "200");
        let size = fs::metadata(site.file(&file)).unwrap().len();
        assert_eq!(request["args"]["bytes"], size.to_string());
    }
    // Phases begin and end.
    for phase in ["metadata", "download", "unpack", "relocate", "test"] {
        for ph in ["b", "e"] {
            let is_it = |event: &&Value| event["ph"] == ph && event["name"] == phase;
            assert!(events.iter().any(|event| is_it(&event)), "{ph} {phase}");
        }
    }
}

#[test]
fn a_run_that_fails_is_told_too_and_fails_as_it_would() {
    let site = Site::new("traced-failure");
    let server = Server::start(site.mirror());
    server.fault("/forged.example/base/repodata/repomd.xml", Fault::status(503, 1000));
    let trace = site.place("trace.json");
    let words = ["--trace", trace.to_str().unwrap()];
    site.install_from(&server.url(), &words).refused(3, "503");
    let events = events(&trace);
    let failed = spans(&events, "request").into_iter().filter(|it| it["args"]["status"] == "503");
    assert!(failed.count() > 0);
    assert!(events.iter().any(|event| event["name"] == "retry"));
}

/// What was asked for is done; that the record cannot be written is told, and named.
#[test]
fn a_record_that_cannot_be_written_is_an_error() {
    let site = Site::new("traced-nowhere");
    let outcome = site.install(&["--trace", "/nonexistent/trace.json"]);
    outcome.refused(6, "/nonexistent/trace.json");
    site.run("verify", &[]).ok();
    // Of a run that fails anyhow its own reason is told.
    fs::remove_dir_all(site.prefix()).unwrap();
    let words = ["--trace", "/nonexistent/trace.json", "-r", "no-such"];
    site.install(&words).refused(2, "no-such");
}

/// It goes to standard output where that is asked for, and every command has it.
#[test]
fn every_command_can_be_recorded() {
    let site = Site::new("traced-others");
    site.install(&[]).ok();
    let out = site.run("verify", &["--quiet", "--trace", "-"]).ok().out;
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(whole["displayTimeUnit"], "ms");
    assert!(!spans(whole["traceEvents"].as_array().unwrap(), "run").is_empty());
}
