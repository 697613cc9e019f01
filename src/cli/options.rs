//! The options of `mount -o`: those of a pond, and those of fstab that do not concern it.

use super::failure::Failure;
use crate::mount::Rules;
use std::time::Duration;

/// The longest commit interval: a day, in seconds.
const MAX_COMMIT: u64 = 86_400;

/// The parsed options of `-o`. A later option overrides an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `ro`, or `rw`.
    pub read_only: Option<bool>,
    /// `at=VERSION`.
    pub at: Option<String>,
    /// `allow_other`.
    pub allow_other: bool,
    /// `commit=SECS`.
    pub commit: Option<Duration>,
    /// `noexec`, `sync`, `dirsync`.
    pub rules: Rules,
    /// `sync=commit`, or `sync=journal`: whether `fsync` makes a version.
    pub commit_on_sync: bool,
    /// `remount`: change an existing mount.
    pub remount: bool,
}

impl Options {
    /// Parses a list such as `ro,commit=5`.
    pub fn parse(list: &str) -> Result<Options, Failure> {
        let mut options = Options::default();
        for option in list.split(',').filter(|option| !option.is_empty()) {
            options.add(option)?;
        }
        Ok(options)
    }

    fn add(&mut self, option: &str) -> Result<(), Failure> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match (name, value) {
            ("ro", None) => self.read_only = Some(true),
            ("rw", None) => self.read_only = Some(false),
            ("at", Some(version)) => self.at = Some(version.to_owned()),
            ("allow_other", None) => self.allow_other = true,
            ("noexec", None) => self.rules.no_exec = true,
            ("exec", None) => self.rules.no_exec = false,
            ("sync", None) => self.rules.sync = true,
            ("async", None) => self.rules.sync = false,
            ("sync", Some("commit")) => self.commit_on_sync = true,
            ("sync", Some("journal")) => self.commit_on_sync = false,
            ("dirsync", None) => self.rules.dir_sync = true,
            ("remount", None) => self.remount = true,
            ("commit", Some(value)) => self.commit = Some(commit(value)?),
            ("commit", None) => return Err(commit_needs("nothing")),
            _ if ignored(name, value) => {}
            _ => {
                return Err(
                    Failure::usage(format!("there is no mount option `{option}`")).hinted(
                        "a pond has ro, rw, at=VERSION, allow_other, commit=SECONDS, sync=commit, noexec, sync and dirsync",
                    ),
                );
            }
        }
        Ok(())
    }
}

/// Returns whether an option is for other programs, or has no effect on a pond.
fn ignored(name: &str, value: Option<&str>) -> bool {
    match name {
        // For mount(8) and systemd: when to mount, in what order, and whether a failure matters.
        "auto" | "noauto" | "nofail" | "_netdev" | "defaults" => value.is_none(),
        // For mount(8): which users may mount. It has decided that before it calls this program.
        "user" | "users" | "nouser" | "owner" | "group" => true,
        // A pond is always mounted nosuid and nodev, which mount(8) spells out for `user`. The
        // opposite has no effect either: files in a pond never grant privileges.
        "suid" | "nosuid" | "dev" | "nodev" => value.is_none(),
        // A pond does not keep access times, whatever the option.
        "atime" | "noatime" | "diratime" | "nodiratime" | "relatime" | "norelatime"
        | "strictatime" | "nostrictatime" | "lazytime" | "nolazytime" => value.is_none(),
        // Options that mount(8) passes on, and those that it adds from the existing mount on a
        // remount.
        "iversion" | "noiversion" | "mand" | "nomand" | "silent" | "loud" => value.is_none(),
        "default_permissions" => value.is_none(),
        "user_id" | "group_id" | "rootmode" | "max_read" => value.is_some(),
        // Comments for programs (x-systemd.automount, x-gvfs-show), stripped by mount(8) if it can.
        _ => name.starts_with("x-") || name.starts_with("X-") || name == "comment",
    }
}

fn commit(value: &str) -> Result<Duration, Failure> {
    match value.parse() {
        Ok(seconds) if seconds <= MAX_COMMIT => Ok(Duration::from_secs(seconds)),
        _ => Err(commit_needs(&format!("`{value}`"))),
    }
}

fn commit_needs(given: &str) -> Failure {
    Failure::usage(format!(
        "the mount option commit takes a number of seconds from 0 to {MAX_COMMIT}, not {given}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_options_of_a_pond_are_read_and_the_last_one_counts() {
        let options = Options::parse("ro,allow_other,commit=30,,rw,commit=0").unwrap();
        assert_eq!(options.read_only, Some(false));
        assert!(options.allow_other);
        assert_eq!(options.commit, Some(Duration::ZERO));
        assert_eq!(Options::parse("").unwrap(), Options::default());
        assert!(Options::parse("sync=commit").unwrap().commit_on_sync);
        assert!(
            !Options::parse("sync=commit,sync=journal")
                .unwrap()
                .commit_on_sync
        );
    }

    #[test]
    fn what_fstab_says_to_others_is_ignored() {
        let list = "relatime,strictatime,lazytime,nodiratime,user_id=0,_netdev,nofail,auto,noauto,user,users,user=anna,defaults,rw,dev,suid,exec,nosuid,nodev,x-systemd.automount,x-a=b";
        let options = Options::parse(list).unwrap();
        assert_eq!(options.read_only, Some(false));
        assert_eq!(options.commit, None);
    }

    #[test]
    fn what_the_kernel_sees_to_is_handed_on() {
        let options = Options::parse("remount,noexec,sync,dirsync").unwrap();
        let names: Vec<_> = options.rules.names().collect();
        assert_eq!(names, ["noexec", "sync", "dirsync"]);
        assert!(options.remount);
        let options = Options::parse("noexec,sync,exec,async").unwrap();
        assert_eq!(options.rules, Rules::default());
    }

    proptest! {
        #[test]
        fn any_text_is_options_or_a_usage_error(
            text in "\\PC{0,60}",
            list in proptest::collection::vec("ro|rw|commit|suid|dev|x-|user|noexec|remount|\\PC{0,6}", 0..6),
            value in "=|=0|=-1|=99999999999999999999|=\\PC{0,6}|",
        ) {
            for text in [text, list.join(&format!("{value},"))] {
                if let Err(failure) = Options::parse(&text) {
                    prop_assert_eq!(failure.exit, 2);
                }
            }
        }
    }

    #[test]
    fn anything_else_is_a_usage_error_that_names_the_option() {
        for wrong in [
            "no_such_option",
            "commit=soon",
            "commit",
            "commit=-1",
            "commit=86401",
            "ro=1",
            "noexec=1",
            "sync=never",
        ] {
            let failure = Options::parse(wrong).unwrap_err();
            assert_eq!(failure.exit, 2, "{wrong}");
            let name = wrong.split('=').next().unwrap();
            assert!(failure.message.contains(name), "{failure}");
        }
    }
}
