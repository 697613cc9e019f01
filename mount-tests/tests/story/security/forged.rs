//! Ponds that somebody made to do harm, and what has to hold of each: it is refused in words or serves what is sound in it,
//! in bounded time and memory, and nothing outside of it is written or shown.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::Pond;
use mount_tests::run::{Outcome, Run, python, shell};
use mount_tests::tree::Tree;

/// What stands outside of the ponds, and must not be seen through them.
const SECRET: &str = "the secret of somebody else";
/// The most memory that a command or a daemon may take.
const MEMORY: u64 = 256 << 10;
/// How long a command may take. It is done in a second, on a machine that has nothing else to do.
const TIME: Duration = Duration::from_secs(60);

/// Runs a program, says on the last line of standard error how much memory it took, and ends as it did.
const MEASURE: &str = r#"
import os, resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code) if code >= 0 else os.kill(os.getpid(), -code)
"#;

/// A healthy pond, of which each case gets a copy.
fn healthy() -> Pond {
    let pond = Pond::new();
    // One version, however slow the machine is.
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    folder(&folder(mount.path(), "dir"), "sub");
    file(mount.path(), "small", "small");
    file(mount.path(), "large", vec![7; 20_000]);
    file(mount.path(), "dir/sub/x", "x");
    mount.unmount();
    let outside = pond.mountpoint("outside");
    file(&outside, "secret", format!("{SECRET}\n"));
    file(&folder(&outside, "victims"), "victim", SECRET);
    pond
}

/// One hostile pond.
pub struct Forged {
    pub case: &'static str,
    pub pond: Pond,
    outside: Tree,
}

/// Hostile ponds of these cases of `forge.py`.
pub fn forge(cases: &[&'static str]) -> Vec<Forged> {
    let healthy = healthy();
    let ponds: Vec<_> = cases.iter().map(|case| (*case, Pond::missing())).collect();
    let mut run = python().args(["-c", include_str!("forge.py")]);
    run = run.arg(healthy.store()).arg(healthy.outside("outside"));
    for (case, pond) in &ponds {
        run = run.arg(case).arg(pond.outside(""));
    }
    run.ok();
    let forged = |(case, pond): (_, Pond)| {
        let outside = Tree::of(&pond.outside("outside"));
        Forged {
            case,
            pond,
            outside,
        }
    };
    ponds.into_iter().map(forged).collect()
}

impl Forged {
    fn run<const N: usize>(&self, args: [&str; N]) -> Run {
        let run = python().args(["-c", MEASURE]).arg(self.pond.binary());
        let run = run.args(args).arg(self.pond.store()).limit(TIME);
        run.without_env("POND_STORE")
            .env("XDG_STATE_HOME", self.pond.outside("state"))
    }

    /// What a command says, which has to be little, take no more memory than it may, and give nothing away.
    fn sound(&self, outcome: Outcome) -> Outcome {
        let (case, said) = (self.case, outcome.err());
        let memory = said.lines().last().and_then(|line| line.parse().ok());
        let memory: u64 = memory.unwrap_or_else(|| panic!("{case}: {outcome}"));
        assert!(memory < MEMORY, "{case}: it took {memory} kB\n{outcome}");
        self.says_no_more_than_it_may(&format!("{said}{}", outcome.text()));
        outcome
    }

    #[track_caller]
    fn says_no_more_than_it_may(&self, said: &str) {
        let case = self.case;
        assert!(!said.contains(SECRET), "{case} shows the secret\n{said}");
        assert!(!said.contains("panicked"), "{case} panicked\n{said}");
        Tree::of(&self.pond.outside("outside")).assert_equals(&self.outside, case);
    }

    /// Every command refuses the pond, in a sentence, and says by its exit code that it is damaged.
    pub fn must_be_refused(self) {
        let refused = |outcome: Outcome| {
            let outcome = self.sound(outcome);
            let said = outcome.err();
            let sentences = said.lines().filter(|line| line.starts_with("error: "));
            assert_eq!(sentences.count(), 1, "{}: {outcome}", self.case);
            outcome.exits(4);
        };
        refused(self.run(["check"]).outcome());
        let at = self.pond.mountpoint("mnt");
        refused(self.run(["mount"]).arg(at).outcome());
    }

    /// The pond opens as it was before; what was added to it is set aside or done without.
    pub fn must_be_done_without(self) {
        self.sound(self.run(["check"]).outcome()).exits(0);
        self.serves("", |mount| {
            assert_eq!(fs::read(mount.join("large")).unwrap(), vec![7; 20_000]);
        });
    }

    /// The pond is mounted, whatever `check` says of it, and stays so whatever is done in it; `fails` are commands, a line
    /// each, that must fail there, each within ten seconds.
    pub fn serves(self, fails: &str, more: impl FnOnce(&Mount)) {
        self.sound(self.run(["check"]).outcome());
        let at = self.pond.mountpoint("mnt");
        self.sound(self.run(["mount"]).arg(&at).outcome().ok());
        let mount = Mount::adopt(&self.pond, at, Duration::ZERO);
        for line in fails.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let outcome = shell(r#"cd "$1"; code=0; timeout 10 bash -c "$2" || code=$?; test $code != 0 -a $code != 124"#)
                .arg(mount.path())
                .arg(line)
                .outcome();
            assert!(
                outcome.succeeded(),
                "{}: `{line}` must fail\n{outcome}",
                self.case
            );
        }
        more(&mount);
        self.says_no_more_than_it_may(&touch_everything(mount.path()));
        let memory = mount.daemon().field("VmHWM").expect("a daemon that lives");
        let memory: u64 = memory.trim_end_matches(" kB").parse().expect("a number");
        assert!(
            memory < MEMORY,
            "{}: the daemon took {memory} kB",
            self.case
        );
        // What is small enough to be kept in memory has to be told even of an odd tree.
        mount.sync();
        mount.unmount();
        let log = fs::read_dir(self.pond.outside("state/pondmount"));
        for log in log.into_iter().flatten() {
            let said = fs::read_to_string(log.unwrap().path()).unwrap();
            self.says_no_more_than_it_may(&said);
        }
    }
}

/// Reads, lists, changes, moves and removes all that is there, now and in the past, as far as it can be; what it says.
fn touch_everything(root: &Path) -> String {
    let script = r#"
        set +e; cd "$1"; export -f try 2> /dev/null
        try() { timeout 20 "$@"; test $? != 124 || { echo "$* hangs"; exit 1; }; }
        list="$(try find . @version/* -mindepth 1 2> /dev/null | head -1000)"
        try find . @version/ -ls > /dev/null; try ls -laR > /dev/null
        while IFS= read -r path; do
            test -f "$path" && try head -c 100000 "$path" | tr -d '\0'
            test -L "$path" && try readlink "$path"
            try stat "$path" > /dev/null; try getfattr -d -m - "$path" > /dev/null
        done <<< "$list"
        try dd if=/dev/zero of=large bs=1000 seek=3 count=2 conv=notrunc status=none; try fallocate -p -o 10 -l 5000 large
        try cp --reflink=auto large copy; try truncate -s 5 large; try truncate -s 100000 odd
        try ln small another; try mv dir/sub moved; try mv dir moved/dir; try mv moved dir/moved; try mv dir dir/sub/odd/z
        try mkdir dir/sub/odd/k dir/k odd/k; try mv odd dir; try rm -rf dir odd moved; try touch small; true
    "#;
    let outcome = shell(script)
        .arg(root)
        .limit(Duration::from_secs(250))
        .outcome();
    assert!(outcome.succeeded(), "{outcome}");
    format!("{}{}", outcome.text(), outcome.err())
}
