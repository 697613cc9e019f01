//! git: clones, branches, merges, collects and checks, and a repository of ten thousand files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mount_tests::place::{on_mount, on_mount_again};
use mount_tests::run::{Run, need, shell};
use mount_tests::sys::lstat;

/// A script that knows no configuration but this, and starts nothing that outlives it.
fn git(script: &str) -> Run {
    need("git");
    let who = ["AUTHOR", "COMMITTER"];
    let run = shell(script)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "gc.auto")
        .env("GIT_CONFIG_VALUE_0", "0");
    who.iter().fold(run, |run, who| {
        run.env(&format!("GIT_{who}_NAME"), "a")
            .env(&format!("GIT_{who}_EMAIL"), "a@example.org")
    })
}

#[test]
fn git_clones_commits_collects_and_checks() {
    on_mount(|root, outside| {
        let script = r#"
            git init -q -b main "$2/origin"; cd "$2/origin"
            for n in $(seq 1 15); do
                mkdir -p "dir$((n % 4))"; seq 1 $((n * 100)) > "dir$((n % 4))/file$n"; git add -A; git commit -qm "commit $n"
            done
            git clone -q --no-hardlinks "$2/origin" "$1/clone"; cd "$1/clone"
            git fsck --strict --no-progress
            echo more >> dir1/file1; git mv dir2/file2 dir3/renamed; git rm -q dir0/file4
            git commit -qam "edited"; git checkout -q -b side HEAD~3; echo side > side; git add side; git commit -qm side
            git checkout -q main; git merge -q -m merged side; git gc -q --prune=now; git fsck --strict --no-progress
            test -z "$(git status --porcelain)"; test "$(git rev-list --count HEAD)" = 18; test "$(cat side)" = side
            git clone -q "$1/clone" "$2/back"; diff -r --exclude=.git "$1/clone" "$2/back"
        "#;
        git(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn a_repository_of_ten_thousand_files_is_cloned_collected_and_checked() {
    let make = r#"
        git init -q -b main "$2/origin"; cd "$2/origin"
        for d in $(seq 100); do mkdir "d$d"; for f in $(seq 100); do echo "$d $f" > "d$d/f$f"; done; done
        git add -A; git commit -qm all
        git clone -q --no-hardlinks "$2/origin" "$1/clone"; cd "$1/clone"
        test "$(git ls-files | wc -l)" = 10000; test -z "$(git status --porcelain)"
        echo changed > d7/f7; rm d8/f8; echo new > d9/new
        test "$(git status --porcelain | xargs)" = "M d7/f7 D d8/f8 ?? d9/new"
        git add -A; git commit -qm changed
    "#;
    // Ten thousand loose objects become one pack; the clone of that shares it by hard links.
    let collect = r#"
        cd "$1/clone"; test "$(git count-objects)" != "0 objects, 0 kilobytes"
        git gc -q --prune=now; test "$(git count-objects)" = "0 objects, 0 kilobytes"
        test "$(git verify-pack -v .git/objects/pack/*.idx | grep -c ' blob ')" = 10002
        git fsck --strict --no-progress; git clone -q "$1/clone" "$1/second"
    "#;
    let check = r#"
        for repository in clone second; do
            cd "$1/$repository"; test -z "$(git status --porcelain)"; git fsck --strict --no-progress
            test "$(git rev-list --count HEAD)" = 2; test "$(git ls-files | wc -l)" = 10000
        done
        diff -r --exclude=.git "$1/clone" "$1/second"
        cd "$1/second"; git checkout -q HEAD~; diff -r --exclude=.git "$2/origin" "$1/second"
    "#;
    let run = |script, root: &Path, outside: &Path| git(script).arg(root).arg(outside).ok();
    on_mount_again(
        |root, outside| {
            run(make, root, outside);
            run(collect, root, outside);
            let packs = std::fs::read_dir(root.join("second/.git/objects/pack")).unwrap();
            for pack in packs {
                assert_eq!(lstat(pack.unwrap().path()).nlink(), 2, "the pack is shared");
            }
        },
        |root, outside| {
            run(check, root, outside);
        },
    );
}

#[test]
fn git_works_in_two_trees_stashes_rebases_and_bisects() {
    on_mount(|root, _| {
        let script = r#"
            git init -q -b main "$1/main"; cd "$1/main"
            for n in $(seq 8); do echo "$n" > "file$n"; test "$n" -lt 5 || touch bug; git add -A; git commit -qm "commit $n"; done
            git worktree add -q -b feature "$1/feature" HEAD~2; cd "$1/feature"
            test "$(git worktree list | wc -l)" = 2; echo f > feature; git add feature; git commit -qm feature
            git rebase -q main; test -e file8; test "$(git log -1 --format=%s)" = feature
            echo dirty >> file1; git stash -q; test "$(cat file1)" = 1; git stash pop -q; test "$(xargs < file1)" = "1 dirty"
            git checkout -q file1; cd "$1/main"; git worktree remove "$1/feature"; test ! -e "$1/feature"
            git merge -q --ff-only feature; test "$(cat feature)" = f
            git bisect start HEAD HEAD~8 > /dev/null
            git bisect run test ! -e bug > "$1/bisected"; grep -q "is the first bad commit" "$1/bisected"
            test "$(git log -1 --format=%s refs/bisect/bad)" = "commit 5"; git bisect reset 2> /dev/null
            git fsck --strict --no-progress
        "#;
        git(script).arg(root).ok();
    });
}
