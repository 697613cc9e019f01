//! Databases: their files, their locks, and what they do after a crash of their own.

use std::path::Path;

use mount_tests::place::{folder, on_mount, on_mount_again};
use mount_tests::pond::names;
use mount_tests::run::{need, python, shell, tool};
use mount_tests::sys::lstat;

#[test]
fn sqlite_keeps_its_tables_in_every_journal_mode() {
    need("sqlite3");
    on_mount(|root, _| {
        for mode in ["delete", "wal", "truncate", "persist"] {
            let script = r#"
                db="$1/$2.db"; test "$(sqlite3 "$db" "pragma journal_mode=$2")" = "$2"
                sqlite3 "$db" "create table t(id integer primary key, text); pragma synchronous=full;"
                for n in 1 2 3; do
                    sqlite3 -cmd ".timeout 60000" "$db" "begin; with recursive c(x) as (select 1 union all select x+1 from c where x<1000)
                        insert into t(text) select hex(randomblob(50)) from c; commit;" &
                done; wait
                sqlite3 "$db" "begin; delete from t; rollback; update t set text='x' where id%10=0; vacuum;"
                test "$(sqlite3 "$db" "pragma integrity_check")" = ok; test "$(sqlite3 "$db" "select count(*) from t")" = 3000
            "#;
            shell(script).arg(root).arg(mode).ok();
        }
    });
}

#[test]
fn sqlite_in_wal_mode_is_read_while_it_is_written() {
    need("sqlite3");
    on_mount(|root, _| {
        // Readers and the writer share memory through a mapping of the -shm file.
        let script = r#"
            db="$1/t.db"; sqlite3 "$db" "pragma journal_mode=wal; create table t(a, b);" > /dev/null
            (for n in $(seq 1 60); do echo "begin; insert into t values($n,1); insert into t values($n,2); commit;"; done) |
                sqlite3 -cmd ".timeout 60000" "$db" & writer=$!
            for n in $(seq 1 30); do
                odd=$(sqlite3 -cmd ".timeout 60000" "$db" "select count(*) % 2 from t"); test "$odd" = 0
            done
            wait "$writer"; test "$(sqlite3 "$db" "select count(*) from t; pragma integrity_check" | xargs)" = "120 ok"
        "#;
        shell(script).arg(root).ok();
    });
}

#[test]
fn sqlite_rolls_back_what_a_killed_writer_left() {
    on_mount_again(
        |root, _| {
            for mode in ["delete", "wal"] {
                let dir = folder(root, mode);
                let script = include_str!("scripts/sqlite_killed.py");
                python()
                    .args(["-c", script, mode])
                    .arg(dir.join("t.db"))
                    .ok();
                // What was written and not committed is still in files beside the database.
                let beside = dir.join(if mode == "wal" {
                    "t.db-wal"
                } else {
                    "t.db-journal"
                });
                assert!(
                    lstat(&beside).len() > 100_000,
                    "{mode}: nothing to roll back"
                );
            }
        },
        |root, _| {
            // It is also rolled back if the next one to look comes after a remount.
            for mode in ["delete", "wal"] {
                let ask = "pragma integrity_check; select count(*), sum(n) from t; insert into t values (2, '');";
                let answer = tool("sqlite3")
                    .arg(root.join(mode).join("t.db"))
                    .arg(ask)
                    .ok();
                assert_eq!(answer.text(), "ok\n1000|1000\n", "{mode}");
                assert_eq!(names(&root.join(mode)), ["t.db"], "{mode}");
            }
        },
    );
}

#[test]
fn duckdb_keeps_its_database_and_its_parquet_files() {
    let duckdb = |stage: &str, root: &Path| {
        let script = include_str!("scripts/duckdb_stages.py");
        python().args(["-c", script, stage]).arg(root).ok();
    };
    on_mount_again(
        |root, _| {
            for stage in ["fill", "reopen", "contend", "killed"] {
                duckdb(stage, root);
            }
        },
        |root, _| duckdb("look", root),
    );
}
