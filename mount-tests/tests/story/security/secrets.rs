//! What is in files and in the environment stays there: no log line, message or answer tells it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mount_tests::mount::Mount;
use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::process::mounted_at;
use mount_tests::run::shell;
use mount_tests::sys::{refused, set_xattr};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// A word that comes from nowhere else.
struct Canary(String);

impl Canary {
    fn new(name: &str) -> Canary {
        let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        Canary(format!("canary-{name}-{clock}"))
    }

    /// As it stands, as numbers, in hexadecimal.
    fn forms(&self) -> [String; 4] {
        let bytes = || self.0.bytes();
        let list = bytes().map(|byte| byte.to_string()).collect::<Vec<_>>();
        let hex = bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        [
            self.0.clone(),
            list.join(", "),
            hex.clone(),
            hex.to_uppercase(),
        ]
    }

    #[track_caller]
    fn is_not_in(&self, text: &str, what: &str) {
        for form in self.forms() {
            if let Some(at) = text.find(&form) {
                let line = text[..at].lines().count();
                let said = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
                panic!("{what} tells {}: {said}", self.0);
            }
        }
    }
}

/// All that the daemon says to any request, sensible or not.
fn answers(pond: &Path, requests: &[String]) -> String {
    let mut said = String::new();
    for request in requests {
        let mut stream = UnixStream::connect(pond.join("control.sock")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_string(&mut said).unwrap();
    }
    said
}

#[test]
fn nothing_of_content_or_environment_is_told() {
    let pond = Pond::new();
    let (content, environment) = (Canary::new("content"), Canary::new("environment"));
    let secret = content.0.clone();
    let at = pond.mountpoint("mnt");
    let run = pond.run(["-vvv", "mount", "--foreground", "-o", "commit=3600"]);
    let mut run = run.arg(pond.store()).arg(&at).env("RUST_BACKTRACE", "1");
    for name in [
        "POND_CANARY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "PASSWORD",
    ] {
        run = run.env(name, &environment.0);
    }
    let daemon = run.start();
    let start = Instant::now();
    while mounted_at(&at).is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "no mount");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mount = Mount::adopt(&pond, at, Duration::ZERO);

    // Small and large, overwritten and removed, in attributes and targets of links, with every kind of sync.
    let small = file(mount.path(), "small", &secret);
    // Larger than what is kept in memory, so that its beginning is read from the disk each time.
    let large = file(mount.path(), "large", secret.repeat(800_000));
    set_xattr(
        &small,
        "user.secret",
        secret.as_bytes(),
        XattrFlags::empty(),
    )
    .unwrap();
    File::options()
        .write(true)
        .open(&large)
        .unwrap()
        .sync_all()
        .unwrap();
    let open = File::options().read(true).write(true).open(&large).unwrap();
    open.write_all_at(secret.as_bytes(), 77).unwrap();
    open.sync_data().unwrap();
    mount.sync();
    file(mount.path(), "gone", &secret);
    fs::remove_file(mount.join("gone")).unwrap();
    assert!(fs::read_to_string(&large).unwrap().contains(&secret));
    drop(open);
    let mut told = String::new();
    for command in ["status", "log", "check", "sync"] {
        told += &pond.ask([command]).text();
    }
    let requests = ["status", "sync", "log", "check", "none", &secret].map(|name| {
        format!(r#"{{"request":"{name}","before":null,"limit":5,"read_data":true,"x":"{secret}"}}"#)
    });
    told += &answers(&pond.store(), &requests[..4]);

    // What is damaged is told by its place.
    for segment in fs::read_dir(pond.store().join("segments")).unwrap() {
        let segment = segment.unwrap().path();
        let bytes = File::options().write(true).open(segment).unwrap();
        bytes.write_all_at(&[0; 64], 1000).unwrap();
    }
    refused(fs::read(mount.version(1).join("large")), Errno::IO);
    told += &answers(&pond.store(), &requests[3..5]);
    mount.unmount();
    let outcome = daemon.finish(Duration::from_secs(60));
    let log = outcome.err();
    assert!(
        log.contains("TRACE") && log.contains("DEBUG"),
        "not all was logged\n{log}"
    );

    for (text, what) in [
        (&log, "the log"),
        (&outcome.text(), "the output"),
        (&told, "an answer"),
    ] {
        content.is_not_in(text, what);
        environment.is_not_in(text, what);
    }
    // Nothing of the environment is in the pond, and what is in files is where files' bytes are.
    let found = |word: &Canary| {
        let grep = shell(r#"cd "$1"; grep -rlaF "$2" . || true"#);
        grep.arg(pond.store()).arg(&word.0).ok().text()
    };
    assert_eq!(found(&environment), "");
    for path in found(&content).lines() {
        assert!(
            ["./segments/", "./oplog/node_part=", "./index/"]
                .iter()
                .any(|dir| path.starts_with(dir)),
            "{path}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_not_quoted() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    mount.unmount();
    let word = Canary::new("quoted");
    let log = pond.store().join("oplog/_delta_log");
    let lines = [
        format!("{} {{\n", word.0),
        format!("{{\"add\":{{\"path\":7,\"size\":\"{}\"}}}}\n", word.0),
        format!("{{\"txn\":\"{}\"}}\n", word.0),
    ];
    for line in lines {
        fs::write(log.join(format!("{:020}.json", 2)), line).unwrap();
        let outcome = pond.run(["-vvv", "check"]).arg(pond.store()).outcome();
        word.is_not_in(&outcome.err(), "a commit that cannot be read");
    }
    let identity = fs::read_to_string(pond.store().join("pond.toml")).unwrap();
    for line in [
        format!("secret = {}", word.0),
        format!("id = \"{}\"", word.0),
        format!("[{}", word.0),
    ] {
        fs::write(
            pond.store().join("pond.toml"),
            format!("{line}\n{identity}"),
        )
        .unwrap();
        let outcome = pond
            .run(["-vvv", "check"])
            .arg(pond.store())
            .outcome()
            .exits(4);
        word.is_not_in(&outcome.err(), "an identity that cannot be read");
    }
}
