//! Tests of requests through the socket, valid and invalid.

use super::*;
use crate::cli::control::{Client, LogPage, StatusReport, Synced};
use crate::pond::OpenOptions;
use serde_json::Value;
use std::path::Path;

pub(super) fn serve(dir: &Path) -> (Arc<Pond>, Server) {
    let path = dir.join("pond");
    Pond::init(&path).unwrap();
    let pond = Pond::open(&path, &OpenOptions::default()).unwrap();
    let server = Server::start(pond.clone()).unwrap();
    (pond, server)
}

#[test]
fn nonsense_is_refused_and_the_next_one_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (pond, server) = serve(dir.path());
    for nonsense in [
        &b"garbage\n"[..],
        b"\0\xff\n",
        b"{\"request\":\"x\"}\n",
        &[b'x'; 200_000],
    ] {
        let mut stream = address::connect(pond.path(), Duration::from_secs(60)).unwrap();
        // The daemon may have hung up before all of it is sent.
        let _ = stream.write_all(nonsense);
        let _ = shutdown(&stream, Shutdown::Write);
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    let mut client = Client::connect(pond.path()).unwrap();
    let status: StatusReport = client.ask(&Request::Status).unwrap();
    assert_eq!(
        (status.pid, status.mountpoint),
        (Some(std::process::id()), None)
    );
    let synced: Synced = client.ask(&Request::Sync).unwrap();
    let log: LogPage = client
        .ask(&Request::Log {
            before: None,
            limit: 9,
        })
        .unwrap();
    assert_eq!((log.rows[0].version, log.before), (synced.version, None));
    pond.close().unwrap();
    server.end(Ok(()));
    assert!(
        Client::connect(pond.path()).is_err(),
        "the socket goes with its server"
    );
}

#[test]
fn log_before_a_version_that_is_not_there_yet_begins_with_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let (pond, server) = serve(dir.path());
    let mut client = Client::connect(pond.path()).unwrap();
    for limit in [1, 1_000, usize::MAX] {
        let page = |before| {
            let request = Request::Log { before, limit };
            client.ask::<LogPage>(&request).unwrap()
        };
        let pages = [None, Some(1 << 40), Some(u64::MAX)].map(page);
        assert_eq!(pages[0], pages[1]);
        assert_eq!(pages[0], pages[2]);
        assert!(!pages[0].rows.is_empty());
    }
    pond.close().unwrap();
    server.end(Ok(()));
}

#[test]
fn panic_while_a_connection_is_served_ends_that_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (pond, server) = serve(dir.path());
    let (stream, mut client) = UnixStream::pair().unwrap();
    let shared = server.shared.clone();
    let id = shared.register(&stream).unwrap();
    let thread = thread::spawn(move || {
        let _registered = Registered { shared, id };
        let _stream = stream;
        panic!("a request that panics");
    });
    assert!(thread.join().is_err());
    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(io::Read::read(&mut client, &mut [0]).unwrap(), 0);
    assert!(server.shared.state.lock().connections.is_empty());
    pond.close().unwrap();
    server.end(Ok(()));
}

#[test]
fn who_waits_for_the_end_hears_how_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let (pond, server) = serve(dir.path());
    let mut waiting = Client::connect(pond.path()).unwrap();
    // The reply to the first request shows that the connection was accepted.
    waiting.ask::<Value>(&Request::Status).unwrap();
    waiting.send(&Request::End).unwrap();
    while server.shared.state.lock().waiting == 0 {
        thread::yield_now();
    }
    pond.close().unwrap();
    server.end(Err(Failure::new("io", "the disk is full")));
    let end: Result<Value, _> = waiting.answer(None);
    assert_eq!(end.unwrap_err().message, "the disk is full");
}

#[test]
fn connections_on_which_nobody_asks_give_way() {
    let dir = tempfile::tempdir().unwrap();
    let (pond, server) = serve(dir.path());
    let most = pond.limits().connections;
    let mut idle: Vec<_> = (0..2 * most)
        .map(|_| address::connect(pond.path(), Duration::from_secs(60)).unwrap())
        .collect();
    // Some have begun a line.
    for stream in idle.iter_mut().step_by(3) {
        let _ = stream.write_all(b"{\"requ");
    }
    let mut client = Client::connect(pond.path()).unwrap();
    client.ask::<Value>(&Request::Ping).unwrap();
    assert!(server.shared.state.lock().connections.len() <= most);
    pond.close().unwrap();
}

#[test]
fn who_waits_for_an_answer_sees_that_it_is_worked_on() {
    let dir = tempfile::tempdir().unwrap();
    let (pond, server) = serve(dir.path());
    let mut stream = address::connect(pond.path(), Duration::from_secs(60)).unwrap();
    stream.write_all(b"{\"request\":\"end\"}\n").unwrap();
    let mut beats = [0; 2];
    io::Read::read_exact(&mut stream, &mut beats).unwrap();
    assert_eq!(&beats, b"\n\n");
    pond.close().unwrap();
    server.end(Ok(()));
    // More keepalives can come until the pond is closed.
    let lines = io::BufRead::lines(BufReader::new(stream));
    let end = lines.map(Result::unwrap).find(|line| !line.is_empty());
    assert_eq!(end.as_deref(), Some(r#"{"ok":null}"#));
}
