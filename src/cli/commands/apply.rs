//! `pondmount apply`: writes a resource.

use super::{In, end};
use crate::cli::control::{AppliedReport, Request, Resources};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::resource::{Document, inline_templates};
use crate::service::KINDS;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Write a resource: a YAML document that the pond shows as a directory
///
/// The document is checked, its variables are expanded, and it is written to /KIND/NAME.yaml in the
/// pond, where any editor can change it as well. Its identity stays through all later documents of
/// its kind and name. A template_file becomes part of the document.
#[derive(Debug, Args)]
pub struct Apply {
    /// The document; - for standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// A variable that {{ KEY }} in the document stands for
    #[arg(short = 'v', long = "var", value_name = "KEY=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    within: In,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("a variable is written as KEY=VALUE".into()),
    }
}

pub(super) fn run(args: &Apply, output: &Output) -> Result<u8, Failure> {
    let text = document(&args.file)?;
    let refused = |error: &dyn std::fmt::Display| {
        Failure::new("resource", format!("{}: {error}", args.file.display()))
    };
    let variables: BTreeMap<String, String> = args.variables.iter().cloned().collect();
    let text = Document::expand(&text, &variables, KINDS).map_err(|error| refused(&error))?;
    Document::parse(&text, KINDS).map_err(|error| refused(&error))?;
    let text = inline_templates(&text).map_err(|error| refused(&error))?;
    let (mut pond, _) = args.within.reach(None, false)?;
    let about = Resources::Apply {
        text,
        dry_run: args.dry_run,
    };
    let done: Result<AppliedReport, _> = pond.ask(&Request::Resources { about });
    let report = end(pond, done)?;
    let would = if args.dry_run { "would be " } else { "" };
    output.notice(&format!("{} {would}{}", report.path, report.done));
    output.row(&report, |report| report.uuid.clone())?;
    Ok(0)
}

fn document(file: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::system(format!("cannot read {}", file.display()), &error);
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(failed)
}
