//! The small tools of every day.

use mount_tests::grow::sow;
use mount_tests::place::{folder, on_mount};
use mount_tests::rng::Rng;
use mount_tests::run::shell;
use mount_tests::tree::Tree;

#[test]
fn cp_and_mv_carry_a_tree_in_and_out() {
    on_mount(|root, outside| {
        sow(&folder(outside, "source"), &mut Rng::new(13), 200);
        let source = Tree::of(&outside.join("source"));
        let script = r#"
            cp -a "$2/source" "$1/copied"; cp -a "$1/copied" "$1/again"; mv "$1/again" "$1/moved"
            cp -a "$2/source" "$2/second"; mv "$2/second" "$1/in"; mv "$1/in" "$2/out"
            cp -r --reflink=auto --sparse=always "$1/copied" "$1/plain"; diff -r "$1/copied" "$1/plain"
        "#;
        shell(script).arg(root).arg(outside).ok();
        for (tree, how) in [
            (root.join("copied"), "cp -a"),
            (root.join("moved"), "mv"),
            (outside.join("out"), "mv across"),
        ] {
            Tree::of(&tree).assert_equals(&source, how);
        }
    });
}

#[test]
fn small_tools_find_what_they_expect() {
    on_mount(|root, _| {
        let script = r#"
            cd "$1"; mkdir -p a/b c; printf 'x=1\ny=2\n' > a/conf; cp a/conf a/b/
            sed -i 's/x=1/x=3/' a/conf; grep -q x=3 a/conf; grep -q x=1 a/b/conf
            test "$(find . -type f | sort | xargs)" = "./a/b/conf ./a/conf"; test "$(find . -mindepth 1 | wc -l)" = 5
            find . -name conf -newer a/b/conf > /dev/null; touch -d '2001-02-03 04:05:06.789' c
            test "$(stat -c %y c)" = "2001-02-03 04:05:06.789000000 +0000"
            head -c 1000000 /dev/urandom > big; cp big copy; cmp big copy; sort big | md5sum > /dev/null
            size=$(du -s --apparent-size -B1000 big | cut -f1); test "$size" = 1000; used=$(du -s -k . | cut -f1); test "$used" -ge 1900
            df -k . | tail -1 | awk '{ exit !($2 > 0 && $4 > 0 && $4 <= $2) }'; df -i . > /dev/null
            mktemp -p . > /dev/null; install -m 640 big installed; test "$(stat -c %a installed)" = 640
            dd if=big of=part bs=1000 skip=10 count=5 conv=fsync status=none; cmp -n 5000 -i 10000:0 big part
            truncate -s 10M sparse; tail -c 5 sparse | cmp - <(head -c 5 /dev/zero); tee -a a/conf <<< z=9 > /dev/null; tail -1 a/conf | grep z=9 > /dev/null
        "#;
        shell(script).arg(root).ok();
    });
}

#[test]
fn more_tools_leave_what_they_promise() {
    on_mount(|root, outside| {
        let script = r#"
            cd "$1"; seq 1000 > f; cp --reflink=auto f copy; cmp f copy; cp -u f copy; cp --backup=numbered f copy; test -e 'copy.~1~'
            ln -s f soft; ln -sfn copy soft; test "$(readlink soft)" = copy; ln -f f copy; test f -ef copy; test "$(readlink -f soft)" = "$1/copy"
            install -D -m 2750 f deep/er/still; test "$(stat -c %a deep/er/still)" = 2750; install -d -m 1777 sticky; test "$(stat -c %a sticky)" = 1777
            one=$(mktemp -p .); two=$(mktemp -d -p .); test "$one" != "$two"; test "$(stat -c %a "$one" "$two" | xargs)" = "600 700"
            head -c 100000 /dev/urandom > secret; cp secret was; shred -x -n 1 secret; (! cmp -s secret was)
            test "$(stat -c %s secret)" = 100000; shred -n 1 -u secret; test ! -e secret; test -z "$(find . -name '0*')"
            cp -a deep other; diff -r deep other; echo x > other/er/x; (! diff -rq deep other > "$2/differs"); grep -q 'Only in other/er: x' "$2/differs"
            sort -R f -o f; sort -n f -o f; seq 1000 | cmp - f; uniq f | tac | head -1 | grep -x 1000 > /dev/null; comm -3 f <(seq 1000) | wc -l | grep -x 0 > /dev/null
            touch -r was f; test "$(stat -c %y f)" = "$(stat -c %y was)"; test ! f -nt was; touch f; test f -nt was
            mkfifo pipe; echo through > pipe & test "$(cat pipe)" = through; wait
            csplit -s -f piece f 101 201; test "$(wc -l < piece01)" = 100; rename() { for it in piece*; do mv -n "$it" "${it/piece/part}"; done; }
            rename; test "$(ls part* | xargs)" = "part00 part01 part02"; find . -name 'part*' -delete; test -z "$(ls | grep part)"
            md5sum f copy was > sums; md5sum --quiet -c sums; echo >> was; (! md5sum --status -c sums)
            mv --exchange f was 2> /dev/null || true; mkdir -p a/b/c; rmdir -p a/b/c; test ! -e a; chmod -R go= deep; test "$(stat -c %a deep/er)" = 700
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}
