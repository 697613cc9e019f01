//! `pondmount get`, `list`, `describe` and `delete`: the resources of a pond.

use super::{In, end};
use crate::cli::control::{DocumentReport, Request, ResourceReport, Resources};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::Args;

/// Print the document of a resource
#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    within: In,
}

/// List the resources, each behind those that it takes from
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this kind
    kind: Option<String>,
    #[command(flatten)]
    within: In,
}

/// Tell what a resource is, which files it shows, and what is wrong with it
#[derive(Debug, Args)]
pub struct Describe {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    within: In,
}

/// Remove a resource; what it showed stays in past versions
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    which: Which,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    within: In,
}

/// A resource.
#[derive(Debug, Args)]
struct Which {
    /// The resource: KIND/NAME, such as Reduce/daily; or KIND/UUID
    #[arg(value_name = "KIND/NAME")]
    resource: String,
}

impl Which {
    fn parts(&self) -> Result<(String, String), Failure> {
        let text = self.resource.trim_matches('/');
        let text = text.strip_suffix(crate::resource::ENDING).unwrap_or(text);
        match text.split_once('/') {
            Some((kind, name)) => Ok((kind.into(), name.into())),
            None => Err(Failure::usage(format!(
                "{text:?} is no resource: write its kind and its name, such as Reduce/daily"
            ))),
        }
    }
}

pub(super) fn get(args: &Get, output: &Output) -> Result<u8, Failure> {
    let (kind, name) = args.which.parts()?;
    let (mut pond, _) = args.within.reach(None, true)?;
    let about = Resources::Get { kind, name };
    let done: Result<DocumentReport, _> = pond.ask(&Request::Resources { about });
    output.row(&end(pond, done)?, |report| {
        report.text.trim_end().to_owned()
    })?;
    Ok(0)
}

pub(super) fn list(args: &List, output: &Output) -> Result<u8, Failure> {
    let (mut pond, _) = args.within.reach(None, true)?;
    let about = Resources::List;
    let done: Result<Vec<ResourceReport>, _> = pond.ask(&Request::Resources { about });
    for report in end(pond, done)? {
        if args.kind.as_ref().is_none_or(|kind| *kind == report.kind) {
            output.row(&report, line)?;
        }
    }
    Ok(0)
}

fn line(report: &ResourceReport) -> String {
    let uuid = report.uuid.as_deref().unwrap_or("-");
    let text = format!("{:<36}  {}/{}", uuid, report.kind, report.name);
    match &report.problem {
        Some(why) => format!("{text}  ERROR: {why}"),
        None => text,
    }
}

pub(super) fn describe(args: &Describe, output: &Output) -> Result<u8, Failure> {
    let (kind, name) = args.which.parts()?;
    let (mut pond, _) = args.within.reach(None, true)?;
    let about = Resources::Describe { kind, name };
    let done: Result<ResourceReport, _> = pond.ask(&Request::Resources { about });
    output.row(&end(pond, done)?, told)?;
    Ok(0)
}

fn told(report: &ResourceReport) -> String {
    let mut lines = vec![
        format!("resource  {}/{}", report.kind, report.name),
        format!(
            "uuid      {}",
            report.uuid.as_deref().unwrap_or("none: apply gives it one")
        ),
        format!("file      {}", report.file),
    ];
    if !report.desc.is_empty() {
        lines.push(format!("desc      {}", report.desc));
    }
    let rest = report.metadata.iter().filter(|(key, _)| *key != "uuid");
    lines.extend(rest.map(|(key, value)| format!("{key:<8}  {value}")));
    match &report.problem {
        Some(why) => lines.push(format!("problem   {why}")),
        None => lines.extend(report.shows.iter().map(|path| format!("shows     {path}"))),
    }
    lines.join("\n")
}

pub(super) fn delete(args: &Delete, output: &Output) -> Result<u8, Failure> {
    let (kind, name) = args.which.parts()?;
    let (mut pond, _) = args.within.reach(None, false)?;
    let about = Resources::Delete {
        kind,
        name,
        dry_run: args.dry_run,
    };
    let done: Result<Option<()>, _> = pond.ask(&Request::Resources { about });
    end(pond, done)?;
    let would = if args.dry_run { "would be" } else { "is" };
    output.notice(&format!("{} {would} removed", args.which.resource));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_by_kind_and_name() {
        let parts = |text: &str| {
            Which {
                resource: text.into(),
            }
            .parts()
            .ok()
        };
        let daily = Some(("Reduce".to_owned(), "daily".to_owned()));
        assert_eq!(parts("Reduce/daily"), daily);
        assert_eq!(parts("/Reduce/daily.yaml"), daily);
        assert_eq!(parts("daily"), None);
    }
}
