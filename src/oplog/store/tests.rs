//! Tests of the object store on a real disk.

use super::*;
use crate::disk::LocalDisk;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use std::fs;
use tempfile::tempdir;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
}

async fn names(store: &LocalStore, after: &str) -> Vec<String> {
    let log = listing::log();
    let found = store
        .list_with_offset(Some(&log), &Path::from(after))
        .try_collect::<Vec<_>>();
    found
        .await
        .unwrap()
        .into_iter()
        .map(|m| m.location.filename().unwrap().to_string())
        .collect()
}

#[test]
fn create_never_replaces_and_everything_is_synced() {
    let dir = tempdir().unwrap();
    let store = LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    runtime().block_on(async {
        let at = Path::from("a/b/c.json");
        store
            .put_opts(&at, "one".into(), PutMode::Create.into())
            .await
            .unwrap();
        // The staging folder, `a` and `b` in their parents, the file, and the file's folder.
        assert_eq!(store.syncs(), 3 + 2);
        let again = store
            .put_opts(&at, "two".into(), PutMode::Create.into())
            .await;
        assert!(
            matches!(again, Err(Error::AlreadyExists { .. })),
            "{again:?}"
        );
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&at, "three".into()).await.unwrap();
        assert_eq!(
            store.get(&at).await.unwrap().bytes().await.unwrap(),
            "three"
        );
        let before = store.syncs();
        store.delete(&at).await.unwrap();
        assert_eq!(store.syncs() - before, 1);
        let gone = store.delete(&at).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
        assert_eq!(
            fs::read_dir(dir.path().join(".staging")).unwrap().count(),
            0
        );
    });
}

#[test]
fn a_multipart_upload_is_published_when_complete() {
    let dir = tempdir().unwrap();
    let store = LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    runtime().block_on(async {
        let at = Path::from("_delta_log/x");
        let mut upload = store.put_multipart(&at).await.unwrap();
        let (one, two) = (upload.put_part("one".into()), upload.put_part("two".into()));
        // Parts may be written in any order.
        two.await.unwrap();
        one.await.unwrap();
        assert!(store.head(&at).await.is_err());
        let before = store.syncs();
        upload.complete().await.unwrap();
        // The log's folder in its parent, the file, and the log's folder.
        assert_eq!(store.syncs() - before, 3);
        assert_eq!(
            store.get(&at).await.unwrap().bytes().await.unwrap(),
            "onetwo"
        );
        let mut upload = store.put_multipart(&at).await.unwrap();
        upload.put_part("three".into()).await.unwrap();
        drop(upload);
        assert_eq!(
            store.get(&at).await.unwrap().bytes().await.unwrap(),
            "onetwo"
        );
        assert_eq!(
            fs::read_dir(dir.path().join(".staging")).unwrap().count(),
            0
        );
    });
}

#[test]
fn the_log_listing_is_sorted_and_cached() {
    let dir = tempdir().unwrap();
    let store = LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    runtime().block_on(async {
        assert!(names(&store, "_delta_log").await.is_empty());
        for name in ["3", "1", "2"] {
            store
                .put(&Path::from(format!("_delta_log/{name}")), "x".into())
                .await
                .unwrap();
        }
        assert_eq!(names(&store, "_delta_log/1").await, ["2", "3"]);
        assert_eq!(names(&store, "_delta_log/10").await, ["2", "3"]);
        store
            .put(&Path::from("_delta_log/4"), "x".into())
            .await
            .unwrap();
        store.delete(&Path::from("_delta_log/2")).await.unwrap();
        assert_eq!(names(&store, "_delta_log/1").await, ["3", "4"]);
        // A file that another process adds is not listed until a put collides with it.
        fs::write(dir.path().join("_delta_log/5"), "y").unwrap();
        assert_eq!(names(&store, "_delta_log/3").await, ["4"]);
        let taken = Path::from("_delta_log/5");
        store
            .put_opts(&taken, "x".into(), PutMode::Create.into())
            .await
            .unwrap_err();
        assert_eq!(names(&store, "_delta_log/3").await, ["4", "5"]);
        store
            .rename(&taken, &Path::from("_delta_log/6"))
            .await
            .unwrap();
        assert_eq!(names(&store, "_delta_log/3").await, ["4", "6"]);
        let log = listing::log();
        let found = store
            .list(Some(&log))
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
        assert_eq!(
            found.iter().map(|m| m.size).collect::<Vec<_>>(),
            [1, 1, 1, 1]
        );
    });
}

#[test]
fn unpublished_uploads_are_swept_and_never_listed() {
    let dir = tempdir().unwrap();
    let store = LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    runtime().block_on(async {
        let upload = store.put_multipart(&Path::from("x")).await.unwrap();
        // As if the process had ended here.
        std::mem::forget(upload);
        assert_eq!(
            fs::read_dir(dir.path().join(".staging")).unwrap().count(),
            1
        );
        assert!(
            store
                .list(None)
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            store
                .list_with_delimiter(None)
                .await
                .unwrap()
                .common_prefixes
                .is_empty()
        );
    });
    LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    assert_eq!(
        fs::read_dir(dir.path().join(".staging")).unwrap().count(),
        0
    );
}

#[test]
fn the_operating_systems_error_stays_in_the_chain() {
    let dir = tempdir().unwrap();
    let store = LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    runtime().block_on(async {
        fs::write(dir.path().join("file"), "x").unwrap();
        let error = store
            .put(&Path::from("file/x"), "x".into())
            .await
            .unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let io = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(io.raw_os_error(), Some(libc::ENOTDIR));
        assert!(store.refuse_if_poisoned().is_ok());
    });
}

#[test]
fn after_a_failed_sync_writes_are_refused() {
    let dir = tempdir().unwrap();
    let store = LocalStore::open(Arc::new(LocalDisk), dir.path()).unwrap();
    runtime().block_on(async {
        store.put(&Path::from("x"), "x".into()).await.unwrap();
        store.files.poison_for_test();
        assert!(store.put(&Path::from("y"), "y".into()).await.is_err());
        let refused = store.delete(&Path::from("x")).await.unwrap_err();
        let refused = crate::oplog::OplogError::storage("delete", refused);
        assert!(!refused.is_damage(), "a failed disk is no damaged table");
        assert_eq!(
            store
                .get(&Path::from("x"))
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap(),
            "x"
        );
    });
}
