//! Programs that wait for something to happen: to a file's end, to a name, to a directory, to a lock.

use mount_tests::place::on_mount;
use mount_tests::run::{need, shell};

#[test]
fn tail_follows_a_log_through_its_rotation() {
    on_mount(|root, outside| {
        let script = r#"
            log="$1/log"; seen() { for try in $(seq 500); do test "$(xargs < "$2/out")" != "$1" || return 0; sleep 0.02; done; cat "$2"/*; false; }
            echo 1 > "$log"; timeout 60 tail -n +1 -s 0.05 -F "$log" > "$2/out" 2> "$2/err" & tail=$!
            seen "1" "$2"; echo 2 >> "$log"; seen "1 2" "$2"
            mv "$log" "$log.1"; echo 3 > "$log"; seen "1 2 3" "$2"; echo 4 >> "$log"; seen "1 2 3 4" "$2"
            grep -Eq 'replaced|inaccessible' "$2/err"
            cp "$log" "$log.2"; : > "$log"; echo 5 >> "$log"; seen "1 2 3 4 5" "$2"
            kill "$tail"; test "$(cat "$log.1" | xargs)" = "1 2"
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn tail_follows_a_writer_that_keeps_the_file_open() {
    on_mount(|root, outside| {
        let script = r#"
            log="$1/log"; : > "$log"; timeout 60 tail -s 0.02 -f "$log" > "$2/out" & tail=$!
            for n in $(seq 200); do echo "line $n"; sleep 0.002; done > "$log" & wait $!
            for try in $(seq 500); do test "$(wc -l < "$2/out")" -lt 200 || break; sleep 0.02; done
            kill "$tail"; cmp "$log" "$2/out"; test "$(tail -1 "$2/out")" = "line 200"
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn inotifywait_sees_what_is_done_through_the_mount() {
    need("inotifywait");
    on_mount(|root, outside| {
        let script = r#"
            mkdir "$1/d"; timeout 60 inotifywait -m -r -e create,modify,attrib,close_write,moved_from,moved_to,delete,delete_self \
                --format '%e %f' -o "$2/events" "$1/d" 2> "$2/log" & watcher=$!
            until grep -q established "$2/log"; do sleep 0.01; done
            cd "$1/d"; echo x > f; echo y >> f; chmod 600 f; mv f g; ln g h; ln -s g s; cp g "$1/outside"; mv "$1/outside" in
            rm g; truncate -s 0 h; mkdir sub; rmdir sub; echo last > last
            for try in $(seq 500); do ! grep -q 'CLOSE_WRITE.* last' "$2/events" || break; sleep 0.02; done; kill "$watcher"
            cat "$2/events"
        "#;
        let events = shell(script).arg(root).arg(outside).ok().text();
        let expected = "\
            CREATE f\nMODIFY f\nCLOSE_WRITE,CLOSE f\n\
            MODIFY f\nCLOSE_WRITE,CLOSE f\n\
            ATTRIB f\nMOVED_FROM f\nMOVED_TO g\n\
            ATTRIB g\nCREATE h\nCREATE s\nMOVED_TO in\n\
            ATTRIB g\nDELETE g\n\
            MODIFY h\nCLOSE_WRITE,CLOSE h\n\
            CREATE,ISDIR sub\nDELETE_SELF \nDELETE,ISDIR sub\n\
            CREATE last\nMODIFY last\nCLOSE_WRITE,CLOSE last\n";
        assert_eq!(essential(&events), essential(expected));
    });
}

/// Events of the names that were acted on, in order. A link count that changes is told by some kernels for the old name.
fn essential(events: &str) -> Vec<&str> {
    let lines = events.lines();
    lines
        .filter(|line| !line.starts_with("ATTRIB g") && !line.starts_with("DELETE_SELF"))
        .collect()
}

#[test]
fn flock_lets_one_through_at_a_time() {
    need("flock");
    on_mount(|root, _| {
        // Reading, adding one and writing is not atomic: without the lock, increments get lost.
        let script = r#"
            cd "$1"; echo 0 > n
            add() { for i in $(seq 40); do flock lock sh -c 'read -r n < n; echo $((n + 1)) > n'; done; }
            add & add & add & wait; test "$(cat n)" = 120
            flock --no-fork lock sleep 60 & holder=$!; until ! flock -n lock true; do sleep 0.01; done
            flock -w 0.1 -E 9 lock true && exit 1 || test $? = 9
            flock -w 30 lock touch mine & waiter=$!; sleep 0.1; test ! -e mine
            kill -KILL "$holder"; wait "$waiter"; test -e mine
        "#;
        shell(script).arg(root).ok();
    });
}
