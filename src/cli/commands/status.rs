//! `pondmount status`: the status of a pond.

use super::About;
use crate::cli::control::{Request, StatusReport, reach};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place;
use crate::limits::Setting;
use crate::pond::OpenOptions;
use clap::Args;

/// Show the newest version of a pond, what waits for the next one, and who has it mounted
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    about: About,
    /// Show each limit of the pond, its value, and where the value comes from
    #[arg(long)]
    config: bool,
}

pub(super) fn run(args: &Status, output: &Output) -> Result<u8, Failure> {
    let place = place::find(args.about.pond.as_deref())?;
    let mut pond = reach(
        &place,
        &OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        },
    )?;
    if args.config {
        let settings: Vec<Setting> = pond.ask(&Request::Config)?;
        pond.close()?;
        for setting in &settings {
            output.row(setting, limit)?;
        }
        return Ok(0);
    }
    let mut report: StatusReport = pond.ask(&Request::Status)?;
    if !pond.is_daemon() {
        // Opened read-only for this request, which is not the pond's own state.
        report.read_only = None;
    }
    pond.close()?;
    output.row(&report, text)?;
    Ok(0)
}

fn limit(setting: &Setting) -> String {
    let from = match setting.set {
        true => "pond.toml",
        false => "default",
    };
    let next = setting.next.as_ref().map_or(String::new(), |next| {
        format!("; {next} from the next mount on")
    });
    let Setting {
        name, value, about, ..
    } = setting;
    format!("{name:<20} {value:>10}  {from:<9}  {about}{next}")
}

fn text(report: &StatusReport) -> String {
    let mut text = format!(
        "pond       {}\nid         {}\nversion    {}, committed {}\n",
        report.pond,
        report.id,
        report.version,
        report.clock.as_ref().unwrap_or(&report.committed)
    );
    text += &match (&report.mountpoint, report.pid) {
        (Some(at), Some(pid)) => format!("mounted    at {at} by process {pid}\n"),
        (None, Some(pid)) => format!("mounted    no; process {pid} still has it open\n"),
        _ => "mounted    no\n".to_owned(),
    };
    text += &match report.dirty.entries {
        0 => "changes    none since this version".to_owned(),
        1 => format!(
            "changes    1 entry since this version ({} bytes)",
            report.dirty.bytes
        ),
        n => format!(
            "changes    {n} entries since this version ({} bytes)",
            report.dirty.bytes
        ),
    };
    if let (Some(writable), Some(reserved)) = (report.writable_bytes, report.reserved_bytes) {
        text += &format!(
            "\nroom       {writable} bytes can be written, {reserved} more are kept in reserve"
        );
    }
    if let Some(scrub) = &report.scrub {
        text += &format!("\nscrub      {}", super::scrub::text(scrub));
    }
    for problem in &report.resources {
        text += &format!("\nresource   {problem}");
    }
    if let Some(behind) = &report.clock_behind {
        text += &format!("\nclock      {behind}: dates, ages and rules of time may mislead");
    }
    for late in &report.late {
        text += &format!("\nwaiting    {late}");
    }
    if report.removed {
        text += "\nremoved    the folder of the pond is gone: copy what you need out of the mount";
    }
    if let Some(reason) = &report.commit_failed {
        text += &format!("\nno version {reason}; it is tried again");
    }
    if let Some(reason) = &report.read_only {
        text += &format!("\nread-only  {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_report_is_a_line_for_each_thing() {
        let idle = json!({
            "pond": "/srv/pond", "id": "0193", "version": 42, "committed": "2026-11-24T03:17:31.000000Z",
            "mountpoint": null, "pid": null, "dirty": {"entries": 0, "bytes": 0}, "read_only": null,
        });
        let report = serde_json::from_value(idle).unwrap();
        assert_eq!(
            text(&report),
            "pond       /srv/pond\n\
             id         0193\n\
             version    42, committed 2026-11-24T03:17:31.000000Z\n\
             mounted    no\n\
             changes    none since this version"
        );
        let mut busy = report;
        busy.mountpoint = Some("/mnt".into());
        busy.pid = Some(7);
        busy.dirty.entries = 3;
        busy.dirty.bytes = 1000;
        busy.late = vec!["mkdir has no reply".into()];
        busy.read_only = Some("the disk is gone".into());
        let text = text(&busy);
        assert!(
            text.contains("\nmounted    at /mnt by process 7\n"),
            "{text}"
        );
        let end = "3 entries since this version (1000 bytes)\nwaiting    mkdir has no reply\nread-only  the disk is gone";
        assert!(text.ends_with(end), "{text}");
        busy.clock = Some("1970-01-01T00:00:31.000000Z".into());
        busy.clock_behind = Some("the clock is behind".into());
        let text = super::text(&busy);
        for line in [
            "\nversion    42, committed 1970-01-01T00:00:31.000000Z\n",
            "\nclock      the clock is behind: ",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
